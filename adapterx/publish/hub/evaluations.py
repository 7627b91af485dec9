"""Scores for programs: the Hub's `.eval_results`, and the *Every Eval Ever* schema (0.3.0), which has intervals."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

import adapterx
from adapterx.publish.hub.facts import ScoreRow
from adapterx.publish.hub.publication import Publication
from adapterx.report.statistics import LEVEL, METHOD_OF_A_CELL
from adapterx.store import JSON
from adapterx.tasks.metrics import unit

FOLDER, EVERY_EVAL = ".eval_results", "evaluation/every_eval_ever.json"
SCHEMA = "0.3.0"


def eval_results(publication: Publication) -> dict[str, str]:
    """By name below `.eval_results`, what the Hub shows on a benchmark's page; none where the task is no benchmark.

    A task's YAML says under `benchmark` which data set on the Hub it is, where the Hub allows results for it.
    """
    scores, uses = publication.scores, publication.uses
    spec = uses[-1].spec if uses else None
    if scores is None or spec is None or spec.benchmark is None:
        return {}
    average = scores.means[0]
    entry: dict[str, Any] = {
        "dataset": {"id": spec.benchmark.dataset, "task_id": spec.benchmark.task},
        "value": round(unit(average.metric).factor * average.estimate.value, 2),
        "notes": f"{average.metric}, average over {', '.join(uses[-1].languages)}; "
        f"95% interval over items {_bounds(average)}",
    }
    yaml, text = YAML(typ="rt", pure=True), StringIO()
    yaml.dump([entry], text)
    return {f"{spec.name}.yaml": text.getvalue()}


def _bounds(row: ScoreRow) -> str:
    factor = unit(row.metric).factor
    return f"[{factor * row.estimate.low:.2f}, {factor * row.estimate.high:.2f}]"


def every_eval_ever(publication: Publication, when: float) -> dict[str, JSON] | None:
    """The scores with their intervals, in the schema's own words; None where there are none.

    Args:
        when: seconds since 1970 at which the evaluation was stored.
    """
    if publication.scores is None:
        return None
    stamp = str(int(when))
    rows = (*publication.scores.languages, *publication.scores.means)
    version = adapterx.__version__
    results: list[JSON] = [_result(publication, row) for row in rows]
    return {
        "schema_version": SCHEMA,
        "evaluation_id": f"{publication.uses[-1].task}/{publication.repository}/{stamp}",
        "evaluation_timestamp": datetime.fromtimestamp(int(when), UTC).isoformat(),
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": "adapterx",
            "source_type": "evaluation_run",
            "source_organization_name": publication.repository.partition("/")[0],
            "evaluator_relationship": "first_party",
        },
        "eval_library": {"name": "adapterx", "version": version},
        "model_info": {
            "name": publication.repository.rpartition("/")[2],
            "id": publication.repository,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "open_weights",
                "base_model": f"{publication.base.id}@{publication.base.revision}",
                "stage": publication.stage,
                "predictions_sha256": publication.predictions,
            },
        },
        "evaluation_results": results,
    }


def _result(publication: Publication, row: ScoreRow) -> dict[str, JSON]:
    test = publication.uses[-1]
    share = unit(row.metric).factor == 100
    source: dict[str, JSON] = {"dataset_name": test.task, "source_type": "other"}
    if test.datasets:
        source = {"dataset_name": test.task, "source_type": "hf_dataset", "hf_repo": test.datasets[0]}
        source |= {"hf_split": "test", "samples_number": row.items}
    config: dict[str, JSON] = {
        "evaluation_description": f"{row.metric} of {test.task}, {row.name}",
        "metric_id": row.metric,
        "metric_name": row.metric,
        "metric_unit": "proportion" if share else "ranks",
        "lower_is_better": unit(row.metric).better == "lower",
        "score_type": "continuous",
        "min_score": 0.0 if share else "-Infinity",
        "max_score": 1.0 if share else "Infinity",
    }
    interval: dict[str, JSON] = {
        "lower": round(row.estimate.low, 6),
        "upper": round(row.estimate.high, 6),
        "confidence_level": LEVEL,
        "method": METHOD_OF_A_CELL,
    }
    return {
        "evaluation_result_id": f"{test.task}/{row.name}/{row.metric}",
        "evaluation_name": f"{test.task} ({row.name})",
        "source_data": source,
        "metric_config": config,
        "score_details": {
            "score": round(row.estimate.value, 6),
            "uncertainty": {"confidence_interval": interval, "num_samples": row.items},
        },
    }
