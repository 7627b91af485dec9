"""run.json: which cells a run consists of and where their stages are stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from adapterx.plan.cells import Cell
from adapterx.store import JSON

RUN = "run.json"


@dataclass(frozen=True)
class StageRef:
    """Where a stage is stored."""

    kind: str
    slug: str
    id: str


@dataclass(frozen=True)
class PlannedCell:
    """A cell with its stages, in the order they run; a refused one has none."""

    cell: Cell
    stages: tuple[StageRef, ...]
    refused: str | None
    target_training: bool = False
    """Whether the intermediate learns the target's own task."""


@dataclass(frozen=True)
class BackboneSize:
    """A backbone's facts, as the run recorded them."""

    name: str
    model: str
    revision: str | None
    key: str
    """Names the content: equal keys, equal weights."""
    architecture: str
    layers: int
    hidden: int
    intermediate: int

    @property
    def parameters(self) -> int:
        """Parameters of the encoder layers, embeddings left out.

        Per layer: four attention projections, the two feed-forward maps, their biases, and two layer norms.
        """
        wide, inner = self.hidden, self.intermediate
        return self.layers * (4 * wide * (wide + 1) + 2 * wide * inner + inner + wide + 4 * wide)


@dataclass(frozen=True)
class Run:
    """What was asked for."""

    name: str
    description: str
    recipe: Mapping[str, JSON]
    overrides: tuple[str, ...]
    cells: tuple[PlannedCell, ...]
    backbones: Mapping[str, BackboneSize]
    remarks: tuple[str, ...] = ()
    """What training, dev and test data have in common, as far as it was let pass or not looked at."""

    @property
    def compare(self) -> tuple[str, str, str] | None:
        """Arm, baseline and the axis along which their gap is drawn."""
        compare = self.recipe.get("compare")
        if not isinstance(compare, Mapping):
            return None
        return str(compare["arm"]), str(compare["baseline"]), str(compare.get("by", "backbones"))

    @property
    def target_training(self) -> frozenset[tuple[str, str]]:
        """Intermediate and target, where the one learns the other's own task."""
        return frozenset((one.cell.intermediate, one.cell.target) for one in self.cells if one.target_training)

    def labelled(self, intermediate: str, target: str) -> str:
        """What tables call an intermediate."""
        return f"{intermediate} (target training)" if (intermediate, target) in self.target_training else intermediate

    @property
    def resamples(self) -> int:
        """Resamples behind each interval."""
        return int(cast(int, cast(Mapping[str, JSON], self.recipe["evaluate"])["bootstrap"]))

    @property
    def limit(self) -> int | None:
        """Test items of each language that were evaluated; None for all."""
        return cast(int | None, cast(Mapping[str, JSON], self.recipe["evaluate"]).get("limit"))


def read(run_dir: Path) -> Run:
    """Read a run's run.json; FileNotFoundError or ValueError name the file."""
    path = run_dir / RUN
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: {run_dir} is not the directory of a run")
    try:
        content = json.loads(path.read_bytes())
        recipe = content["recipe"]
        return Run(
            name=recipe["name"],
            description=recipe.get("description", ""),
            recipe=recipe,
            overrides=tuple(content["overrides"]),
            cells=tuple(_planned(entry) for entry in content["cells"]),
            backbones={name: _backbone(name, facts) for name, facts in content["backbones"].items()},
            remarks=tuple(content.get("remarks", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not what a run writes: {error!r}") from error


def _planned(entry: Mapping[str, Any]) -> PlannedCell:
    stages: Mapping[str, Mapping[str, str] | None] = entry["stages"] or {}
    members: Sequence[Mapping[str, str]] = entry.get("members", ())
    ordered = (*members, *(stages.get(kind) for kind in ("intermediate", "target", "evaluation")))
    refs = tuple(StageRef(ref["kind"], ref["slug"], ref["id"]) for ref in ordered if ref is not None)
    return PlannedCell(Cell(**entry["cell"]), refs, entry["refused"], entry.get("target_training", False))


def _backbone(name: str, facts: Mapping[str, Any]) -> BackboneSize:
    sizes: Sequence[int] = [facts[key] for key in ("layers", "hidden", "intermediate")]
    texts = (facts[key] for key in ("model", "revision", "key", "architecture"))
    return BackboneSize(name, *texts, *sizes)
