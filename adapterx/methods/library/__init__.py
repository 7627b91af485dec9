"""Methods that `peft` or `adapters` makes, trained in the reference lane."""
