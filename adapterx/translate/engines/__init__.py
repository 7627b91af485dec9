"""The engines that translate, a module each; `registry` knows them by name, `base` says what one is."""
