"""The transfer `continue`: one adapter is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from adapterx.methods.base import MethodSpec
from adapterx.transfers.base import TransferSpec

if TYPE_CHECKING:
    from torch import Tensor

    from adapterx.backbones.shape import Shape
    from adapterx.methods.merging import Merging


class Continue(TransferSpec):
    """Go on training the intermediate's adapter, with a new head (Poth et al. 2021)."""

    whole_models: ClassVar[bool] = True
    untrained: ClassVar[bool] = True

    kind: Literal["continue"] = "continue"

    def initial(
        self,
        method: MethodSpec,
        members: Sequence[Mapping[str, Tensor]],
        merging: Merging | None,
        shape: Shape,
        seed: int,
    ) -> Mapping[str, Tensor] | None:
        return members[0]
