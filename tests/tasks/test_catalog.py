from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapterx import places
from adapterx.tasks.catalog import TaskError, UnknownTask, find, names
from adapterx.tasks.data import fingerprint, load
from adapterx.tasks.sources.embedded import EmbeddedSource
from adapterx.tasks.sources.errors import DataError

OWN = """\
adapterx: 1
name: mine
description: A task of my own.
format: pair-classification
labels: ["no", "yes"]
metrics: accuracy
languages: [en, no]
licence: CC0-1.0
sources:
  local:
    kind: local
    reader: tsv
    columns: {text: 0, label: 1}
    splits:
      train: {paths: mine.tsv, languages: [en]}
      test: {paths: ["mine-{language}.tsv"]}
"""


WITHOUT_ENGLISH = ("tatoeba", "bucc", "americas-nli", "copal-id", "indicxnli", "xnli-eu")
"""Of the first two English is the other side."""


def write(directory: Path, text: str, name: str = "mine.yaml") -> Path:
    (directory / name).write_text(text, encoding="utf-8")
    return directory


def test_every_shipped_task_is_readable_and_described() -> None:
    assert len(names()) == 61
    for name in names():
        spec = find(name)
        assert spec.name == name
        main: tuple[str, ...] = ("accuracy", "span_f1", "squad_f1", "mlqa_f1")
        if spec.format == "regression":
            main = ("pearson", "spearman")
        if spec.format == "retrieval":
            main = ("retrieval_accuracy", "mean_average_precision", "ndcg_at_10", "pair_f1")
        assert spec.metric in main if spec.kind.scored else not spec.metrics
        assert spec.description
        assert spec.licence
        assert spec.languages[0] == "en" or name in WITHOUT_ENGLISH
        assert len(set(spec.languages)) == len(spec.languages)


def test_there_is_an_embedded_task_of_every_format_in_many_languages() -> None:
    embedded = [find(name) for name in names() if isinstance(next(iter(find(name).sources.values())), EmbeddedSource)]
    assert {spec.format for spec in embedded} == {"pair-classification", "tagging", "multiple-choice", "masked-lm"}
    assert all(len(spec.languages) == 24 for spec in embedded)


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_a_task_beside_the_recipe_is_found(tmp_path: Path, suffix: str) -> None:
    spec = find("mine", write(tmp_path, OWN, f"mine.{suffix}"))
    assert spec.labels == ("no", "yes")
    assert spec.languages == ("en", "no")
    assert spec.metrics == ("accuracy",)


def test_a_task_beside_the_recipe_comes_first_and_its_changes_are_seen(tmp_path: Path) -> None:
    write(tmp_path, OWN.replace("name: mine", "name: xnli"), "xnli.yaml")
    assert find("xnli", tmp_path).description == "A task of my own."
    assert find("xnli", None).description != "A task of my own."
    assert find("lingnli", tmp_path) == find("lingnli")


def test_an_unknown_task_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownTask, match=r"no task 'xnlii' in the catalog \(did you mean 'xnli'\?\)"):
        find("xnlii")
    with pytest.raises(UnknownTask, match=r"or as xnlii\.yaml beside the recipe"):
        find("xnlii", tmp_path)


CCG = """\
adapterx: 1
name: supertags
description: Many labels, in a file.
format: tagging
label_file: labels.txt
metrics: accuracy
languages: [en]
licence: mine
sources:
  local:
    kind: local
    reader: tsv
    columns: {words: 0, tags: 1}
    splits: {train: {paths: train.tsv}}
"""


def test_many_labels_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their order is the head's; while the file is missing the task can be named, not read."""
    monkeypatch.setenv(places.DATA, str(tmp_path))
    write(tmp_path, CCG, "supertags.yaml")
    (tmp_path / "train.tsv").write_text("The dog\tNP/N N\n")
    missing = find("supertags", tmp_path)
    assert missing.labels == () and missing.metric == "accuracy"
    for ask in (
        lambda: load(missing, "local", "en", "train"),
        lambda: fingerprint(missing, "local", {"train": ["en"]}),
    ):
        with pytest.raises(FileNotFoundError, match=r"labels\.txt: no such file"):
            ask()
    (tmp_path / "labels.txt").write_text("N\n\nNP/N\n")
    spec = find("supertags", tmp_path)
    assert spec.labels == ("N", "NP/N")
    assert [one.labels for one in load(spec, "local", "en", "train")] == [(1, 0)]
    known = fingerprint(spec, "local", {"train": ["en"]})
    (tmp_path / "labels.txt").write_text("NP/N\nN\n")
    other = find("supertags", tmp_path)
    assert [one.labels for one in load(other, "local", "en", "train")] == [(0, 1)]
    assert fingerprint(other, "local", {"train": ["en"]}) != known
    (tmp_path / "train.tsv").write_text("The dog\tNP/NN N\n")
    with pytest.raises(
        ValueError, match=r"train\.tsv:1: unknown label 'NP/NN' of 'The'; it is none of the 2 in .*labels\.txt \(did"
    ):
        load(other, "local", "en", "train")


