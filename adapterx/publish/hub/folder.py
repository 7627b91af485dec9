"""The folder of a repository: exactly the files that are uploaded, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from adapterx.files.adapter_files import CONFIG
from adapterx.publish import layouts
from adapterx.publish.adapters import AdapterSet
from adapterx.publish.hub import blocks, card, evaluations, privacy
from adapterx.publish.hub.joining import MEMBERS
from adapterx.publish.hub.publication import Publication
from adapterx.results.run_file import Run
from adapterx.store import JSON, Record, write_json, write_text

RECIPE, RECORD = "recipe.yaml", "record.json"


@dataclass(frozen=True)
class Existing:
    """What a repository has already that publishing leaves alone."""

    card: str = ""
    """Its README.md."""


def write(new: Path, publication: Publication, stored: float, existing: Existing | None = None) -> None:
    """Fill an empty directory.

    Args:
        stored: seconds since 1970 at which the evaluation was stored; a folder written again is the same.
        existing: of the repository, where there is one.

    Raises FormatError for what the library cannot hold, and PublishError for what tells of this machine.
    """
    layouts.write(new, publication.layout, publication.adapters)
    _put_configuration(new, publication.adapters)
    if publication.members is not None:
        (new / MEMBERS).mkdir()
        layouts.write(new / MEMBERS, publication.layout, publication.members)
    write_card(new, publication, existing)
    write_results(new, publication, stored)
    privacy.check(new, _places(publication))


def write_card(new: Path, publication: Publication, existing: Existing | None = None) -> None:
    """Write README.md; text of an existing one that stands outside its marked blocks is kept."""
    text = card.render(publication)
    if existing is not None and existing.card:
        text = blocks.updated(existing.card, text)
    write_text(new / card.NAME, text)


def write_results(new: Path, publication: Publication, stored: float) -> None:
    """Write scores for programs, the recipe and the record of the stages."""
    for name, text in evaluations.eval_results(publication).items():
        write_text(new / evaluations.FOLDER / name, text)
    found = evaluations.every_eval_ever(publication, stored)
    if found is not None:
        write_json(new / evaluations.EVERY_EVAL, found)
    if publication.run is not None:
        write_text(new / RECIPE, recipe_text(publication.run, publication))
    if publication.cell is not None:
        write_json(new / RECORD, _record(publication))


def _put_configuration(new: Path, adapters: AdapterSet) -> None:
    """Put a configuration at the root of a composed setup, where the Hub looks for one and counts downloads by it.

    It has no weights beside it, so that nobody loads a part of a setup for the whole.
    """
    if not (new / CONFIG).exists():
        write_text(new / CONFIG, (new / adapters.metadata.adapters[-1] / CONFIG).read_text(encoding="utf-8"))


def recipe_text(run: Run, publication: Publication) -> str:
    """The recipe as it was run, overrides applied, with base models that anyone can load and without local paths."""
    from io import StringIO

    from ruamel.yaml import YAML

    recipe = cast(dict[str, Any], _plain(run.recipe))
    recipe.pop("publish", None)
    backbone = None if publication.cell is None else publication.cell.planned.cell.backbone
    for name, one in recipe["backbones"].items():
        if name == backbone and not str(one["model"]).startswith("embedded/"):
            one |= {"model": publication.base.id, "revision": publication.base.revision}
    yaml, text = YAML(typ="rt", pure=True), StringIO()
    yaml.width = 100
    yaml.default_flow_style = None
    yaml.dump(privacy.without_paths(recipe), text)
    return text.getvalue()


def _plain(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _record(publication: Publication) -> dict[str, JSON]:
    """The stages behind an adapter, as their records say it, and where its predictions can be recognised."""
    cell = publication.cell
    assert cell is not None
    return {
        "adapterx": 1,
        "cell": cell.planned.cell.label,
        "stages": [_stage(record) for record in (*cell.trainings, cell.evaluation)],
        "predictions_sha256": publication.predictions,
    }


def _stage(record: Record) -> JSON:
    found = {
        "kind": record.kind,
        "label": record.label,
        "id": record.id,
        "status": record.status,
        "settings": dict(record.settings),
        "inputs": list(record.inputs),
        "result": dict(record.result),
        "provenance": dict(record.provenance),
        "files": {name: entry.sha256 for name, entry in record.files.items()},
    }
    return privacy.without_paths(_plain(cast(JSON, found)))


def _places(publication: Publication) -> list[str]:
    """Directories of this machine that the run names."""
    run = publication.run
    models = [] if run is None else [one.model for one in run.backbones.values()]
    return [model for model in models if model.startswith("/")]
