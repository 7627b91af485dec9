"""What the record of an evaluation says of its result: the scores beside its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from adapterx.store import JSON, Record


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation came to."""

    languages: Mapping[str, Mapping[str, float]]
    """By language the value of each metric, and `n`, its items."""
    why: str | None = None
    """In what way the predictions are no result, if they are none: one answer to everything."""
    more: Mapping[str, JSON] = field(default_factory=dict)
    """Of mined pairs: by language the threshold, and its F1 on dev data."""

    @property
    def collapsed(self) -> bool:
        """Whether everything is answered alike."""
        return self.why is not None

    def told(self) -> dict[str, JSON]:
        """The result of its record."""
        languages: dict[str, JSON] = {code: dict(values) for code, values in self.languages.items()}
        return {"languages": languages, "collapsed": self.collapsed, "why": self.why, **self.more}


def read(record: Record) -> EvaluationResult:
    """The result of an evaluation; without scores where its version did not record them."""
    result = dict(record.result)
    languages = result.pop("languages", {})
    collapsed, why = result.pop("collapsed", False), result.pop("why", None)
    return EvaluationResult(
        cast(Mapping[str, Mapping[str, float]], languages),
        ("" if why is None else str(why)) if collapsed else None,
        result,
    )
