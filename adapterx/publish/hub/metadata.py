"""The metadata at the head of a card, by which the Hub finds an adapter and shows its scores."""

from __future__ import annotations

import re
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from adapterx.publish.hub.publication import Publication
from adapterx.tasks.metrics import unit

LIBRARIES = {"peft": "peft", "adapterhub": "adapter-transformers"}
"""What the Hub calls the libraries."""
_CODE = re.compile(r"[a-z]{2,3}")
_DIGITS = 4


def metadata(publication: Publication) -> dict[str, Any]:
    """As the Hub's own client writes it."""
    base: list[str] | str = [publication.base.id] if publication.merged else publication.base.id
    licence = publication.licence.name
    card = ModelCardData(
        base_model=base,
        base_model_relation="merge" if publication.merged else "adapter",
        datasets=_datasets(publication) or None,
        eval_results=results(publication) or None,
        language=_languages(publication) or None,
        library_name=LIBRARIES[publication.layout],
        license=licence,
        metrics=list(publication.scores.metrics) if publication.scores is not None else None,
        model_name=publication.repository.rpartition("/")[2],
        pipeline_tag=publication.adapters.head.kind.pipeline or None,
        tags=_tags(publication),
        license_name="as-the-card-says" if licence == "other" else None,
    )
    found: dict[str, Any] = card.to_dict()  # type: ignore[no-untyped-call]
    return found


def _tags(publication: Publication) -> list[str]:
    """Libraries, architecture, method and task, sorted."""
    adapters = publication.adapters
    methods = {one.method.kind for one in adapters.stack} or {"adapterfusion"}
    tags = {"adapterx", adapters.encoder.architecture, adapters.metadata.task, *methods}
    tags |= {f"base_model:adapter:{publication.base.id}"} if not publication.merged else set()
    # AdapterHub's own page finds adapters by this one.
    tags |= {"adapter-transformers"} if publication.layout == "adapterhub" else {"peft"}
    return sorted(tag for tag in tags if tag)


def _datasets(publication: Publication) -> list[str]:
    return list(dict.fromkeys(id for one in publication.uses for id in one.datasets))


def _languages(publication: Publication) -> list[str]:
    """Codes of all languages that it was trained or tested in."""
    codes = dict.fromkeys(code for one in publication.uses for code in one.languages)
    return [code for code in codes if _CODE.fullmatch(code)]


def results(publication: Publication) -> list[EvalResult]:
    """One entry per task, metric and language, and the average, as numbers in [0, 1] where the metric's lie there."""
    if publication.scores is None or not publication.uses:
        return []
    test = publication.uses[-1]
    dataset = next(iter(test.datasets), test.task)
    task = publication.adapters.head.kind.pipeline or "other"
    return [
        EvalResult(
            task_type=task,
            task_name=test.task,
            dataset_type=dataset,
            dataset_name=f"{test.task} ({row.name})",
            dataset_config=row.name if row.name in test.languages else "average",
            dataset_split="test",
            metric_type=row.metric,
            metric_name=row.metric,
            metric_value=round(row.estimate.value, _DIGITS if unit(row.metric).factor == 100 else 2),
        )
        for row in (*publication.scores.languages, *publication.scores.means[:1], *_other_means(publication))
    ]


def _other_means(publication: Publication) -> list[Any]:
    """The average under each further metric."""
    assert publication.scores is not None
    return [row for row in publication.scores.means[1:] if row.name == "average"]
