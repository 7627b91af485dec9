"""run.json: what a run asks for and where its stages are stored, so that a report needs nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from adapterx.backbones.info import layer_parameters
from adapterx.errors import AdapterxError
from adapterx.limits import Limit
from adapterx.plan import Plan
from adapterx.plan.cells import Cell
from adapterx.reading import UnreadableFile, read_json
from adapterx.results import arms
from adapterx.results.arms import ToldArm
from adapterx.store import JSON
from adapterx.store.atomic import write_text
from adapterx.store.store import PLAIN_NAME, RUN
from adapterx.wording import plain, shown

LARGEST = 500_000_000
"""Bytes of a run.json that are read; a cell takes about a thousand."""
_MEND = "`adapterx run` the recipe again, which writes it anew"


@dataclass(frozen=True)
class StageRef:
    """Where a stage is stored."""

    kind: str
    label: str
    id: str

    def told(self) -> dict[str, JSON]:
        """It in JSON, where a label has been called a slug since the first version."""
        return {"kind": self.kind, "slug": self.label, "id": self.id}


@dataclass(frozen=True)
class PlannedCell:
    """A cell and where its stages are stored; a refused one has none."""

    cell: Cell
    refused: str | None = None
    """Why it is not run."""
    evaluation: StageRef | None = None
    """None of a refused cell alone."""
    target: StageRef | None = None
    """None where an intermediate, or the backbone as it is, is evaluated."""
    intermediate: StageRef | None = None
    members: tuple[StageRef, ...] = ()
    """The trainings that a target brings together, or the adapters of other languages that take turns below it."""
    target_training: bool = False
    """Whether the intermediate learns the target's own task."""

    @property
    def stages(self) -> tuple[StageRef, ...]:
        """All of its stages, in the order they run."""
        ordered = (*self.members, self.intermediate, self.target, self.evaluation)
        return tuple(ref for ref in ordered if ref is not None)


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
    vocabulary: int | None = None
    """Tokens; None in runs of versions that did not record it."""

    @property
    def parameters(self) -> int:
        """Parameters of the encoder layers, embeddings left out."""
        return layer_parameters(self.layers, self.hidden, self.intermediate)


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
    arms: tuple[ToldArm, ...] = ()
    """The intermediates that are compared, the baseline first; none in runs of before they were told."""
    unequal: tuple[str, ...] = ()
    """In what the arms differ beside what they learn."""
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
    def contrasts(self) -> Mapping[str, tuple[str, str]]:
        """Arm and baseline of each further gap, by its name."""
        compare = self.recipe.get("compare")
        further = compare.get("contrasts", {}) if isinstance(compare, Mapping) else {}
        found = cast(Mapping[str, Mapping[str, JSON]], further)
        return {name: (_text(one["arm"]), _text(one["baseline"])) for name, one in found.items()}

    @property
    def delta(self) -> float:
        """The largest change of a gap that is too small to speak of, of scores from 0 to 1; a point by default."""
        compare = self.recipe.get("compare")
        return float(cast(float, compare.get("delta", 1.0))) / 100 if isinstance(compare, Mapping) else 0.01

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


def of_plan(plan: Plan, overrides: Sequence[str]) -> Run:
    """What a plan asks for.

    Args:
        overrides: what was set on the command line.
    """
    recipe: Mapping[str, JSON] = plan.recipe.model_dump(mode="json")
    return Run(
        name=plan.recipe.name,
        description=plan.recipe.description,
        recipe=recipe,
        overrides=tuple(overrides),
        cells=tuple(_of_cell(plan, cell) for cell in plan.cells),
        backbones={name: _of_backbone(plan, name) for name in plan.backbones},
        remarks=tuple(plan.remarks),
        arms=tuple(map(arms.of_plan, plan.arms.arms)),
        unequal=plan.arms.unequal,
    )


def _of_cell(plan: Plan, cell: Cell) -> PlannedCell:
    stages = plan.cell_stages.get(cell)
    if stages is None:
        return PlannedCell(cell, plan.refused[cell])
    return PlannedCell(
        cell,
        evaluation=_of_stage(plan, stages.evaluation),
        target=None if stages.target is None else _of_stage(plan, stages.target),
        intermediate=None if stages.intermediate is None else _of_stage(plan, stages.intermediate),
        members=tuple(_of_stage(plan, id) for id in stages.members),
        target_training=cell in plan.target_training,
    )


