"""The report for machines and for plain text: results.csv, report.json and report.md."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from io import StringIO

from adapterx.plan.cells import Cell
from adapterx.report import evidence_json, merge_weights, tuning, xtreme_table
from adapterx.report.analysis import Analysis
from adapterx.report.contrasts import Contrast, Verdict
from adapterx.report.document import Document
from adapterx.report.gaps import Gap
from adapterx.report.learning import Judgement
from adapterx.report.overall import Overall
from adapterx.report.scores import Setting, Summary, is_share
from adapterx.report.sections import sections
from adapterx.report.separation import GapPart
from adapterx.report.statistics import (
    LEVEL,
    METHOD,
    METHOD_OF_A_CELL,
    METHOD_OF_A_SHARE,
    METHOD_OF_OTHERS,
    Missing,
    Quantity,
)
from adapterx.report.table import escape, fenced, markdown, prose
from adapterx.report.undecided import needed
from adapterx.store import JSON

PLACE = ("backbone", "method", "intermediate", "transfer", "target", "seed")
SCORE = ("language", "trained_in", "metric", "value", "low", "high", "n", "target_training", "constant", "verdict")
COLUMNS = (*PLACE, "status", *SCORE, "interval")


def results_csv(analysis: Analysis) -> str:
    """One row per cell, language and metric; a cell without scores has one row, with its status."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    own = analysis.results.run.target_training
    for result in analysis.results.cells:
        if result.scores is None:
            learnt = {"target_training": _learnt(result.cell, own)}
            writer.writerow({**asdict(result.cell), "status": result.status, **_lower(learnt)})
    for one in analysis.cells:
        sources = analysis.results.targets[one.result.cell.target].sources
        row = {"status": one.result.status, "language": one.language, "metric": one.metric, "n": one.items}
        estimate = {key: _number(value) for key, value in asdict(one.estimate).items()}
        judged = analysis.judgements[one.result.cell]
        facts = {"trained_in": one.language in sources, "target_training": _learnt(one.result.cell, own)}
        facts["constant"] = one.language in judged.constant
        told = {"verdict": judged.verdict, "interval": METHOD_OF_A_SHARE if is_share(one.metric) else METHOD_OF_OTHERS}
        writer.writerow({**asdict(one.result.cell), **row, **_lower(facts), **estimate, **told})
    return text.getvalue()


def report_json(analysis: Analysis, document: Document) -> JSON:
    """Everything the page states, with fractions instead of percentages; ranks are ranks."""
    overall, own = analysis.overall, analysis.results.run.target_training
    return {
        "adapterx": 1,
        "name": document.title,
        "run_state": analysis.results.run.state,
        "question": document.question,
        "answer": document.answer,
        "scope": document.scope,
        "remarks": [{"about": about, "text": text} for about, text in document.remarks],
        "method": list(document.method),
        "shared_items": list(document.shared_items),
        "intervals": {"level": LEVEL, "means": METHOD, "cells": METHOD_OF_A_CELL},
        "overall": None if overall is None else _overall(overall),
        "gaps": [_gap(gap, own) for gap in analysis.gaps],
        "arms": [arm.told() for arm in analysis.results.run.arms],
        "contrasts": [] if analysis.separation is None else list(map(_part, analysis.separation.parts)),
        "scores": [
            {
                **asdict(one.setting),
                "target_training": _learnt(one.setting, own),
                "metric": one.metric,
                "statuses": dict(one.statuses),
                **summary_json(one.summary),
            }
            for one in analysis.scores
        ],
        "xtreme": xtreme_table.export(analysis.xtreme),
        "evidence": evidence_json.export(analysis.evidence, analysis.results),
        "cells": [
            {
                **asdict(one.cell),
                "target_training": _learnt(one.cell, own),
                "status": one.status,
                "message": one.message,
                **_judgement(analysis.judgements.get(one.cell)),
            }
            for one in analysis.results.cells
        ],
        "targets": {
            name: {"metrics": list(facts.metrics), "trained_in": list(facts.sources), "parallel": facts.parallel}
            for name, facts in analysis.results.targets.items()
        },
        "tuning": tuning.export(tuning.tuned(analysis.results)),
        "merge_weights": merge_weights.export(merge_weights.weighed(analysis.results)),
        "stages": [
            {**ref.told(), "status": record.status, "provenance": record.provenance}
            for ref, record in analysis.results.stages.items()
        ],
        "recipe": analysis.results.run.recipe,
        "overrides": list(document.overrides),
    }


def _gap(gap: Gap, own: frozenset[tuple[str, str]]) -> dict[str, JSON]:
    return {
        **{key: value for key, value in asdict(gap.arm).items() if key not in ("intermediate", "transfer")},
        "transfer": gap.transfer,
        "arm": gap.arm.intermediate,
        "baseline": gap.baseline.intermediate,
        "target_training": [side.intermediate for side in (gap.arm, gap.baseline) if _learnt(side, own)],
        "metric": gap.metric,
        "seeds": len(gap.seeds),
        "items": gap.items,
        "missing": gap.missing,
        **summary_json(gap.summary),
    }


