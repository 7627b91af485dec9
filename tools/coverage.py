"""How often the report's 95 % intervals hold the truth, and how often its answer claims a change where there is none.

`python -m tools.coverage --grids 1000 --out reports/coverage` makes up grids of trained models whose true scores are
known, gives them to the report's own functions, and counts.

A grid has two sizes and two arms (or what a `World` says) on one target in fifteen languages, trained in the first. An
item is answered rightly if a normal variable (its difficulty in all languages, in one, and for one model) stays below a
threshold that gives the model its true accuracy in that language. That accuracy moves with every training, in all
languages together and, half as much, in each alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from adapterx.plan.cells import Cell
from adapterx.report.collect import CellResult, Results, TargetFacts
from adapterx.report.gaps import gaps
from adapterx.report.levels import levels
from adapterx.report.overall import Overall, overall
from adapterx.report.predictions import LanguageItems, Predictions
from adapterx.report.scores import Grid
from adapterx.report.statistics import Estimate, Quantity
from adapterx.results.run_file import BackboneSize, PlannedCell, Run, StageRef
from adapterx.store import JSON
from adapterx.tasks.metrics import Accuracy

LANGUAGES = tuple(f"l{number:02}" for number in range(15))
SOURCE, OTHERS = LANGUAGES[0], LANGUAGES[1:]
GAP = 0.02
"""What the arm gains, whatever the size: its change is 0."""
SHARES = {"item": 0.4, "language": 0.2, "model": 0.4}
"""Of an item's difficulty: its own in all languages, in one language, and for one model."""


@dataclass(frozen=True)
class World:
    """What is true of the made-up grids."""

    items: int
    seeds: int
    spread: float
    """Standard deviation of a training's accuracy, in points."""
    kind: str = ""
    """What is unlike the plain grid, in words."""
    shared: float = 1.0
    """How many of the items every language has; each other item is one language's own."""
    uneven: float = 0.0
    """Standard deviation of the logarithm of the settings' spreads."""
    correlation: float = 0.0
    """Of two arms' trainings with one seed."""
    sizes: int = 2
    targets: int = 1


def plain() -> Iterator[World]:
    """Every number of items and seeds with every spread."""
    for items, seeds, spread in product((60, 300, 2000), (2, 3, 5), (0.5, 1.0, 2.0)):
        yield World(items, seeds, spread)


def worlds() -> Iterator[World]:
    """The rows of the table."""
    yield from plain()
    variants = (
        {"kind": "19 of 20 items parallel", "shared": 0.95},
        {"kind": "no item parallel", "shared": 0.0},
        {"kind": "uneven spreads (log sd 0.7)", "uneven": 0.7},
        {"kind": "arms correlated 0.5", "correlation": 0.5},
        {"kind": "three sizes", "sizes": 3},
        {"kind": "two targets", "targets": 2},
    )
    for variant, (items, seeds) in product(variants, ((60, 2), (300, 3), (2000, 2))):
        yield replace(World(items, seeds, 1.0), **variant)  # type: ignore[arg-type]
    for items, spread in product((300, 2000), (1.0, 2.0)):
        yield World(items, 1, spread, "one seed")


def grid(world: World, random: np.random.Generator) -> Results:
    """One made-up grid."""
    names = [f"size{number}" for number in range(world.sizes)]
    cells, targets = [], {}
    for target in (f"target{number}" for number in range(world.targets)):
        ids = _ids(world, random)
        difficulty = _difficulty(ids, random)
        targets[target] = TargetFacts(target, ("accuracy",), LANGUAGES, (SOURCE,), ids, {"accuracy": {}})
        for name in names:
            luck = random.normal(size=world.seeds)
            for intermediate in ("en", "multi"):
                spread = world.spread / 100 * math.exp(world.uneven * random.normal() - world.uneven**2)
                for seed in range(world.seeds):
                    own = random.normal()
                    common = math.sqrt(world.correlation) * luck[seed] + math.sqrt(1 - world.correlation) * own
                    moved = spread * (common + 0.5 * random.normal(size=len(LANGUAGES)))
                    chances = moved + [_accuracy(intermediate, language) for language in LANGUAGES]
                    cell = Cell(name, "lora", intermediate, "continue", target, seed)
                    scores = _answers(ids, difficulty, chances, random)
                    cells.append(CellResult(cell, "done", "", scores))
    backbones = {
        name: BackboneSize(name, name, None, name, "", 6, 384 << at, 4 * 384 << at) for at, name in enumerate(names)
    }
    planned = [
        PlannedCell(one.cell, evaluation=StageRef("evaluation", one.cell.label, one.cell.label)) for one in cells
    ]
    recipe: dict[str, JSON] = {"name": "made up", "compare": {"arm": "multi", "baseline": "en", "by": "backbones"}}
    return Results(Run("made up", "", recipe, (), tuple(planned), backbones), tuple(cells), targets, {}, {})


