"""`adapterx plan`: what a recipe comes to."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from adapterx.cli import common

if TYPE_CHECKING:
    from adapterx.machine.gpu import Gpu
    from adapterx.plan import Capacity, Plan, Stage
    from adapterx.plan.cards import Card
    from adapterx.store import Store

HELP = "show what a recipe comes to: its stages, what is stored, what it costs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    common.recipe_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--all", action="store_true", help="list every stage of a long plan")
    parser.add_argument("--gpu", metavar="CARD", help="suppose a GPU of this name (h100, a100-80, …): hours on it")


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
    if args.json:
        import json

        from adapterx.plan.export import to_json

        sys.stdout.write(json.dumps(to_json(plan, current, capacity), indent=1, ensure_ascii=common.is_narrow()) + "\n")
    else:
        from adapterx.plan.render import render

        common.console().print(render(plan, current, every=args.all, capacity=capacity))
    if not plan.stages:
        return common.MISTAKE
    return common.FAILED if plan.refused else 0


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
