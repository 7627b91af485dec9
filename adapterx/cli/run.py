"""`adapterx run`: train, evaluate and report."""

from __future__ import annotations

import argparse

from adapterx import tracking
from adapterx.cli import common
from adapterx.machine import devices
from adapterx.machine.devices import Device

HELP = "train, evaluate and report what is not stored yet"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    common.recipe_arguments(parser)
    parser.add_argument(
        "--checkpoint-every",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how much work a killed run may lose (default 60)",
    )
    parser.add_argument(
        "--workers", type=common.at_least(0), default=1, metavar="N", help="threads that prepare batches (default 1)"
    )
    parser.add_argument(
        "--memory",
        type=common.above_zero,
        metavar="GB",
        help="memory that a bundle may take (default: most of what is free)",
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="the same bits from a GPU each time, a little slower"
    )
    parser.add_argument(
        "--track", action="append", default=[], choices=tracking.NAMES, help="tell a tracker how it goes; repeatable"
    )
    parser.add_argument(
        "--devices",
        type=_devices,
        default=(),
        metavar="D,…",
        help="GPUs by their numbers, or cpu; several share the run (default: the first GPU, else the CPU)",
    )


def _devices(text: str) -> tuple[Device, ...]:
    try:
        return devices.parsed(text)
    except ValueError as error:  # argparse tells no other reason
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace) -> int:
    """Do what is not stored yet; 1 if some cells did not come to their end."""
    if len(args.devices) == 1:
        args.devices[0].take()  # before anything asks torch for a GPU
    plan = common.planned(args)
    from adapterx.executors import local
    from adapterx.plan import states
    from adapterx.plan.render import choices, left_out, refusals
    from adapterx.store import Store

    store = Store(common.store_root(args))
    if plan.unseen and any(state.name != "stored" for state in states(plan, store).values()):
        # A run downloads these files anyway. What they hold is known before anything learns from it.
        common.console().print("downloading what is not here yet, to compare what is trained on with what is scored")
        plan = common.planned(args, fetch=True)
    for line in (*choices(plan), *refusals(plan), *left_out(plan)):
        common.console().print(line)
    if not plan.stages:
        raise common.CommandError("nothing can be run; an earlier run of this name is left as it is")

    return local.run(
        plan,
        store,
        overrides=args.overrides,
        console=common.console(),
        recipe_dir=args.recipe.parent,
        effort=local.Effort(
            args.checkpoint_every, args.workers, args.memory, args.deterministic, args.devices, tuple(args.track)
        ),
        debug=args.debug,
    )
