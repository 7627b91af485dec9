"""How often the report's 95 % intervals hold the truth, and how often its answer claims a change where there is none.

`python -m tools.coverage --grids 1000 --out reports/coverage` makes up grids of trained models whose true scores are
known (`tools/coverage_grids.py`), gives them to the report's own functions, and counts. It goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from adapterx.report.gaps import Gap, gaps
from adapterx.report.levels import levels
from adapterx.report.overall import Overall, overall
from adapterx.report.ranks import ranks
from adapterx.report.scores import Grid, Setting
from adapterx.report.statistics import Estimate, Quantity
from tools.coverage_grids import GAP, Floats, Made, World, grid, worlds

QUANTITIES = ("cell", "score", "language", "gap", "gap_language", "change", "rank")
"""What intervals are counted of; `slope` too where there are three sizes, which is the change in another unit."""


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
        self.held += bool(quantity.low <= truth <= quantity.high)
        self.asked += 1
        self.width += quantity.high - quantity.low

    @property
    def share(self) -> float:
        """Of the intervals, those that held."""
        return self.held / self.asked


@dataclass(frozen=True)
class Row:
    """What was counted in one world."""

    world: World
    grids: int
    shares: Mapping[str, float]
    """Shares of intervals that held the truth, by quantity. With one seed, the truth about the trained models."""
    claims: float
    """Share of grids whose answer claims a change of any contrast, or of their mean, where none changes."""
    half: float
    """Mean half width of a gap's interval, in points."""
    seconds: float
    """Of one core."""
    beyond: Mapping[str, float] = field(default_factory=dict)
    """With one seed, the same shares of the truth about all trainings, which such intervals do not claim."""


class Counts:
    """What is counted over the grids of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.of = {name: Count() for name in QUANTITIES}
        self.beyond = {name: Count() for name in ("score", "gap", "change")}
        self.claims = 0
        self._headline = slice(len(world.sources), None)
        self._truths = {name: world.truth(name) for name in ("en", "multi")}

    def add(self, made: Made) -> None:
        """Count one grid."""
        whole = Grid(made.results)
        places = {name: at for at, name in enumerate(self.world.names)}
        for cell in whole.cell_scores():
            self.of["cell"].add(cell.estimate, made.chances[cell.result.cell][places[cell.language]])
        for one in whole.scores():
            truth = self._truth(made, one.setting)
            self._count("score", one.summary.headline, self._mean(truth), one.setting.intermediate)
            for name, at in places.items():
                self.of["language"].add(one.summary.languages[name], truth[at])
        found = gaps(whole)
        for gap in found:
            truth = self._gap(made, gap)
            self._count("gap", gap.summary.headline, self._mean(truth))
            for name, at in places.items():
                self.of["gap_language"].add(gap.summary.languages[name], truth[at])
        said = overall(whole, found, levels(made.results.run.backbones.values()))
        if said is not None:
            self._change(made, found, said)
        self._ranks(made, whole)

    def row(self, grids: int, seconds: float) -> Row:
        """What was counted."""
        beyond = {name: one.share for name, one in self.beyond.items()} if self.world.seeds == 1 else {}
        half = 50 * self.of["gap"].width / self.of["gap"].asked
        shares = {name: one.share for name, one in self.of.items()}
        return Row(self.world, grids, shares, self.claims / grids, half, seconds, beyond)

    def _count(self, name: str, quantity: Quantity, truth: float, intermediate: str = "") -> None:
        self.of[name].add(quantity, truth)
        always = {"score": lambda: self._mean(self._truths[intermediate]), "gap": lambda: GAP, "change": lambda: 0.0}
        self.beyond[name].add(quantity, always[name]())

    def _mean(self, by_language: Floats) -> float:
        """Of a headline's languages."""
        return float(by_language[self._headline].mean())

    def _truth(self, made: Made, of: Setting) -> Floats:
        """A setting's true scores: over all trainings, or where there is one seed, of the model that was trained."""
        if self.world.seeds > 1:
            return self._truths[of.intermediate]
        (chances,) = (chances for cell, chances in made.chances.items() if _at(cell) == _at(of))
        return chances

    def _gap(self, made: Made, gap: Gap) -> Floats:
        return self._truth(made, gap.arm) - self._truth(made, gap.baseline)

    def _change(self, made: Made, found: Sequence[Gap], said: Overall) -> None:
        """Count the changes, and whether the answer claims anything where nothing changes."""
        sizes = np.log([one.parameters for one in made.results.run.backbones.values()])
        weights = (sizes - sizes.mean()) / np.sum((sizes - sizes.mean()) ** 2) * (sizes[-1] - sizes[0])
        for one in said.contrasts:
            of = [self._mean(self._gap(made, gap)) for gap in found if gap.arm.target == one.target]
            assert one.change is not None, "made-up grids have two sizes at least"
            self._count("change", one.change, float(weights @ of))
        self.claims += bool({"up", "down", "bends"} & {*said.verdicts, *said.mean_verdicts})

    def _ranks(self, made: Made, whole: Grid) -> None:
        """Count the intervals that hold every rank which a setting may claim, those of equal truth sharing some."""
        found = ranks(whole)
        truths = {one.setting: self._mean(self._truth(made, one.setting)) for one in found}
        for one in found:
            others = [truths[other] for other in truths if other.target == one.setting.target]
            own = truths[one.setting]
            best = 1 + sum(other > own + 1e-9 for other in others)
            worst = sum(other > own - 1e-9 for other in others)
            self.of["rank"].held += one.low <= best and worst <= one.high
            self.of["rank"].asked += 1


