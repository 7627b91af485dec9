"""The index of a grid: a repository whose card lists the adapters, which a collection holds together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapterx.publish.hub import blocks, card
from adapterx.publish.hub.facts import Reported
from adapterx.publish.hub.publication import Publication
from adapterx.report.document import document
from adapterx.report.numbers import value, value_interval
from adapterx.report.table import prose
from adapterx.results.run_file import Run
from adapterx.store import write_text


@dataclass(frozen=True)
class Listed:
    """An adapter in the index."""

    repository: str
    cell: str
    task: str
    base: str
    score: str
    """With its interval and metric; what is wrong with it, where something is."""

    @classmethod
    def of(cls, publication: Publication) -> Listed:
        """What the index says of a publication."""
        scores, made = publication.scores, publication.adapters.metadata
        told = ""
        if scores is not None and scores.means:
            mean = scores.means[0]
            told = (
                f"{value(mean.estimate.value, mean.metric)} {value_interval(mean.estimate, mean.metric)} {mean.metric}"
            )
            told += " (no result to rely on)" if scores.verdict else ""
        return cls(publication.repository, made.cell, made.task, publication.base.id, told)


def write(new: Path, title: str, run: Run, reported: Reported, listed: Sequence[Listed], existing: str = "") -> None:
    """Fill an empty directory with the index's card.

    Args:
        existing: the card that is up, whose text outside the marked block stays.
    """
    head = "| adapter | task | base model | score |\n|---|---|---|---:|"
    rows = [
        f"| [`{one.cell}`](https://huggingface.co/{one.repository}) | `{one.task}` | `{one.base}` | {one.score} |"
        for one in sorted(listed, key=lambda one: one.cell)
    ]
    laid_out = document(reported.analysis)
    text = (
        card.environment()
        .get_template("index.md.j2")
        .render(
            title=title,
            run=run.name,
            description=prose(run.description),
            answer=prose(laid_out.answer),
            table="\n".join([head, *rows]),
        )
    )
    bases = sorted({one.base for one in listed})
    metadata = {"base_model": bases, "tags": ["adapterx", "index"]} if bases else {"tags": ["adapterx", "index"]}
    whole = blocks.card(metadata, text)
    write_text(new / card.NAME, blocks.updated(existing, whole) if existing else whole)
