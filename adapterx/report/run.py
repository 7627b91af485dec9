"""run.json: which cells a run consists of and where their stages are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from adapterx.errors import AdapterxError
from adapterx.limits import Limit
from adapterx.plan.cells import Cell
from adapterx.reading import UnreadableFile, read_json
from adapterx.store import JSON
from adapterx.store.store import PLAIN_NAME
from adapterx.wording import plain, shown

RUN = "run.json"
LARGEST = 500_000_000
"""Bytes of a run.json that are read; a cell takes about a thousand."""
_MEND = "`adapterx run` the recipe again, which writes it anew"


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
    state: str = ""
    """Names the content of run.json: the recipe with its overrides, and the stages that its cells come to."""

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
    def limit(self) -> Limit | None:
        """Which test items of each language were evaluated; None for all.

        Runs of before there was a choice had the first ones.
        """
        evaluate = cast(Mapping[str, Any], self.recipe["evaluate"])
        return Limit.of(evaluate.get("limit"), evaluate.get("sample", "first"))


class UnreadableRun(AdapterxError, ValueError):
    """A run.json that is missing, or cannot be what a run wrote; the message names it."""


def read(run_dir: Path) -> Run:
    """Read a run's run.json; UnreadableRun says what is wrong with it."""
    path = run_dir / RUN
    try:
        run = _run(read_json(path, LARGEST), state_of(path.read_bytes()))
        # What the recipe says of these is asked for later, where nobody would know whose mistake it is.
        _ = run.compare, run.resamples, run.limit
    except FileNotFoundError:
        raise UnreadableRun(f"{path} does not exist: {run_dir} is not the directory of a run") from None
    except UnreadableFile as error:
        raise UnreadableRun(f"{path} {error}; {_MEND}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else plain(str(error), 200)
        raise UnreadableRun(f"{path} is not what a run writes ({what}); {_MEND}") from error
    return run


def _run(content: dict[str, Any], state: str) -> Run:
    recipe = content["recipe"]
    return Run(
        name=_text(recipe["name"]),
        description=_text(recipe.get("description", "")),
        recipe=recipe,
        overrides=tuple(map(_text, content["overrides"])),
        cells=tuple(_planned(entry) for entry in content["cells"]),
        backbones={name: _backbone(name, facts) for name, facts in content["backbones"].items()},
        remarks=tuple(map(_text, content.get("remarks", ()))),
        state=state,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{shown(value)} should be a text")
    return value


def _reference(ref: Mapping[str, str]) -> StageRef:
    """Where a stage is stored; its names are names of directories, and lead nowhere else."""
    for name in (ref["kind"], ref["slug"], ref["id"]):
        if not PLAIN_NAME.fullmatch(_text(name)):
            raise ValueError(f"{shown(name)} names no stage")
    return StageRef(ref["kind"], ref["slug"], ref["id"])


def state_of(text: bytes) -> str:
    """A name for the content of a run.json."""
    return hashlib.sha256(text).hexdigest()[:16]


def _planned(entry: Mapping[str, Any]) -> PlannedCell:
    stages: Mapping[str, Mapping[str, str] | None] = entry["stages"] or {}
    members: Sequence[Mapping[str, str]] = entry.get("members", ())
    ordered = (*members, *(stages.get(kind) for kind in ("intermediate", "target", "evaluation")))
    refs = tuple(_reference(ref) for ref in ordered if ref is not None)
    refused = None if entry["refused"] is None else _text(entry["refused"])
    if refused is None and not refs:
        raise ValueError("a cell has neither stages nor a reason")
    place: dict[str, Any] = {name: value if name == "seed" else _text(value) for name, value in entry["cell"].items()}
    cell = Cell(**{**place, "seed": int(place["seed"])})
    return PlannedCell(cell, refs, refused, bool(entry.get("target_training", False)))


def _backbone(name: str, facts: Mapping[str, Any]) -> BackboneSize:
    sizes = [int(facts[key]) for key in ("layers", "hidden", "intermediate")]
    model, key, architecture = (_text(facts[key]) for key in ("model", "key", "architecture"))
    revision = None if facts["revision"] is None else _text(facts["revision"])
    return BackboneSize(name, model, revision, key, architecture, *sizes)
