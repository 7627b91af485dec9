"""The card of a published adapter: what it is, how it is loaded, what it scores and against what, and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import adapterx
from adapterx.publish.hub import blocks
from adapterx.publish.hub.metadata import LIBRARIES, metadata
from adapterx.publish.hub.publication import Publication
from adapterx.publish.hub.results_text import gap_lines, results_table, rivals_table, seeds_line
from adapterx.publish.hub.snippet import snippet
from adapterx.publish.hub.training_text import cost_table, data_table, method_line
from adapterx.report.table import escape, prose

NAME = "README.md"
HERE = Path(__file__).parent


def render(publication: Publication) -> str:
    """The whole README.md."""
    template = environment().get_template("card.md.j2")
    text = template.render(**_facts(publication))
    return blocks.card(metadata(publication), text.replace("\n\n\n", "\n\n").rstrip() + "\n")


def environment() -> Any:
    """What renders Markdown."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Markdown, not HTML: what comes from outside is escaped where it is put into tables and prose.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["block"] = lambda text, name: blocks.block(name, text)
    return environment


def _facts(publication: Publication) -> dict[str, Any]:
    made = publication.adapters.metadata
    scores = publication.scores
    lines = snippet(publication.layout, publication.adapters, publication.repository, publication.base)
    return {
        "block": blocks.block,
        "title": publication.repository.rpartition("/")[2],
        "summary": _summary(publication),
        "warnings": list(_warnings(publication)),
        "snippet": lines,
        "load_note": _load_note(publication),
        "labels": ", ".join(f"{place} = `{label}`" for place, label in enumerate(made.labels)),
        "max_length": made.max_length,
        "results": None if scores is None else results_table(scores),
        "results_note": None if scores is None else _results_note(publication),
        "seeds": None if scores is None else seeds_line(scores, publication.chosen),
        "rivals": None if scores is None or len(scores.rivals) < 2 else rivals_table(scores),
        "rivals_note": None if scores is None else _rivals_note(publication),
        "gaps": [] if scores is None else gap_lines(scores),
        "method": method_line(publication),
        "data": data_table(publication),
        "cost": cost_table(publication),
        "remarks": [prose(one) for one in publication.remarks],
        "limits": list(_limits(publication)),
        "licence": _licence(publication),
        "files": _files(publication),
        "citation": _citation(publication),
    }


def _summary(publication: Publication) -> str:
    made, base = publication.adapters.metadata, publication.base
    what = publication.adapters.stack[-1].method.plural if publication.adapters.stack else "AdapterFusion"
    origin = f", made from [`{base.origin}`](https://huggingface.co/{base.origin})" if base.origin else ""
    library = {"peft": "`peft`", "adapterhub": "AdapterHub's `adapters`"}[publication.layout]
    text = (
        f"{what} for the task `{made.task or made.format}`, in [`{base.id}`](https://huggingface.co/{base.id})"
        f" (revision `{base.revision}`{origin}), in the files of {library} (`{LIBRARIES[publication.layout]}`)."
    )
    spec = publication.uses[-1].spec if publication.uses else None
    if spec is not None:
        text += f"\n\n{prose(spec.description)}"
    if publication.run is not None:
        described = f": {prose(publication.run.description)}" if publication.run.description else "."
        text += f"\n\nIt is the cell `{made.cell}` of the run `{made.recipe}`{described}"
    return text


def _warnings(publication: Publication) -> Iterator[tuple[str, str]]:
    """What a reader has to know before anything else."""
    scores = publication.scores
    if scores is None:
        return
    if scores.verdict:
        yield "It is no result to rely on.", prose(scores.verdict)
    if scores.target_training:
        yield (
            "Target training.",
            "What it learnt first is the target's own task, so its scores say nothing about transfer to that task.",
        )


def _load_note(publication: Publication) -> str:
    made = publication.adapters.metadata
    notes = []
    if publication.members is not None:
        notes.append(
            f"The adapter at the root is the exact sum of {len(publication.members.stack)} that lie upon each other;"
            " they stand by themselves under `members/`."
        )
    if made.languages:
        named = ", ".join(f"{code}: `{part}`" for code, part in made.languages.items())
        notes.append(f"Adapters take turns with the language of the texts ({named}).")
    if made.load != "float32":
        notes.append(
            f"It was trained and scored on a backbone in {made.load}; in other number formats scores differ a little."
        )
    if publication.dtype != "float32":
        notes.append(f"Its weights are stored in {publication.dtype}.")
    notes.append("`adapterx predict` answers with it too, with no backbone to name.")
    return " ".join(notes)


def _results_note(publication: Publication) -> str:
    scores = publication.scores
    assert scores is not None
    test = publication.uses[-1]
    kept = "all items" if scores.limit is None else f"{scores.limit:,} items"
    text = (
        f"Test items of `{test.task}`, {kept} of each language. Intervals are 95%, over items: what other items of the"
        " same kind would give with these very weights."
    )
    if scores.majority is not None:
        text += f" The commonest answer to everything would have {100 * scores.majority:.1f} {scores.metric}."
    return text


def _rivals_note(publication: Publication) -> str:
    scores = publication.scores
    assert scores is not None
    return (
        f"Averages over languages of `{scores.metric}`, means over seeds with 95% intervals over items and trainings;"
        " the same base model, target and test items. This adapter's setting is in bold."
    )


def _limits(publication: Publication) -> Iterator[str]:
    made, scores = publication.adapters.metadata, publication.scores
    yield f"Texts beyond {made.max_length} tokens are cut, or read in parts where the task has windows."
    languages = list(dict.fromkeys(code for one in publication.uses if one.use != "test" for code in one.languages))
    if languages:
        yield f"Trained in {', '.join(languages)}; scores in other languages are zero-shot."
    if scores is None:
        yield "Nobody has scored it yet."
    elif scores.limit is not None:
        yield f"Scored on {scores.limit:,} test items of each language, not on all of them."
    if len(publication.uses) and scores is not None and len(scores.seeds) == 1:
        yield "One seed: how much another training would differ is not known."
    if not publication.remarks and publication.uses:
        yield "No item in common between its training data and the test items was found or let pass."


def _licence(publication: Publication) -> str:
    licence = publication.licence
    notes = "; ".join(prose(one) for one in licence.notes)
    return f"`{licence.name}`" + (f". {notes}." if notes else ".")


def _files(publication: Publication) -> str:
    lines = ["- `adapterx.json`: cell, stage, base model, task, labels"]
    if publication.cell is not None:
        lines += [
            "- `recipe.yaml`: the whole run, every setting spelt out; `adapterx run recipe.yaml` repeats it",
            "- `record.json`: the stored stages behind it, with versions, machine and cost",
            "- `evaluation/every_eval_ever.json`: the scores with their intervals, for programs",
        ]
    if publication.predictions:
        lines.append(f"\nSHA-256 of the predictions behind the scores: `{publication.predictions}`.")
    return "\n".join(lines)


def _citation(publication: Publication) -> str:
    cited = dict.fromkeys(one.spec.citation for one in publication.uses if one.spec is not None and one.spec.citation)
    lines = [f"- {escape(one)}" for one in cited]
    software = (
        "```bibtex\n@software{adapterx,\n  title = {adapterx},\n  author = {{The adapterx authors}},\n"
        f"  version = {{{adapterx.__version__}}}\n}}\n```"
    )
    return "\n".join([*lines, "", software]).strip()
