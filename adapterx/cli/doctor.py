"""`adapterx doctor`: what this machine is, whether the quickstart will run, and how long work takes here."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from adapterx.cli import common

if TYPE_CHECKING:
    from adapterx.doctor.libraries import Probed

HELP = "say what this machine is and whether the quickstart will run; --calibrate measures it"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--calibrate", action="store_true", help="measure this device for a minute or two, for the times of `plan`"
    )
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Say what there is; 1 where the quickstart will not run."""
    from adapterx.doctor.libraries import probe

    probed = probe()
    if args.calibrate:
        _calibrate(probed)
    try:
        from adapterx.doctor import examined, page, verdict
    except Exception:  # a library that is broken may raise anything
        return _told_of_libraries(probed, args.json)
    found = examined.examine(args.store, probed)
    reasons, advice = verdict.reasons(found), verdict.advice(found)
    if args.json:
        import json

        told = examined.to_json(found, reasons, advice)
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=common.is_narrow()) + "\n")
    else:
        common.console().print(page.page(found, reasons, advice))
    return common.FAILED if reasons else 0


def _told_of_libraries(probed: Probed, as_json: bool) -> int:
    """Say what libraries there are, where one is broken without which nothing else can be found out."""
    import json
    import platform

    from adapterx import __version__
    from adapterx.doctor import libraries

    reasons = list(libraries.missing(probed.libraries)) or ["adapterx itself cannot be imported: install it again"]
    if as_json:
        told = {
            "adapterx_doctor": libraries.VERSION,
            "adapterx": __version__,
            "python": platform.python_version(),
            "quickstart": False,
            "reasons": reasons,
            "libraries": libraries.to_json(probed.libraries),
        }
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=common.is_narrow()) + "\n")
    else:
        sys.stdout.write("".join(f"stands in the way: {line}\n" for line in reasons))
        sys.stdout.write("The quickstart will not run.\n")
    return common.FAILED


def _calibrate(probed: Probed) -> None:
    """Measure, say what on stderr, and keep it. Raises what stands in the way, worded for the user."""
    if not all(one.usable for one in probed.libraries if one.wanted.required):
        raise common.CommandError("nothing can be measured before the libraries work: run `adapterx doctor` alone")
    from adapterx.doctor import disks
    from adapterx.doctor.calibrate import calibrate
    from adapterx.pace import calibration

    cache = disks.cache(None)
    if cache.error:
        raise common.CommandError(f"a calibration cannot be kept: {cache.error}")

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    calibration.write(calibrate(tell))
