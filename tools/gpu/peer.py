"""Trainer + peft on the same batches, in this process."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from tools.bench import peers
from tools.bench.session import Job, Session
from tools.bench.variants import GROUPED, PLAIN
from tools.gpu.check import Check
from tools.gpu.made import variant
from tools.gpu.speed import usual


class _Answers(StringIO):
    """What a worker would tell its parent."""

    def told(self) -> list[dict[str, Any]]:
        """The answers about steps, the first of which was the warm-up."""
        found = [json.loads(line) for line in self.getvalue().splitlines() if line.strip()]
        return [one for one in found if "wall" in one][1:]


def peer(check: Check) -> None:
    """Milliseconds of a step, padded to the batch's longest text and with texts of like length together."""
    shape = usual(check)
    counts = (2, 2) if check.quick else (20, 40, 40)
    sizes = {} if check.large else {"batch": 4, "texts": 16}
    for contender in (PLAIN, GROUPED):
        one = variant(shape, 1, **sizes)
        answers = _Answers()
        questions = StringIO("".join(f"{json.dumps({'steps': count})}\n" for count in counts))
        peers.work(Job(one, contender, check.device), Session(check.device, questions, answers))
        steps = [answer["wall"] / (answer["examples"] / one.batch) for answer in answers.told()]
        check.note(f"{shape} {contender.name}, ms per step", [round(seconds * 1e3, 2) for seconds in steps])
