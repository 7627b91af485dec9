"""What several commands share: arguments, the plan of a recipe, the directory of a run, a console."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx import places
from adapterx.errors import AdapterxError
from adapterx.store.store import RUN

if TYPE_CHECKING:
    from rich.console import Console

    from adapterx.backbones.info import BackboneInfo
    from adapterx.backbones.spec import Backbone
    from adapterx.machine.gpu import Gpu
    from adapterx.machine.kernels import Kernels
    from adapterx.methods.base import MethodSpec
    from adapterx.pace.calibration import Pace
    from adapterx.plan import Adopted, Compare, LibraryAdapter, Look, Plan, TaskFacts
    from adapterx.report import Analysis
    from adapterx.tasks.spec import TaskSpec

FAILED, MISTAKE = 1, 2
"""Exit codes: some cells failed or are refused; something that a user can mend."""


class CommandError(AdapterxError):
    """A mistake on the command line, worded for the user.

    Args:
        where: the file or directory that it is about.
        hint: what to do, for programs; the message says it too.
    """

    def __init__(self, message: str, where: Path | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.where, self.hint = where, hint


def recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare a recipe with overrides, and the store."""
    parser.add_argument("recipe", type=places.expanded, metavar="RECIPE", help="the recipe, a YAML file")
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="setting=value", help="train.epochs=2 'seeds=[1,2]'"
    )
    store_argument(parser)


def store_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the store."""
    parser.add_argument(
        "--store", type=places.expanded, metavar="DIR", help="finished stages ($ADAPTERX_STORE, or adapterx-store here)"
    )


def label_argument(parser: argparse.ArgumentParser) -> None:
    """Declare what the outputs of a head are, where its files number them only."""
    parser.add_argument(
        "--labels",
        type=listed_names,
        metavar="A,B,C",
        help="what the outputs of its head are, in order, where its files do not say (default: the task's order)",
    )


def listed_names(text: str) -> tuple[str, ...]:
    """A type of argument: different names joined by commas."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"should be different names joined by commas, not {text!r}")
    return names


def at_least(least: int) -> Callable[[str], int]:
    """A type of argument: whole numbers from this one on."""

    def number(text: str) -> int:
        found = int(text)
        if found < least:
            raise argparse.ArgumentTypeError(f"should be {least} or more, not {text}")
        return found

    return number


def above_zero(text: str) -> float:
    """A type of argument: a finite number above 0."""
    found = float(text)
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"should be more than 0, not {text}")
    return found