def _accuracy(intermediate: str, language: str) -> float:
    """The truth, over all items and trainings there might be."""
    return 0.76 - 0.01 * LANGUAGES.index(language) + GAP * (intermediate == "multi")


def _ids(world: World, random: np.random.Generator) -> dict[str, tuple[str, ...]]:
    common = random.random(world.items) < world.shared
    if common.all():
        return dict.fromkeys(LANGUAGES, tuple(f"{at:05}" for at in range(world.items)))
    return {
        language: tuple(sorted(f"{'' if common[at] else language}{at:05}" for at in range(world.items)))
        for language in LANGUAGES
    }


def _difficulty(ids: dict[str, tuple[str, ...]], random: np.random.Generator) -> NDArray[np.float32]:
    """Of every language's items, what all models share of it: (languages, items)."""
    place: dict[str, int] = {}
    of = {one: [place.setdefault(id, len(place)) for id in one] for one in dict.fromkeys(ids.values())}
    drawn = random.standard_normal(len(place), np.float32)
    shared = math.sqrt(SHARES["item"]) * np.stack([drawn[of[ids[language]]] for language in LANGUAGES])
    return shared + math.sqrt(SHARES["language"]) * random.standard_normal(shared.shape, np.float32)


def _answers(
    ids: dict[str, tuple[str, ...]],
    difficulty: NDArray[np.float32],
    chances: Sequence[float],
    random: np.random.Generator,
) -> Predictions:
    own = math.sqrt(SHARES["model"]) * random.standard_normal(difficulty.shape, np.float32)
    bars = np.array([NormalDist().inv_cdf(min(max(chance, 0.001), 0.999)) for chance in chances], np.float32)
    right = difficulty + own < bars[:, None]
    statistics = np.ones((*right.shape, 2), np.float32)
    statistics[..., 0] = right
    languages = {name: LanguageItems(ids[name], {"accuracy": statistics[at]}) for at, name in enumerate(LANGUAGES)}
    return Predictions((Accuracy(),), languages, "made up")


@dataclass
class Count:
    """Intervals that held, of those asked."""

    held: int = 0
    asked: int = 0
    width: float = 0.0

    def add(self, quantity: Quantity, truth: float) -> None:
        """Count one interval."""
        if not isinstance(quantity, Estimate):
            raise TypeError(f"a whole grid has no missing quantity: {quantity}")
        self.held += quantity.low <= truth <= quantity.high
        self.asked += 1
        self.width += quantity.high - quantity.low


@dataclass(frozen=True)
class Row:
    """What was counted in one world."""

    world: World
    grids: int
    score: float
    """Share of intervals that held the truth: of means over other languages, as are the next two."""
    gap: float
    change: float
    language: float
    """Of gaps in one language."""
    claims: float
    """Share of grids whose answer claims a change of any contrast, or of their mean, where none changes."""
    half: float
    """Mean half width of a gap's interval, in points."""
    seconds: float
    """Of one core."""


def measure(world: World, grids: int, start: int = 0) -> Row:
    """Make up grids and count."""
    began = time.process_time()
    score, gap, change, language, claims = Count(), Count(), Count(), Count(), 0
    truth = {name: float(np.mean([_accuracy(name, one) for one in OTHERS])) for name in ("en", "multi")}
    for number in range(start, start + grids):
        key = f"{world}".encode()
        made = Grid(grid(world, np.random.default_rng([number, *key])))
        for one in made.scores():
            score.add(one.summary.headline, truth[one.setting.intermediate])
        all_gaps = gaps(made)
        for found in all_gaps:
            gap.add(found.summary.headline, GAP)
            for code in OTHERS:
                language.add(found.summary.languages[code], GAP)
        said = overall(made, all_gaps, levels(made.results.run.backbones.values()))
        claims += said is not None and _claims(said, change)
    shares = {
        name: one.held / one.asked
        for name, one in (("score", score), ("gap", gap), ("change", change), ("language", language))
    }
    half, seconds = 50 * gap.width / gap.asked, time.process_time() - began
    return Row(world, grids, **shares, claims=claims / grids, half=half, seconds=seconds)


