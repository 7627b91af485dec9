"""The engines by name. An engine is a module of this package and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from adapterx.config.problems import did_you_mean
from adapterx.translate.engines.base import Engine, EngineOptions
from adapterx.translate.errors import EngineError
from adapterx.wording import shown


@dataclass(frozen=True)
class EngineKind:
    """How an engine is named on the command line."""

    module: str
    """Has `make(argument, options)`; imported when it is asked for."""
    form: str
    """How it is written."""
    options: frozenset[str] = frozenset()
    """Those that it has, beside --batch and --markers, which all have."""


class _Module(Protocol):
    def make(self, argument: str, options: EngineOptions) -> Engine: ...


_HERE = "adapterx.translate.engines"
ENGINES: Mapping[str, EngineKind] = {
    "command": EngineKind(f"{_HERE}.command", "command:PROGRAM ARGS", frozenset({"--timeout"})),
    "dictionary": EngineKind(f"{_HERE}.dictionary", "dictionary:FILE"),
    "transformers": EngineKind(
        f"{_HERE}.seq2seq",
        "transformers:MODEL[@REVISION]",
        frozenset({"--beams", "--max-tokens", "--device", "--codes"}),
    ),
    "argos": EngineKind(f"{_HERE}.argos", "argos", frozenset({"--codes"})),
}
"""In the order in which messages list them."""


def forms() -> str:
    """How engines are written, for messages."""
    return ", ".join(kind.form for kind in ENGINES.values())


def make(written: str, options: EngineOptions) -> Engine:
    """The engine that `--engine` names. Raises EngineError for an unknown one, and for options that it has not."""
    name, _, argument = written.partition(":")
    if name not in ENGINES:
        hint = did_you_mean(name, ENGINES)
        raise EngineError(f"--engine {shown(written)}: there are {forms()}" + (f" ({hint})" if hint else ""))
    kind = ENGINES[name]
    if wrong := [one for one in options.given() if one not in kind.options]:
        raise EngineError(f"{wrong[0]} is no option of the engine {name}: leave it out")
    if (":" in kind.form) != bool(argument.strip()):
        raise EngineError(f"--engine {shown(written)}: it is written {kind.form}")
    return cast(_Module, import_module(kind.module)).make(argument, options)