@pytest.mark.parametrize(
    ("text", "message"), [("N\nN\n", r"labels\.txt: the label 'N' stands there more"), ("N\n", "one")]
)
def test_a_file_of_labels_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    write(tmp_path, CCG, "supertags.yaml")
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        find("supertags", tmp_path)


MISTAKES = {
    "format: pair-classification": (
        "format: pairs",
        r"mine.yaml:4:9: format: 'pairs' is not one of 'pair-classification', 'tagging'",
    ),
    "format: pair-c": ("format: pear-c", r"\(did you mean 'pair-classification'\?\)"),
    "labels:": ("lables:", r"mine.yaml:\d+:1: lables: unknown key 'lables' \(did you mean 'labels'\?\)"),
    "    columns:": ("    colums:", r"sources.local.colums: unknown key 'colums' \(did you mean 'columns'\?\)"),
    "paths:": ("path:", r"unknown key 'path' \(did you mean 'paths'\?\)"),
    "train: ": ("trian: ", r"splits.trian: 'trian' is not one of 'train', 'dev' or 'test' \(did you mean 'train'\?\)"),
    "licence: CC0-1.0\n": ("", r"'licence' is missing"),
    'labels: ["no", "yes"]': ('labels: ["no", "yes"]\nlabel_file: a.txt', r"labels and label_file exclude each other"),
    "metrics: accuracy": ("metrics: f1", r"unknown metric 'f1'; known: accuracy, span_f1"),
    "metrics: acc": ("metrics: ac", r"unknown metric 'acuracy'; known: .*\(did you mean 'accuracy'\?\)"),
    "metrics: accuracy\n": ("metrics: span_f1\n", r"span_f1 scores spans of tags"),
    "text: 0": ("texts: 0", r"source local: pair-classification has no field 'texts'"),
    ", label: 1": ("", r"source local: columns lacks 'label'"),
    "reader: tsv": ("reader: conll", r"the conll reader is for the format tagging"),
    "tsv\n    columns: {text: 0, label: 1}": (
        "text\n    columns: {text: 0, label: 1}",
        r"text reader is for the format masked",
    ),
    "kind: local": (
        "kind: web",
        r"mine.yaml:11:11: sources.local.kind: unknown kind 'web' \(known: embedded, local, hub",
    ),
    "kind: local\n": ("kind: hub\n", r"sources.local: 'dataset' is missing"),
    "name: mine": ("name: other", r"is named 'other', so its file should be other\.yaml"),
    "adapterx: 1": ("adapterx: 2", r"mine.yaml:1:11: adapterx: this task is written in version 2 of the format"),
    "languages: [en]}": ("fold: {of: 5, keep: [5]}}", r"keep lists remainders below 5"),
    "reader: tsv\n": ("reader: tsv\n    reader: tsv\n", r"reader"),
    OWN: ("- a\n- b\n", r"a task is a mapping of settings"),
    "[en, no]": ("[en, no", r"mine.yaml:8:\d+: not YAML"),
}


@pytest.mark.parametrize("right", MISTAKES)
def test_mistakes_are_shown_where_they_are(tmp_path: Path, right: str) -> None:
    wrong, message = MISTAKES[right]
    write(tmp_path, OWN.replace(right, wrong, 1))
    with pytest.raises(TaskError, match=message):
        find("mine", tmp_path)


def test_the_catalog_stays_light() -> None:
    heavy = "torch", "transformers", "babel", "pyarrow"
    code = f"import sys, adapterx.tasks.catalog, adapterx.tasks.data; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_recipe_may_bear_the_name_of_a_task(tmp_path: Path) -> None:
    (tmp_path / "sick.yaml").write_text("adapterx: 1\nname: sick\nbackbones: {small: embedded/e5-small}\n")
    assert find("sick", tmp_path) == find("sick")
    (tmp_path / "mine.yaml").write_text("adapterx: 1\ntargets: {a: {task: mine}}\n")
    with pytest.raises(UnknownTask, match="no task 'mine'"):
        find("mine", tmp_path)
