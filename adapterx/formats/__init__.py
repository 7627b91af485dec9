"""Adapters in the files of `peft` and of AdapterHub's `adapters`, written and read. Weights are safetensors only."""