def is_narrow() -> bool:
    """Whether the output's encoding lacks characters: in data they are escaped then, never replaced."""
    return (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"


def planned(args: argparse.Namespace, fetch: bool = False, pace: Pace | None = None) -> Plan:
    """The plan of the recipe on the command line; CommandError with every mistake in it.

    Args:
        fetch: whether data that are not downloaded yet are, so that all of them can be compared.
        pace: what its times come from; by default what is known of this machine.
    """
    from adapterx.config.problems import SettingError
    from adapterx.plan import build
    from adapterx.plan.cost import PredictedBy
    from adapterx.recipe import locate, read
    from adapterx.recipe.overrides import without_effect

    try:
        recipe = read(args.recipe, args.overrides)
        if not fetch:
            for why in without_effect(recipe.train, args.overrides):
                sys.stderr.write(f"{why}\n")
        compare, look = questions(args, fetch)
        pace = pace or calibrated(tell=not fetch and args.command == "plan")
        known = PredictedBy(pace, *device(pace.gpu))
        return build(recipe, args.recipe.parent, describer(), catalog(), measure, compare, look, known, adopt)
    except SettingError as error:
        raise CommandError(str(locate(args.recipe, args.overrides, error.findings))) from error


def calibrated(tell: bool) -> Pace:
    """What a plan's times come from: the calibration of this machine, if there is one.

    Args:
        tell: whether a line on stderr says why a calibration that is there is ignored.
    """
    from adapterx.pace import calibration

    found = calibration.find()
    if found.note and tell:
        sys.stderr.write(f"{found.note}\n")
    return found.pace


def device(supposed: Gpu | None) -> tuple[Kernels, int | None]:
    """What the device that a run computes on multiplies, and the bytes of memory it has, if the system says.

    Args:
        supposed: a GPU in its place.
    """
    from adapterx.machine.gpu import gpus
    from adapterx.machine.kernels import Kernels
    from adapterx.machine.memory import memory
    from adapterx.machine.torch_build import CPU, device_name

    name = device_name()
    gpu = supposed if supposed or name == CPU else next((one for one in gpus() if one.name == name), None)
    if gpu is not None:
        return Kernels.of(gpu), gpu.total
    there = memory()
    return Kernels.of(None), min((size for size in (there.total, there.limit) if size is not None), default=None)


def describer() -> Callable[[Backbone], BackboneInfo]:
    """What tells a plan the sizes of a backbone."""
    from adapterx.backbones.describe import describe

    return describe


def catalog() -> TaskFacts[TaskSpec]:
    """What tells a plan about tasks."""
    from adapterx.tasks import data

    return data


def questions(args: argparse.Namespace, fetch: bool) -> tuple[Compare, Look]:
    """What a plan asks of the data of a recipe; both questions are answered by one reading."""
    from adapterx.tasks.contamination import Relations
    from adapterx.tasks.contents import Contents
    from adapterx.tasks.looks import Looks

    contents = Contents(args.recipe.parent, store_root(args))
    return Relations(contents, fetch), Looks(contents)


def measure(method: MethodSpec, info: BackboneInfo) -> LibraryAdapter:
    """Asked only where a recipe has methods of libraries: they are slow to import, and torch with them."""
    from adapterx.reference import measure as reference

    return reference.measure(method, info)


def adopt(init: str, backbone: Backbone, info: BackboneInfo) -> Adopted:
    """Asked only where intermediates name adapters: reading them takes torch."""
    from adapterx.executors import adopt as executors

    return executors.adopt(init, backbone, info)


def run_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--run`."""
    parser.add_argument(
        "--run", metavar="RUN", help="a run's name, its directory, or its recipe (default: the only run)"
    )


def analysed(args: argparse.Namespace) -> Analysis:
    """The analysis of the run that `--run` or RUN names, else of the store's only one."""
    from adapterx.report import analyse
    from adapterx.store import Store

    if args.run is None:
        args.run = only_run(args)
    directory = run_directory(args)
    return analyse(Store(args.store or directory.parent.parent), directory)


def beside(run: str) -> Path:
    """Where tasks of the user's own are looked for: beside the recipe where that is what names the run, else here."""
    given = places.expanded(run)
    return given.parent if given.suffix in (".yaml", ".yml") else Path.cwd()


def run_directory(args: argparse.Namespace) -> Path:
    """The directory of the run that RUN names."""
    from adapterx.config.problems import did_you_mean
    from adapterx.recipe import read

    given = places.expanded(args.run)
    if (given / RUN).is_file():
        return given.resolve()
    name: str = args.run
    if given.suffix in (".yaml", ".yml"):
        name = read(given).name
    runs = store_root(args) / "runs"
    if (runs / name / RUN).is_file():
        return (runs / name).resolve()
    known = sorted(path.parent.name for path in runs.glob(f"*/{RUN}"))
    hint = did_you_mean(name, known)
    raise CommandError(f"no run '{name}' in {runs.parent}" + (f" ({hint})" if hint else ""), runs, hint or None)


def only_run(args: argparse.Namespace) -> str:
    """The name of the store's run, where there is one alone."""
    runs = sorted(path.parent.name for path in (store_root(args) / "runs").glob(f"*/{RUN}"))
    if len(runs) == 1:
        return runs[0]
    known = f"name one of {', '.join(runs)} with --run" if runs else "`adapterx run` a recipe first"
    raise CommandError(f"{store_root(args)} has {len(runs) or 'no'} runs: {known}")


def store_root(args: argparse.Namespace) -> Path:
    """The store that the command line names, else the environment's, else the one here."""
    given: Path | None = args.store
    return given or places.store()


def console() -> Console:
    """Standard output, 100 columns wide where there is no terminal to fit."""
    from rich.console import Console

    fitted = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if fitted else 100, highlight=False)
