"""The parent's side: a process per contender, one of them working at a time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from adapterx.machine import kernels
from tools.bench.session import Job
from tools.bench.variants import Contender, Variant

ROOT = Path(__file__).parents[2]
SIDE_ROUNDS = 3
"""Of what stands beside the rest, and of evaluations, whose rounds are long."""
MOST_STEPS = 60


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    `seconds` is what the baseline should need for its share of a round; the others do about as many examples.
    """

    rounds: int
    seconds: float
    warm_up: int
    """Steps before anything is timed. Where one is enough, an evaluation needs none."""
    least: int = 1
    """Steps at a time: on a GPU the host runs ahead, and must not be made to wait after every step."""


EFFORTS = {"cpu": Effort(5, 4.0, 1), "cuda": Effort(5, 1.0, 20, 16)}
QUICK = Effort(2, 0.0, 8)


@dataclass
class Measured:
    """What one contender did."""

    contender: Contender
    skipped: str | None = None
    """Why it did nothing, or stopped."""
    first: dict[str, Any] | None = None
    """Its warm-up."""
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def answers(self) -> list[dict[str, Any]]:
        """Everything it did, in order."""
        return [*([self.first] if self.first else []), *self.rounds]


class WorkerError(Exception):
    """A worker died; the text is what it said last."""


def ask_rate(device: str) -> dict[str, Any]:
    """The machine's measured rate of matrix products."""
    with tempfile.TemporaryFile("w+") as errors:
        process = _start(errors)
        output, _ = process.communicate(json.dumps({"rate": device}) + "\n")
        if process.returncode:
            raise WorkerError(_last_words(errors))
    found: dict[str, Any] = json.loads(output)
    return found


def measure(variant: Variant, device: str, effort: Effort) -> list[Measured]:
    """Let the contenders of a variant take turns, round after round."""
    found = [Measured(one, _missing(one) or _hopeless(one, device)) for one in variant.contenders]
    (baseline,) = (one for one in found if one.contender.name == variant.baseline)
    if baseline.skipped is not None:
        for measured in found:
            measured.skipped = measured.skipped or f"nothing to compare with: {baseline.skipped}"
    with contextlib.ExitStack() as stack:
        teams = {}
        for measured in found:
            if measured.skipped is None:
                job = Job(variant, measured.contender, device)
                teams[measured.contender.name] = stack.enter_context(_team(job))
        steps = _warm_up(variant, found, teams, effort)
        for number in range(effort.rounds):
            for measured in found:
                few = measured.contender.side or variant.work == "evaluate"
                if measured.skipped is None and not (few and number >= SIDE_ROUNDS):
                    count = max(effort.least, round(steps / measured.contender.cells))
                    _take(measured, teams, count if variant.work == "train" else 1, measured.rounds)
    return found


def _missing(contender: Contender) -> str | None:
    """The package without which the contender cannot take part."""
    needed = {"adapterx": [], "peft": ["peft", "accelerate"], "adapters": ["adapters", "accelerate"]}
    absent = [name for name in needed[contender.library] if find_spec(name) is None]
    return f"{' and '.join(absent)} not installed" if absent else None


def _hopeless(contender: Contender, device: str) -> str | None:
    """Why a peer would need many minutes for a step.

    Without instructions for bfloat16 its products run element by element. adapterx stores bfloat16 there and
    multiplies float32.
    """
    rounded = contender.library != "adapterx" and contender.load == "bfloat16"
    if device == "cpu" and rounded and not kernels.multiplies_bfloat16():
        return "the processor has no instructions for bfloat16: a step takes many minutes"
    return None


def _warm_up(variant: Variant, found: list[Measured], teams: dict[str, _Team], effort: Effort) -> int:
    """Let everybody take the first steps; returns how many steps of the baseline fill its share of a round."""
    for measured in found:
        if measured.skipped is None:
            _ready(measured, teams)
    if variant.work == "evaluate" and effort.warm_up == 1:
        return 1
    seconds = None
    for measured in found:
        if measured.skipped is not None:
            continue
        is_baseline = measured.contender.name == variant.baseline
        count = teams[measured.contender.name].warm_up or (effort.warm_up if variant.work == "train" else 1)
        answers: list[dict[str, Any]] = []
        # The first steps of all load kernels; what a step takes shows only in the next ones.
        for _ in range(2 if is_baseline and effort.warm_up > 1 else 1):
            _take(measured, teams, count, answers)
        if answers:
            values = [value for answer in answers for value in answer["values"]]
            measured.first = {**answers[-1], "values": values}
            seconds = answers[-1]["wall"] / count if is_baseline else seconds
    return min(MOST_STEPS, max(1, round(effort.seconds / seconds))) if seconds else 1


def _ready(measured: Measured, teams: dict[str, _Team]) -> None:
    try:
        teams[measured.contender.name].ready()
    except WorkerError as error:
        measured.skipped = f"failed: {error}"


def _take(measured: Measured, teams: dict[str, _Team], count: int, answers: list[dict[str, Any]]) -> None:
    try:
        answers.append(teams[measured.contender.name].take(count))
    except WorkerError as error:
        measured.skipped = f"failed: {error}"


class _Team:
    """The processes of one contender; nearly always one."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]], errors: Sequence[Any]) -> None:
        self.processes = processes
        self.errors = errors
        self.warm_up: int | None = None

    def ready(self) -> None:
        """Wait until all are built."""
        for answer in self._hear():
            self.warm_up = answer["warm_up"]

    def take(self, count: int) -> dict[str, Any]:
        """Let all take so many steps at once; the slowest decides the time."""
        self._tell({"steps": count})
        answers = self._hear()
        return {
            "wall": max(answer["wall"] for answer in answers),
            **{key: sum(answer[key] for answer in answers) for key in ("cpu", "examples", "tokens", "peak")},
            "values": answers[0]["values"],
        }

    def end(self) -> None:
        """Let them go; whoever does not go is ended."""
        with contextlib.suppress(OSError):
            self._tell({"steps": 0})
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _tell(self, value: dict[str, Any]) -> None:
        for process in self.processes:
            assert process.stdin is not None, "workers are started with a pipe"
            with contextlib.suppress(BrokenPipeError):  # it died; hearing finds that out
                process.stdin.write(json.dumps(value) + "\n")
                process.stdin.flush()

    def _hear(self) -> list[dict[str, Any]]:
        answers = []
        for process, errors in zip(self.processes, self.errors, strict=True):
            assert process.stdout is not None, "workers are started with a pipe"
            line = process.stdout.readline()
            if not line:
                process.wait()
                raise WorkerError(_last_words(errors))
            answers.append(json.loads(line))
        return answers


@contextlib.contextmanager
def _team(job: Job) -> Iterator[_Team]:
    with contextlib.ExitStack() as stack:
        errors = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(job.contender.processes)]
        processes = [_start(one) for one in errors]
        team = _Team(processes, errors)
        try:
            team._tell(asdict(job))
            yield team
        except BaseException:
            for process in processes:
                process.kill()
            raise
        finally:
            team.end()


def _start(errors: Any) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": path}
    environment.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with several, Trainer would spread its batches over all
    return subprocess.Popen(
        [sys.executable, "-m", "tools.bench.worker"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def _last_words(errors: Any) -> str:
    """The last line of an error output, which names the error."""
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "died without a word"
