"""What every transfer answers, for recipe, plan and executor alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from adapterx.config.fields import Model
from adapterx.limits import Limit
from adapterx.methods.base import MethodSpec, Table
from adapterx.store import JSON

if TYPE_CHECKING:
    from torch import Tensor

    from adapterx.backbones.info import BackboneInfo
    from adapterx.backbones.shape import Shape
    from adapterx.methods.merging import Merging


@dataclass(frozen=True)
class Names:
    """What a recipe calls the parts of a cell, for messages."""

    transfer: str
    method: str
    intermediate: str


class TransferSpec(Model):
    """One way from an intermediate to a target, by the name of its kind. Defaults here are true of most."""

    kind: str
    several: ClassVar[bool] = False
    """Whether it brings several adapters together, the members of an intermediate; else it takes one."""
    freezes: ClassVar[bool] = False
    """Whether the intermediate's adapters stay frozen below what is trained."""
    mixed_kinds: ClassVar[bool] = False
    """Whether the lower adapter may have settings of its own, or be another one for each language."""
    whole_models: ClassVar[bool] = False
    """Whether it is defined where every weight of the encoder is trained."""
    untrained: ClassVar[bool] = False
    """Whether an intermediate can be evaluated by it as it is, with nothing trained for the target."""

    @classmethod
    def frozen_defaults(cls) -> Table:
        """What settings of schema version 1 mean that are left out (`adapterx.plan.defaults` says why it is frozen)."""
        return {}

    @property
    def own_learning_rate(self) -> float | None:
        """The peak learning rate of the target's training, in place of the recipe's; None for that one."""
        return None

    @property
    def tuned_on(self) -> Limit | None:
        """Which of the members' dev examples decide about weights; None for all of them."""
        return None

    @property
    def tunes(self) -> bool:
        """Whether weights of the members are chosen on their dev data before the training."""
        return False

    def identity(self, method: MethodSpec) -> JSON:
        """What of it can change a result: its kind alone where it has no settings.

        Args:
            method: of the target.
        """
        return self.kind

    def refusal(self, method: MethodSpec, members: int, names: Names) -> str:
        """Why it does not go with a method, as a sentence; empty where it does.

        Args:
            members: how many adapters it brings together.
        """
        return ""

    def library_refusal(self, method: MethodSpec, lower: MethodSpec, alone: str, names: Names) -> str:
        """Why the reference lane has not got it for a method, as a sentence; empty where it has.

        Args:
            lower: the method of the adapter below.
            alone: why no adapter that a library makes of the method can lie upon another; empty where it can.
        """
        return ""

    def bundles_with(self) -> tuple[object, ...]:
        """Equal for transfers whose trainings have one structure, what lies below being equal."""
        return ()

    def own(self, method: MethodSpec, members: int) -> MethodSpec:
        """The method of what comes out, as it enters the target's identity."""
        return method

    def acting(self, method: MethodSpec, lower: Sequence[MethodSpec]) -> MethodSpec:
        """What is trained, above the frozen adapters below if it freezes any."""
        return method

    def parameters(self, method: MethodSpec, info: BackboneInfo, made: int) -> int:
        """Trainable parameters beside the head's.

        Args:
            made: how many the library counted, where it makes the adapter.
        """
        return method.parameters(info, made)

    def merging(self, method: MethodSpec) -> Merging:
        """The arithmetic by which several adapters become one. ValueError for a transfer that has none."""
        raise ValueError(f"the transfer {self.kind} merges nothing")

    def initial(
        self,
        method: MethodSpec,
        members: Sequence[Mapping[str, Tensor]],
        merging: Merging | None,
        shape: Shape,
        seed: int,
    ) -> Mapping[str, Tensor] | None:
        """The adapter tensors that a training starts from; None where it starts as its method does.

        Args:
            members: tensors of the inputs, in their order.
            merging: with the weights that were chosen, where it tunes.
            seed: of the training.
        """
        return None


def given(spec: TransferSpec, exclude: set[str]) -> dict[str, JSON]:
    """The settings of a transfer that differ from their frozen defaults; a null is always a default."""
    usual = spec.frozen_defaults()
    written = spec.model_dump(mode="json", exclude={"kind", *exclude})
    return {key: value for key, value in written.items() if value is not None and value != usual.get(key)}
