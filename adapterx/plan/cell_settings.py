"""What a recipe settles for a cell before there are stages: its methods on the backbone, and how they are trained."""

from __future__ import annotations

from typing import Generic

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import MethodSpec
from adapterx.plan import lane
from adapterx.plan.cells import Cell
from adapterx.plan.facts import Facts, Refusal, Task
from adapterx.plan.lane import LibraryAdapter, Measure
from adapterx.plan.stage import Coordinates
from adapterx.recipe import Lane, Recipe
from adapterx.recipe.schema import Rounding
from adapterx.recipe.training import Phase
from adapterx.train_settings import TrainSettings


def asked(recipe: Recipe, place: Coordinates) -> tuple[str, MethodSpec]:
    """The method of a training as the recipe has it, and what it is called there."""
    learnt = recipe.intermediates[place.intermediate]
    if place.target is None and learnt is not None and learnt.method is not None:
        return f"of '{place.intermediate}'", learnt.method
    return f"'{place.method}'", recipe.methods[place.method]


class CellSettings(Generic[Task]):
    """Answers what the recipe says of a cell, and refuses what cannot be.

    Args:
        measure: looks at adapters that a library makes; only asked where the recipe has some.
    """

    def __init__(self, recipe: Recipe, facts: Facts[Task], measure: Measure) -> None:
        self._recipe, self._facts, self._measure = recipe, facts, measure

    def train_settings(self, cell: Cell, phase: Phase, info: BackboneInfo, member: str | None = None) -> TrainSettings:
        """Of the cell's target, or of an intermediate: its own, or a member of it."""
        name, method, own = cell.method, self._recipe.methods[cell.method], self._recipe.targets[cell.target].train
        if phase == "intermediate":
            learnt = self._recipe.intermediates[member or cell.intermediate]
            assert learnt is not None
            own = learnt.train
            if learnt.method is not None:
                name, method = cell.intermediate, learnt.method
        settings = self._recipe.train.phase(phase, name, method.kind, own)
        if method.trains_backbone and settings.prune is not None:
            raise Refusal(
                f"the candidates of `prune` train side by side on frozen weights, and the method '{cell.method}' leaves"
                " none frozen; give it one rate in place of a list"
            )
        if settings.prune is not None and lane.lane_of(self._recipe, method) == "reference":
            raise Refusal(
                f"the candidates of `prune` train side by side, and the reference lane, which trains '{cell.method}',"
                " trains one at a time; give it one rate in place of a list"
            )
        if settings.max_length > info.max_positions:
            raise Refusal(
                f"max_length {settings.max_length} is longer than the {info.max_positions} tokens"
                f" that the backbone '{cell.backbone}' can read"
            )
        return settings

    def sized(self, backbone: str, method: str, info: BackboneInfo) -> MethodSpec:
        """The method as it is on this backbone: its rank or width, where it has a budget."""
        return _sized(self._recipe.methods[method], f"'{method}'", backbone, info)

    def check_lane(self, cell: Cell, info: BackboneInfo) -> None:
        """The reference lane does what the libraries do, no less and no more."""
        if self.lane(cell) == "fused":
            return
        lane.check(cell, self._recipe, info, self.prefix(info, *self.methods(cell)))
        found = self._measured(cell.backbone, cell.method, info)
        if cell.transfer != "none":
            lane.check_transfer(cell, self._recipe, found)

    def counted(self, place: Coordinates, info: BackboneInfo) -> int:
        """Parameters of an adapter that a library makes, else 0."""
        library = self._measured(place.backbone, place.method, info) if place.method in self._recipe.methods else None
        return 0 if library is None else library.parameters

    def trained(self, place: Coordinates, info: BackboneInfo) -> tuple[Backbone, MethodSpec]:
        """What a stage at this place trains: the backbone, and the method as it is on it."""
        name, method = asked(self._recipe, place)
        return self._recipe.backbones[place.backbone], _sized(method, name, place.backbone, info)

    def prefix(self, info: BackboneInfo, *methods: MethodSpec) -> Rounding:
        """How hidden states below adapters of these methods are rounded, if any are kept."""
        cache = self._recipe.prefix_cache
        lowest = min((method.lowest_layer(info.layers) for method in methods), default=info.layers)
        return "exact" if cache.where == "none" or lowest == 0 else cache.precision

    def methods(self, cell: Cell) -> list[MethodSpec]:
        """Those of a cell's adapters: its own, and that of an intermediate which has another."""
        learnt = self._recipe.intermediates[cell.intermediate]
        return [self._recipe.methods[cell.method], *([learnt.method] if learnt and learnt.method else [])]

    def lane(self, cell: Cell) -> Lane:
        """Where the cell's method is trained."""
        return lane.lane_of(self._recipe, self._recipe.methods[cell.method])

    def _measured(self, backbone: str, name: str, info: BackboneInfo) -> LibraryAdapter | None:
        """What a library makes of a method; None for methods of this package."""
        method = self._recipe.methods[name]
        if not method.made_by_library:
            return None
        try:
            return self._facts.once(("adapter", name, info), lambda: self._measure(method, info))
        except Refusal as refusal:
            raise Refusal(f"the method '{name}' on the backbone '{backbone}' {refusal}") from None


def _sized(method: MethodSpec, named: str, backbone: str, info: BackboneInfo) -> MethodSpec:
    try:
        return method.sized(info)
    except ValueError as error:
        raise Refusal(f"the method {named} {error}, the backbone '{backbone}'") from None
