from __future__ import annotations

from dataclasses import fields

from adapterx.methods.config import Bottleneck, Lora


def test_every_setting_of_a_method_is_translated() -> None:
    """A setting that a method gains must be written and read by `peft_lora` and `adapterhub`, or refused there."""
    assert {field.name for field in fields(Lora)} == {"rank", "alpha", "dropout", "target_modules", "layers"}
    assert {field.name for field in fields(Bottleneck)} == {
        "placement",
        "reduction_factor",
        "width",
        "activation",
        "scaling",
        "dropout",
        "layers",
    }