def _claims(said: Overall, change: Count) -> bool:
    """Whether the answer claims anything, where nothing is so; counts the changes on the way."""
    for one in said.contrasts:
        if one.change is not None:
            change.add(one.change, 0.0)
    return bool({"up", "down", "bends"} & {*said.verdicts, *said.mean_verdicts})


HEAD = """\
# How often intervals hold the truth

Made by `python -m tools.coverage`, which makes up grids of trained models whose true scores are known and hands them
to the report's own functions. Two sizes and two arms; one target, trained in one of fifteen languages; every item is
asked in every language, and trainings are independent and vary alike, unless a heading says otherwise. The arm gains
two points at every size: nothing changes.

- **score, gap, change**: per cent of nominal 95 % intervals that hold the truth, of means over the fourteen other
  languages. **gap in one language**: likewise.
- **false claims**: per cent of grids whose answer claims that a gap changes with size.
- With **one seed** intervals and claims are about the trained models at hand; what is counted is still the truth about
  all trainings, to show what one seed cannot say.
- **sd**: standard deviation of a training's accuracy, in points. **half width**: of a gap's interval, in points.
"""


def processor() -> str:
    """The processor's name, as the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def markdown(rows: Sequence[Row]) -> str:
    """The page."""
    seconds = sum(row.seconds for row in rows)
    usual = min(row.grids for row in rows)
    error = 100 * math.sqrt(0.95 * 0.05 / usual)
    count = f"{usual:,} grids a row, so that a share of 95 % is known to ± {error:.1f} (one standard error)"
    for row in (row for row in rows if row.grids > usual):
        of = f"{row.world.items:,} items, {row.world.seeds} seeds, sd {row.world.spread:g}"
        count += f";\n{row.grids:,} of the row “{row.world.kind}, {of}”"
    told = f"{len(rows)} of {len(list(worlds()))} rows so far. " if len(rows) < len(list(worlds())) else ""
    told += f"{count}.\n{os.cpu_count()} cores, {processor()}: {seconds:,.0f} seconds of one core."
    heads = [
        "items",
        "seeds",
        "sd",
        "score",
        "gap",
        "change",
        "gap in one language",
        "false claims",
        "half width of a gap",
    ]
    lines = []
    for kind in dict.fromkeys(row.world.kind for row in rows):
        lines += [f"\n## {kind.capitalize() or 'Two sizes, two arms, parallel items'}\n", f"| {' | '.join(heads)} |"]
        lines.append("|" + " ---: |" * len(heads))
        for row in (row for row in rows if row.world.kind == kind):
            shares = [f"{100 * share:.1f}" for share in (row.score, row.gap, row.change, row.language, row.claims)]
            sizes = [f"{row.world.items:,}", f"{row.world.seeds}", f"{row.world.spread:g}"]
            lines.append(f"| {' | '.join([*sizes, *shares, f'{row.half:.2f}'])} |")
    return "\n".join([HEAD, told, *lines]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Count the rows that are not in the directory yet, and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, default=1000, help="made-up grids a row")
    parser.add_argument("--out", type=Path, required=True, help="directory for coverage.json and coverage.md")
    parser.add_argument("--part", metavar="K/N", default="1/1", help="only every N-th row, from the K-th on")
    asked = parser.parse_args(arguments)
    first, step = map(int, asked.part.split("/"))
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / "coverage.json"
    rows = [Row(World(**row.pop("world")), **row) for row in json.loads(path.read_text())] if path.exists() else []
    order = list(worlds())
    for world in order[first - 1 :: step]:
        if world not in [row.world for row in rows]:
            rows.append(measure(world, asked.grids))
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
            rows.sort(key=lambda row: order.index(row.world))
            path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
            (asked.out / "coverage.md").write_text(markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
