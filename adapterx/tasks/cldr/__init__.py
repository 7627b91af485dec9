"""Small multilingual tasks made from Unicode CLDR data, as Babel ships it. `docs/embedded-tasks.md` is their recipe."""
