"""Rehearses cases in a process of its own, whose torch has the shim: a line of JSON for each.

python -m tests.cuda.play SHIM < cases.json
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.cuda.shim import Shim


@dataclass(frozen=True)
class Told:
    """What came of a case."""

    name: str
    error: str = ""
    """With the last lines of the trace, if it failed."""
    problems: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    """Stage, kind, operator, place, and how often."""
    launches: dict[str, int] = field(default_factory=dict)
    """By stage: operators that put at least one kernel on the device."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the work says of itself."""

    def line(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, line: str) -> Told:
        """From `line`."""
        raw = json.loads(line)
        return cls(**(raw | {"problems": [tuple(one) for one in raw["problems"]]}))


def main() -> None:
    """Rehearse the cases that stand in standard input, each a table of its fields; "planted" is a fault instead."""
    shim = Shim(Path(sys.argv[1]))
    # Imports of torch wait until the shim is there.
    from tests.cuda.cases import Case
    from tests.cuda.fake import rehearsal
    from tests.cuda.works import work

    shim.install()
    for raw in json.load(sys.stdin):
        planted = raw.pop("planted", "")
        case = Case(**raw)
        name, facts, wrong = planted or case.name, {}, ""
        with rehearsal(shim) as log:
            try:
                facts = work(case, log, planted)
            except Exception as error:
                frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[-8:])
                wrong = f"{type(error).__name__}: {str(error)[:400]}\n{''.join(frames)}"
        problems = [(*asdict(one).values(), count) for one, count in sorted(log.problems.items())]
        told = Told(name, wrong, problems, dict(log.launches), facts)
        sys.stdout.write(f"{told.line()}\n")
        sys.stdout.flush()
    os._exit(0)  # torch would ask a device that is not there for a last word


if __name__ == "__main__":
    main()
