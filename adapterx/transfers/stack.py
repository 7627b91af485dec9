"""The transfer `stack`: a new adapter upon a frozen one."""

from __future__ import annotations

from typing import ClassVar, Literal

from adapterx.methods.base import MethodSpec
from adapterx.transfers.base import Names, TransferSpec


class Stack(TransferSpec):
    """Freeze the intermediate's adapter below a new one."""

    freezes: ClassVar[bool] = True
    mixed_kinds: ClassVar[bool] = True

    kind: Literal["stack"] = "stack"

    def library_refusal(self, method: MethodSpec, lower: MethodSpec, alone: str, names: Names) -> str:
        why = alone or method.not_upon_in_library(lower)
        if not why:
            return ""
        return f"the transfer '{names.transfer}' cannot stack adapters of the method '{names.method}': {why}"
