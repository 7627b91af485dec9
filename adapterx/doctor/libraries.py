"""The libraries: their versions, whether they can be imported, and what is missing without them.

They are imported in a process of their own, one after another: one that is broken may raise anything, hang, or end the
process that imports it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from adapterx.doctor.discreet import discreet
from adapterx.store.identity import JSON

VERSION = 1
"""Of the JSON of `adapterx doctor`: raised when a key gets another meaning or goes; new keys do not raise it."""
PATIENCE = 180.0
"""Seconds for which a library may be silent while it is imported."""
NOT_RUN = "could not be tried"


@dataclass(frozen=True)
class Wanted:
    """A library, and what it is for."""

    name: str
    """Of the module; as packages are named unless `package` says otherwise."""
    without: str
    """What does not work without it."""
    extra: str = ""
    """The extra of adapterx that brings it; empty for those that are always there."""
    package: str = ""
    required: bool = False
    """Whether every run needs it."""
    told: bool = True
    """Whether its version is listed."""
    install: str = ""
    """How to get it, where no extra brings it."""

    @property
    def distribution(self) -> str:
        return self.package or self.name

    @property
    def cure(self) -> str:
        """What to type."""
        if self.install:
            return self.install
        return f"pip install 'adapterx[{self.extra}]'" if self.extra else "install adapterx again with its dependencies"


_ANY = "no command works"
_RUN = "nothing can be trained or evaluated"
LIBRARIES = (
    Wanted("torch", _RUN, required=True, install="pip install -c constraints.txt torch"),
    Wanted("transformers", _RUN, required=True),
    Wanted("tokenizers", _RUN, required=True),
    Wanted("safetensors", _RUN, required=True),
    Wanted("peft", "LoRA in the reference lane and the library's own methods do not train", "peft"),
    Wanted("adapters", "bottlenecks in the reference lane and the library's own methods do not train", "adapterhub"),
    Wanted(
        "datasets",
        "sources of the kind `datasets` cannot be prepared, but for what `save_to_disk` wrote, which needs no library",
        "datasets",
    ),
    Wanted("accelerate", _RUN, required=True),
    Wanted("bitsandbytes", "`load: int8`, `load: nf4` and `optimizer: adamw_8bit` do not run", "bitsandbytes"),
    Wanted("evaluate", "metrics by themselves as `evaluate.Metric`s are missing", "evaluate"),
    Wanted("huggingface_hub", "models and data of the Hub cannot be reached", required=True),
    Wanted("numpy", _RUN, required=True, told=False),
    Wanted("pydantic", _ANY, required=True, told=False),
    Wanted("ruamel.yaml", _ANY, required=True, told=False),
    Wanted("filelock", _RUN, required=True, told=False),
    Wanted("pyarrow", "predictions cannot be stored", required=True, told=False),
    Wanted("babel", "the embedded tasks have no data", package="Babel", required=True, told=False),
    Wanted("jinja2", "no report can be written", package="Jinja2", required=True, told=False),
    Wanted("matplotlib", "no report can be drawn", required=True, told=False),
    Wanted("rich", "no table can be printed", required=True, told=False),
)


@dataclass(frozen=True)
class Library:
    """How a library stands."""

    wanted: Wanted
    version: str | None
    """None where it is not installed."""
    error: str = ""
    """Why it cannot be imported, on one line; empty where it can, or is not installed."""

    @property
    def usable(self) -> bool:
        return self.version is not None and not self.error


@dataclass(frozen=True)
class Probed:
    """What importing the libraries showed."""

    libraries: tuple[Library, ...]
    torch: Mapping[str, Any]
    """What torch says of threads and GPU; empty where it cannot be imported."""

    def library(self, name: str) -> Library:
        return next(one for one in self.libraries if one.wanted.name == name)


def missing(libraries: Iterable[Library]) -> Iterator[str]:
    """Why no run is possible with these libraries, each reason with what to do."""
    for one in libraries:
        name, wanted = one.wanted.name, one.wanted
        if not wanted.required or one.usable:
            continue
        if one.version is None:
            yield f"{name} is not installed, so {wanted.without}: {wanted.cure}"
        elif one.error.startswith(NOT_RUN):
            yield f"whether {name} works {one.error}"
        else:
            yield f"{name} {one.version} cannot be imported ({one.error}), so {wanted.without}: install it again"


def to_json(libraries: Iterable[Library]) -> dict[str, JSON]:
    """By name, how the libraries stand."""
    return {
        one.wanted.name: {
            "version": one.version,
            "usable": one.usable,
            "error": one.error,
            "required": one.wanted.required,
            "without": "" if one.usable else one.wanted.without,
            "install": "" if one.usable else one.wanted.cure,
        }
        for one in libraries
    }


def probe(wanted: Sequence[Wanted] = LIBRARIES, patience: float = PATIENCE) -> Probed:
    """Import each library that is installed. Never raises."""
    found = {one.name: _version(one) for one in wanted}
    left = [one.name for one in wanted if found[one.name] is not None]
    errors: dict[str, str] = {}
    torch: dict[str, Any] = {}
    while left:
        answers, why = _ask(left, patience)
        for answer in answers:
            name = str(answer.get("name"))
            if name in left:
                left.remove(name)
                errors[name] = str(answer.get("error") or "")
            if name == "torch" and isinstance(answer.get("torch"), dict):
                torch = answer["torch"]
        if left and why:
            # What it was importing when it ended; the rest is tried without it.
            errors[left.pop(0)] = why
    return Probed(
        tuple(Library(one, found[one.name], discreet(errors.get(one.name, ""))) for one in wanted),
        torch,
    )


def _version(wanted: Wanted) -> str | None:
    try:
        return metadata.version(wanted.distribution)
    except metadata.PackageNotFoundError:
        return None
    except Exception as error:  # metadata that cannot be read is a broken library, whatever it raises
        return f"? ({type(error).__name__})"


def _ask(names: Sequence[str], patience: float) -> tuple[list[dict[str, Any]], str]:
    """Answers of a process that imports these, and why it ended before its end; empty if it did not."""
    command = [sys.executable, "-m", "adapterx.doctor.probe", *names]
    try:
        with tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as noise:
            try:
                # Libraries write where they like: answers have a stream of their own, which is also its exit note.
                done = subprocess.run(  # noqa: S603
                    command, stdin=subprocess.DEVNULL, stdout=answers, stderr=noise, timeout=patience, check=False
                )
                why = "" if done.returncode == 0 else _ended(done.returncode)
            except subprocess.TimeoutExpired:
                why = f"importing it has not ended after {patience:.0f} seconds"
            answers.seek(0)
            lines = answers.read().decode("utf-8", "replace").splitlines()
    except OSError as error:
        return [], f"{NOT_RUN}: {error.strerror or error}"
    found = list(_answers(lines))
    return found, why or ("" if len(found) >= len(names) else "importing it ended the process")


def _ended(code: int) -> str:
    import signal

    if code < 0:
        with_name = signal.Signals(-code).name if -code in {int(one) for one in signal.Signals} else str(-code)
        return f"importing it ends the process ({with_name})"
    return f"importing it ends the process (exit code {code})"


def _answers(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            yield answer


def offline() -> bool:
    """Whether HF_HUB_OFFLINE is set, as the Hub's client reads it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
