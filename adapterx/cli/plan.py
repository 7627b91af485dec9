"""`adapterx plan`: what a recipe comes to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from adapterx.cli import common

if TYPE_CHECKING:
    from adapterx.machine.gpu import Gpu
    from adapterx.plan import Capacity, Plan, Stage
    from adapterx.plan.cards import Card
    from adapterx.report.design import TargetPower
    from adapterx.store import Store

HELP = "show what a recipe comes to: its stages, what is stored, what it costs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    common.recipe_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--all", action="store_true", help="list every stage of a long plan")
    parser.add_argument("--gpu", metavar="CARD", help="suppose a GPU of this name (h100, a100-80, …): hours on it")
    parser.add_argument("--detect", type=float, metavar="POINTS", help="how many seeds a gap of so many points takes")
    parser.add_argument(
        "--seed-sd", type=float, metavar="POINTS", help="how much trainings are supposed to scatter (1 point)"
    )
    parser.add_argument("--scatter-of", metavar="RUN", help="have items and trainings scatter as they did in a run")


def run(args: argparse.Namespace) -> int:
    """Show a plan; 1 if some of its cells are refused, 2 if all are."""
    from adapterx.plan import states
    from adapterx.plan.cards import CardPace
    from adapterx.plan.states import DONE
    from adapterx.store import Store

    card = None if args.gpu is None else _card(args.gpu)
    plan = common.planned(args, pace=None if card is None else CardPace(card=card))
    capacity = _capacity(None if card is None else card.gpu)
    store = Store(common.store_root(args))
    current = states(plan, store)
    plan = _counted(plan, [plan.stages[id] for id, state in current.items() if state.name not in DONE], args, store)
    told = _power(plan, args)
    if args.json:
        import json

        from adapterx.plan.export import to_json

        content = {**to_json(plan, current, capacity), "power": [asdict(one) for one in told]}
        sys.stdout.write(json.dumps(content, indent=1, ensure_ascii=common.is_narrow()) + "\n")
    else:
        from adapterx.plan.render import render

        common.console().print(render(plan, current, every=args.all, capacity=capacity))
        _tell(told)
    if not plan.stages:
        return common.MISTAKE
    return common.FAILED if plan.refused else 0


def _power(plan: Plan, args: argparse.Namespace) -> tuple[TargetPower, ...]:
    """What the plan can tell; CommandError for numbers that say nothing."""
    from adapterx.report import analyse
    from adapterx.report.design import SEED_SD, design, stored
    from adapterx.store import Store

    for name in ("detect", "seed_sd"):
        value = getattr(args, name)
        if value is not None and not 0 < value < 100:
            raise common.CommandError(f"--{name.replace('_', '-')} {value:g}: should be points, above 0 and below 100")
    known = None
    if args.scatter_of is not None:
        directory = common.run_directory(argparse.Namespace(run=args.scatter_of, store=args.store))
        known = stored(analyse(Store(args.store or directory.parent.parent), directory))
    wanted = None if args.detect is None else args.detect / 100
    return design(plan, seed_sd=args.seed_sd or SEED_SD, known=known, wanted=wanted)


def _tell(told: Sequence[TargetPower]) -> None:
    """Print what the plan can tell, each supposition once."""
    from rich.text import Text

    from adapterx.report.design import HEAD

    for source in dict.fromkeys(one.source for one in told):
        lines = "; ".join(one.words for one in told if one.source == source)
        common.console().print(Text.assemble(("power: ", "yellow"), f"{HEAD}, {source}: {lines}."))


def _card(name: str) -> Card:
    """A GPU that can be supposed; CommandError for another name."""
    from adapterx.plan.cards import CARDS

    try:
        return CARDS[name.lower()]
    except KeyError:
        raise common.CommandError(f"--gpu {name}: no such card; known are {', '.join(CARDS)}") from None


def _counted(plan: Plan, todo: list[Stage], args: argparse.Namespace, store: Store) -> Plan:
    """The plan with the embeddings that a run would load, where backbones ask for those of the tokens that are read."""
    from adapterx.plan.vocabulary import counted, reads_some

    if not any(map(reads_some, todo)):
        return plan
    from adapterx.executors.stored_counts import known

    return counted(plan, known(plan, todo, args.recipe.parent, store.root))


def _capacity(supposed: Gpu | None) -> Capacity:
    """How much one bundle may be on a GPU that is supposed; else here and now, as far as it is known without torch."""
    from adapterx.engine.options import BUNDLE_CELLS, BUNDLE_ROWS, MEMORY_SHARE
    from adapterx.machine.memory import memory
    from adapterx.machine.torch_build import CPU, device_name
    from adapterx.plan import Capacity

    device = "cpu" if supposed is None and device_name() == CPU else "cuda"
    # The memory of a GPU at hand is asked when a run starts; rows and cells bound its bundles first.
    free = memory().free if device == "cpu" else None if supposed is None else supposed.total
    return Capacity(BUNDLE_CELLS[device], BUNDLE_ROWS[device], None if free is None else int(MEMORY_SHARE * free))