def _at(place: object) -> tuple[str, ...]:
    return tuple(getattr(place, axis) for axis in ("backbone", "method", "intermediate", "transfer", "target"))


def measure(world: World, grids: int, start: int = 0) -> Row:
    """Make up grids and count."""
    began, counts = time.process_time(), Counts(world)
    for number in range(start, start + grids):
        counts.add(grid(world, np.random.default_rng([number, *f"{world}".encode()])))
    return counts.row(grids, time.process_time() - began)


HEAD = """\
# How often intervals hold the truth

Made by `python -m tools.coverage`, which makes up grids of trained models whose true scores are known and hands them
to the report's own functions. Two sizes and two arms on one target, trained in the first of its languages; every item
is asked in every language, trainings are independent and vary alike, and the baseline's accuracy is 0.6 in the language
of middling difficulty, unless a heading says otherwise. The arm gains two points at every size: nothing changes.

- **score, gap, change**: per cent of nominal 95 % intervals that hold the truth, of means over the languages that were
  not trained in. **score and gap in one language**: likewise. With three sizes and more the change is the slope of the
  line fitted to the gaps, so many doublings long.
- **cell**: intervals of one trained model in one language hold what that model would score on all items there might be.
- **rank**: intervals of ranks promise 95 % or more, since there is nothing between two ranks; counted are those that
  hold all ranks which settings of equal truth share.
- **false claims**: per cent of grids whose answer claims that a gap changes with size.
- With **one seed** intervals are about the trained models at hand, and so is the truth that is counted. The last table
  counts the truth about all trainings in the same intervals, to show what one seed cannot say.
- Intervals of 60 items may hold more than 97 %: they are wider than they need be where scores come in few steps.
- **sd**: standard deviation of a training's accuracy, in points. **half width**: of a gap's interval, in points.
"""
TITLES = {
    "cell": "cell",
    "score": "score",
    "language": "score in one language",
    "gap": "gap",
    "gap_language": "gap in one language",
    "change": "change",
    "rank": "rank",
}
PLAIN = "Two sizes, two arms, parallel items"
BEYOND = "One seed, and the truth about all trainings"


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
    wanted = len(list(worlds()))
    told = f"{len(rows)} of {wanted} rows so far. " if len(rows) < wanted else ""
    told += f"{count}.\n{os.cpu_count()} cores, {processor()}: {seconds:,.0f} seconds of one core."
    lines: list[str] = []
    for kind in dict.fromkeys(row.world.kind for row in rows):
        of_kind = [row for row in rows if row.world.kind == kind]
        texts = [[*(_percent(row.shares[name]) for name in TITLES), _percent(row.claims)] for row in of_kind]
        lines += _table(kind or PLAIN, [*TITLES.values(), "false claims"], of_kind, texts)
    if single := [row for row in rows if row.beyond]:
        texts = [[_percent(share) for share in row.beyond.values()] for row in single]
        lines += _table(BEYOND, list(single[0].beyond), single, texts)
    return "\n".join([HEAD, told, *lines]) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(title: str, heads: Sequence[str], rows: Sequence[Row], texts: Sequence[Sequence[str]]) -> list[str]:
    heads = ["items", "seeds", "sd", "languages", "accuracy", *heads, "half width of a gap"]
    lines = [f"\n## {title[0].upper()}{title[1:]}\n", f"| {' | '.join(heads)} |", "|" + " ---: |" * len(heads)]
    for row, shares in zip(rows, texts, strict=True):
        world = row.world
        sizes = [f"{world.items:,}", world.seeds, f"{world.spread:g}", world.languages, f"{world.accuracy:g}"]
        lines.append(f"| {' | '.join([*map(str, sizes), *shares, f'{row.half:.2f}'])} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Count the rows that are not in the directory yet, and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, default=1000, help="made-up grids a row")
    parser.add_argument("--out", type=Path, required=True, help="directory for coverage.json and coverage.md")
    parser.add_argument("--part", metavar="K/N", default="1/1", help="only every N-th row, from the K-th on")
    parser.add_argument("--take", type=Path, nargs="*", default=(), help="directories of rows that others have counted")
    asked = parser.parse_args(arguments)
    first, step = map(int, asked.part.split("/"))
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / "coverage.json"
    order = list(worlds())
    known = {row.world: row for of in (*asked.take, asked.out) for row in read(of / path.name)}
    rows = [known[world] for world in order if world in known]
    _write(asked.out, rows)
    for world in order[first - 1 :: step]:
        if world not in [row.world for row in rows]:
            rows.append(measure(world, asked.grids))
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
            rows.sort(key=lambda row: order.index(row.world))
            _write(asked.out, rows)
    return 0


def _write(folder: Path, rows: Sequence[Row]) -> None:
    if rows:
        (folder / "coverage.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
        (folder / "coverage.md").write_text(markdown(rows))


def read(path: Path) -> list[Row]:
    """The rows of a coverage.json; none where there is none."""
    if not path.exists():
        return []
    return [Row(World(**row.pop("world")), **row) for row in json.loads(path.read_text())]


if __name__ == "__main__":
    sys.exit(main())