def _part(part: GapPart) -> dict[str, JSON]:
    """A further gap."""
    return {
        "name": part.name,
        "arm": part.arm,
        "baseline": part.baseline,
        "contrasts": [_contrast(one, said) for one, said in zip(part.contrasts, part.verdicts, strict=True)],
        "means": [_contrast(one, said) for one, said in zip(part.means, part.mean_verdicts, strict=True)],
    }


def _judgement(one: Judgement | None) -> dict[str, JSON]:
    """What is to be said of a cell's answers; nothing of one without."""
    if one is None:
        return {}
    constant: dict[str, JSON] = {language: answers.always for language, answers in one.constant.items()}
    return {"constant": constant, "verdict": one.verdict or None, "why": list(one.why)}


def _learnt(place: Cell | Setting, own: frozenset[tuple[str, str]]) -> bool:
    """Whether the intermediate learns the target's own task."""
    return (place.intermediate, place.target) in own


def _lower(facts: Mapping[str, bool]) -> dict[str, str]:
    return {name: str(fact).lower() for name, fact in facts.items()}


def report_markdown(document: Document) -> str:
    """The page's words and tables as Markdown."""
    return "\n".join(_markdown(document)).rstrip() + "\n"


def _markdown(document: Document) -> Iterator[str]:
    yield f"# {document.title}\n"
    yield f"{prose(document.description)}\n" if document.description else ""
    yield " · ".join(document.facts) + "\n"
    yield f"*{document.question}*\n\n**{document.answer}**\n\n{document.scope}\n"
    if document.remarks:
        yield "## Read with care\n"
        yield "".join(f"- **{escape(about)}**: {escape(text)}\n" for about, text in document.remarks)
    for section in sections(document):
        if section.in_markdown and (section.tables or section.empty):
            yield f"## {section.title}\n"
            if section.intro or not section.tables:
                yield f"{section.intro if section.tables else section.empty}\n"
            yield from map(markdown, section.tables)
    yield "## Method\n"
    yield from (f"{paragraph}\n" for paragraph in document.method)
    yield f"Languages: {document.languages}.\n" if document.languages else ""
    yield f"Shared items: {'; '.join(document.shared_items)}.\n" if document.shared_items else ""
    yield "## Provenance\n"
    yield from map(markdown, document.provenance)
    yield f"### Recipe\n\n{fenced(document.recipe, 'yaml')}\n"


def summary_json(summary: Summary) -> dict[str, JSON]:
    """A summary as fractions, with what is missing in words."""
    return {
        "mean": _quantity(summary.mean),
        "trained_in": None if summary.sources is None else _quantity(summary.sources),
        "others": None if summary.others is None else _quantity(summary.others),
        "languages": {name: _quantity(one) for name, one in summary.languages.items()},
    }


def _overall(overall: Overall) -> JSON:
    """What the answer says, contrast by contrast."""
    return {
        "contrasts": [_contrast(one, said) for one, said in zip(overall.contrasts, overall.verdicts, strict=True)],
        "means": [_contrast(one, said) for one, said in zip(overall.means, overall.mean_verdicts, strict=True)],
        "left_out": dict(overall.left_out),
    }


def _contrast(one: Contrast, verdict: Verdict) -> JSON:
    places = ("backbone", "method", "transfer", "target", "metric")
    return {
        **{key: value for key in places if (value := getattr(one, key))},
        "verdict": verdict,
        "gaps": [
            {"backbones": list(level.backbones), "parameters": level.parameters, "gap": _quantity(quantity)}
            for level, quantity in one.at
        ],
        "change": None if one.change is None else _quantity(one.change),
        "slope": None if one.slope is None else _quantity(one.slope),
        "p": _number(one.doubt),
        "margin": _number(one.margin),
        "p_of_margin": None if one.exceeds is None else _number(one.exceeds),
        "needed": _needed(one) if verdict == "open" else None,
        "missing": one.reason,
        "training": one.trained,
    }


def _needed(one: Contrast) -> JSON:
    """What would tell an effect of the margin."""
    found = needed(one)
    if found is None:
        return None
    return {
        "smallest_found": _number(found.found),
        "seeds": found.more_seeds,
        "times_items": found.more_items,
        "both": None if found.both is None else list(found.both),
    }


def _quantity(quantity: Quantity) -> JSON:
    if isinstance(quantity, Missing):
        return {"missing": str(quantity)}
    return {key: _number(value) for key, value in asdict(quantity).items()}


def _number(value: float) -> float:
    """Six decimals: more would be noise of the machine's arithmetic."""
    return round(value, 6) + 0.0
