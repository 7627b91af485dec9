from __future__ import annotations

from dataclasses import fields

from adapterx.methods.config import Bottleneck, Lora


def test_every_setting_of_a_method_is_translated() -> None:
    """A setting that a method gains must be written and read by `peft_lora` and `adapterhub`, or refused there.

    What concerns training alone, as `adapter_drop` does, has no place in files.
    """
    assert {field.name for field in fields(Lora)} == {
        "rank",
        "alpha",
        "dropout",
        "target_modules",
        "layers",
        "adapter_drop",
    }
    assert {field.name for field in fields(Bottleneck)} == {
        "placement",
        "reduction_factor",
        "width",
        "activation",
        "scaling",
        "dropout",
        "layers",
        "adapter_drop",
        "invertible",
    }
