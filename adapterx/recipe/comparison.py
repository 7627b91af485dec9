"""What a recipe compares: arms, which are intermediates, on what terms, and along which axis their gap is drawn."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from adapterx.config.fields import Model, Name, PositiveFloat, PositiveInt


class ComparedArms(Model):
    """A further gap: arm minus baseline, two intermediates."""

    arm: str
    baseline: str

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        if self.arm == self.baseline:
            raise ValueError(f"compares '{self.arm}' with itself")
        return self


class Budget(Model):
    """What every arm is to have; a plan in which one has more or less is refused."""

    examples: PositiveInt | None = None
    """Different training examples, of all its tasks and languages together."""
    steps: PositiveInt | None = None
    """Of its training, those of text beside the tasks among them."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.examples is None and self.steps is None:
            raise ValueError("gives neither examples nor steps")
        return self


class Compare(ComparedArms):
    """The gap the report draws, and what it is made of."""

    by: Literal["backbones", "methods", "transfers", "targets"] = "backbones"
    """The axis along which the gap is drawn."""
    delta: PositiveFloat = 1.0
    """Points. A change of the gap that is smaller is too small to speak of: per doubling of the parameters where there
    are three sizes or more, from the smallest to the largest where there are two, the gap itself where there is one."""
    contrasts: dict[Name, ComparedArms] = Field(default_factory=dict)
    """Gaps between other arms, by the name of what tells the two apart; told together, each beside its arms' scores."""
    budget: Budget | None = None
    """The equal terms that all arms are to have."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Every intermediate that is compared, the baseline first."""
        sides = [(one.baseline, one.arm) for one in (self, *self.contrasts.values())]
        return tuple(dict.fromkeys(name for pair in sides for name in pair))
