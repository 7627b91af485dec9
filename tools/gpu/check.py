"""One look at a GPU: phases under a budget of seconds, each guarded, what they find written at once."""

from __future__ import annotations

import gc
import json
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

FAILED, SKIPPED = "failed", "skipped"


@dataclass
class Check:
    """What phases are told, and what they find.

    Args:
        device: "cuda", or "cpu" for a rehearsal, whose numbers mean nothing.
        quick: tiny shapes and few steps.
        out: where results.json and the page go.
        budget: seconds for everything.
    """

    device: str
    quick: bool
    out: Path
    budget: float
    found: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    poisoned: bool = False
    """Whether a kernel failed in a way after which this process can use the GPU no more."""

    @property
    def cuda(self) -> bool:
        """Whether there is a GPU."""
        return self.device == "cuda"

    @property
    def large(self) -> bool:
        """Whether shapes are the real ones."""
        return self.cuda and not self.quick

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self.budget - (time.monotonic() - self.started)

    def note(self, name: str, value: Any) -> None:
        """Keep something that was found, and write everything."""
        self.found[name] = value
        print(f"[{time.monotonic() - self.started:6.1f}] {name}: {value}", flush=True)
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "results.json").write_text(json.dumps(self.found, indent=1, default=str), encoding="utf-8")

    def settle(self) -> None:
        """Wait for the device."""
        if self.cuda:
            torch.cuda.synchronize()

    def milliseconds(self, work: Callable[[], object], times: int = 20, warm_up: int = 3) -> float:
        """Median of so many runs by the device's clock; the mean by the host's on a CPU."""
        if self.quick:
            times, warm_up = 2, 1
        for _ in range(warm_up):
            work()
        if not self.cuda:
            start = time.perf_counter()
            for _ in range(times):
                work()
            return (time.perf_counter() - start) / times * 1e3
        spans = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(times)]  # type: ignore[no-untyped-call]
        self.settle()
        for begin, end in spans:
            begin.record()
            work()
            end.record()
        self.settle()
        return float(sorted(begin.elapsed_time(end) for begin, end in spans)[times // 2])

    def run(self, phases: Sequence[Phase], only: str = "") -> None:
        """Go through the phases whose names have `only` in them."""
        for phase in phases:
            if only in phase.name:
                self._run(phase)

    def _run(self, phase: Phase) -> None:
        if self.poisoned or self.left < phase.need:
            why = "the GPU failed before" if self.poisoned else f"{max(0.0, self.left):.0f} s are left"
            self.note(f"{phase.name}: {SKIPPED}", why)
            return
        start = time.monotonic()
        try:
            phase.work(self)
        except Exception as error:  # whatever it is, the phases after it have their turn
            trace = traceback.format_exc()
            (self.out / f"{phase.name}.txt").write_text(trace, encoding="utf-8")
            print(trace[-2000:], flush=True)
            self.note(f"{phase.name}: {FAILED}", f"{type(error).__name__}: {error}"[:500])
            self.poisoned = self.cuda and "CUDA error" in str(error)
        self.note(f"{phase.name}: seconds", round(time.monotonic() - start, 1))
        gc.collect()
        if self.cuda and not self.poisoned:
            torch.cuda.empty_cache()


@dataclass(frozen=True)
class Phase:
    """One thing to look at."""

    name: str
    work: Callable[[Check], None]
    need: float
    """Seconds without which it is not begun."""