def _of_stage(plan: Plan, id: str) -> StageRef:
    stage = plan.stages[id]
    return StageRef(stage.kind, stage.label, stage.id)


def _of_backbone(plan: Plan, name: str) -> BackboneSize:
    backbone, info = plan.recipe.backbones[name], plan.backbones[name]
    return BackboneSize(
        name=name,
        model=backbone.model,
        revision=backbone.revision,
        key=info.key,
        architecture=info.architecture,
        layers=info.layers,
        hidden=info.hidden,
        intermediate=info.intermediate,
        vocabulary=info.vocabulary,
    )


def write(directory: Path, run: Run) -> bool:
    """Write a run's run.json; returns whether it differs from what was there."""
    content: dict[str, JSON] = {
        "adapterx": 1,
        "recipe": run.recipe,
        "overrides": list(run.overrides),
        "cells": [_written_cell(planned) for planned in run.cells],
        "backbones": {name: _written_backbone(backbone) for name, backbone in run.backbones.items()},
        "remarks": list(run.remarks),
        **({"arms": [arm.told() for arm in run.arms], "unequal": list(run.unequal)} if run.arms else {}),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = directory / RUN
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    with suppress(OSError):
        path.rmdir()  # an empty directory in its place, which a damaged file system may leave
    write_text(path, text)
    return True


def _written_cell(planned: PlannedCell) -> dict[str, JSON]:
    coordinates: dict[str, JSON] = asdict(planned.cell)
    if planned.refused is not None:
        return {"cell": coordinates, "stages": None, "refused": planned.refused}
    named = {"intermediate": planned.intermediate, "target": planned.target, "evaluation": planned.evaluation}
    refs: dict[str, JSON] = {kind: None if ref is None else ref.told() for kind, ref in named.items()}
    more: dict[str, JSON] = {"members": [ref.told() for ref in planned.members]} if planned.members else {}
    more |= {"target_training": True} if planned.target_training else {}
    return {"cell": coordinates, "stages": refs, "refused": None, **more}


def _written_backbone(backbone: BackboneSize) -> dict[str, JSON]:
    facts: dict[str, JSON] = asdict(backbone)
    del facts["name"]  # under which it stands
    return facts


def read(run_dir: Path) -> Run:
    """Read a run's run.json; UnreadableRun says what is wrong with it."""
    path = run_dir / RUN
    try:
        run = _run(read_json(path, LARGEST), state_of(path.read_bytes()))
        # What the recipe says of these is asked for later, where nobody would know whose mistake it is.
        _ = run.compare, run.contrasts, run.delta, run.resamples, run.limit
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
        arms=tuple(map(arms.read, content.get("arms", ()))),
        unequal=tuple(map(_text, content.get("unequal", ()))),
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
    refs = {kind: None if ref is None else _reference(ref) for kind, ref in stages.items()}
    refused = None if entry["refused"] is None else _text(entry["refused"])
    if refused is None and refs.get("evaluation") is None:
        raise ValueError("a cell has neither stages nor a reason")
    place: dict[str, Any] = {name: value if name == "seed" else _text(value) for name, value in entry["cell"].items()}
    return PlannedCell(
        Cell(**{**place, "seed": int(place["seed"])}),
        refused,
        evaluation=refs.get("evaluation"),
        target=refs.get("target"),
        intermediate=refs.get("intermediate"),
        members=tuple(map(_reference, members)),
        target_training=bool(entry.get("target_training", False)),
    )


def _backbone(name: str, facts: Mapping[str, Any]) -> BackboneSize:
    layers, hidden, intermediate = (int(facts[key]) for key in ("layers", "hidden", "intermediate"))
    model, key, architecture = (_text(facts[key]) for key in ("model", "key", "architecture"))
    revision = None if facts["revision"] is None else _text(facts["revision"])
    vocabulary = None if facts.get("vocabulary") is None else int(facts["vocabulary"])
    return BackboneSize(name, model, revision, key, architecture, layers, hidden, intermediate, vocabulary)
