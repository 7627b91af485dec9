"""A worker's side of the talk with the parent: one line of JSON per question and answer."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tools.bench.variants import Contender, Variant


@dataclass(frozen=True)
class Job:
    """What one worker process is for."""

    variant: Variant
    contender: Contender
    device: str

    @property
    def cells(self) -> int:
        """Cells that share a step or a sweep."""
        return self.contender.cells

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Job:
        """The inverse of `dataclasses.asdict`."""
        contenders = tuple(Contender(**one) for one in value["variant"].pop("contenders"))
        return cls(Variant(**value["variant"], contenders=contenders), Contender(**value["contender"]), value["device"])


class Session:
    """Waits for the parent's word and answers with how long the work took.

    The clocks run from the moment `wait` returns to the moment `stop` is called; the device is idle at both.
    """

    def __init__(self, device: str, questions: TextIO, answers: TextIO) -> None:
        self.device = device
        self.questions = questions
        self.answers = answers
        self._clocks = (0.0, 0.0)

    def ready(self, warm_up: int | None = None) -> None:
        """Everything is built.

        Args:
            warm_up: steps before the first that is typical, if the contender knows better than the parent.
        """
        _reset_peak(self.device)
        self._answer({"ready": True, "warm_up": warm_up})

    def wait(self) -> int:
        """Steps to take now; 0 ends the session."""
        line = self.questions.readline()
        count = int(json.loads(line)["steps"]) if line else 0
        self._settle()
        self._clocks = (time.perf_counter(), time.process_time())
        return count

    def stop(self) -> None:
        """The steps are taken; what follows is bookkeeping of the benchmark."""
        self._settle()
        wall, cpu = self._clocks
        self._clocks = (time.perf_counter() - wall, time.process_time() - cpu)

    def done(self, examples: int, tokens: int, values: Sequence[Any]) -> None:
        """Tell the parent what was done between the last `wait` and `stop`.

        Args:
            tokens: real ones, without padding.
            values: each step's loss of the first cell, or of an evaluation the first scores of the first cell.
        """
        self._answer(
            {
                "wall": self._clocks[0],
                "cpu": self._clocks[1],
                "examples": examples,
                "tokens": tokens,
                "values": [float(value) for value in values],
                "peak": _peak(self.device),
            }
        )

    def _settle(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()

    def _answer(self, value: dict[str, Any]) -> None:
        self.answers.write(json.dumps(value) + "\n")
        self.answers.flush()


class Pace:
    """Counts the steps of a loop that is not ours, such as a Trainer's, against the parent's questions."""

    def __init__(self, session: Session, take: Callable[[], tuple[int, int, Sequence[Any]]]) -> None:
        self.session = session
        self.take = take
        """Gives examples, tokens and losses since it was last asked."""
        self.left = 0

    def begin(self) -> None:
        """Before the first step."""
        self.session.ready()
        self.left = self.session.wait()

    def step(self) -> bool:
        """After every step: whether there is to be another."""
        self.left -= 1
        if self.left <= 0:
            self.session.stop()
            self.session.done(*self.take())
            self.left = self.session.wait()
        return self.left > 0


def _reset_peak(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    elif (clear := Path("/proc/self/clear_refs")).exists():
        clear.write_text("5", encoding="ascii")


def _peak(device: str) -> int:
    """Most bytes in use since everything was built: of the GPU, or resident."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
