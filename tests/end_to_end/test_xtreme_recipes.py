"""The recipes whose data and backbones are on the Hub can be planned: every task, language and split has its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from adapterx.recipe import Recipe, read
from adapterx.tasks.catalog import find
from adapterx.tasks.examples import Split
from adapterx.tasks.sources.hub.spec import HubRows, HubSource
from adapterx.tasks.sources.local.spec import LocalSource
from tests.models import config
from tests.support.command import ROOT, adapterx, environment
from tests.support.hub import Hub as Server
from tests.support.hub import serve
from tests.tasks.hub_tasks import CONVERSION, parquet

NAMES = ("xstilts", "xtreme-baselines", "scaling-gap")
SIZES = {
    "FacebookAI/xlm-roberta-base": ("xlm-roberta", 12, 768, 64, 250002),
    "FacebookAI/xlm-roberta-large": ("xlm-roberta", 24, 1024, 64, 250002),
    "facebook/xlm-roberta-xl": ("xlm-roberta-xl", 36, 2560, 80, 250880),
    "facebook/xlm-roberta-xxl": ("xlm-roberta-xl", 48, 4096, 128, 250880),
}
"""Architecture, layers, width, width of a head, vocabulary."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Rows of nothing in the files that the catalog says there are, and configurations of the true sizes."""
    rows = parquet([{"nothing": n} for n in range(40)])
    with serve(tmp_path_factory.mktemp("xtreme") / "hub") as server:
        datasets: dict[tuple[str, str], dict[str, bytes]] = {}
        for task in dict.fromkeys(task for name in NAMES for task in tasks(read(ROOT / "recipes" / f"{name}.yaml"))):
            source = find(task).sources.get("hub")
            if isinstance(source, HubSource):
                files = dict.fromkeys(paths(source, find(task).languages), rows)
                datasets.setdefault((source.dataset, source.revision), {}).update(files)
        for (dataset, revision), files in datasets.items():
            server.commit(f"datasets/{dataset}", files, revision if revision == CONVERSION else "main")
        for model, (kind, layers, hidden, head, vocabulary) in SIZES.items():
            sizes = config(kind, hidden, layers, heads=hidden // head).to_dict() | {"vocab_size": vocabulary}
            server.commit(
                model, {"config.json": json.dumps(sizes).encode(), "tokenizer.json": b"{}", "model.safetensors": b""}
            )
        yield server


def tasks(recipe: Recipe) -> Iterator[str]:
    for learnt in recipe.intermediates.values():
        yield from learnt.tasks if learnt is not None else ()
    for target in recipe.targets.values():
        yield from (target.task, target.train_task or target.task)


def paths(source: HubSource, languages: tuple[str, ...]) -> Iterator[str]:
    for parts in source.splits.values():
        for part in parts:
            for language in part.languages or languages:
                yield from _paths(source, part, source.codes.get(language, language))


def _paths(source: HubSource, part: HubRows, code: str) -> Iterator[str]:
    layout = part.paths[0] if part.paths else "{config}/{split}/0000.parquet"
    named = layout.replace("{config}", part.config or source.config).replace("{split}", part.split)
    yield named.replace("{language}", code).replace("*", "0000").replace("?", "1")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is not on the Hub: CCG and BUCC 2018."""
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "dev", "test"):
        (root / "ccg").mkdir(exist_ok=True)
        (root / "ccg" / f"{split}.tsv").write_text(f"A\tNP\nword\tN\n{split}\tN\n\n")
    (root / "ccg" / "labels.txt").write_text("N\nNP\n")
    for code in ("de", "fr", "ru", "zh"):
        directory = root / "bucc2018" / f"{code}-en"
        directory.mkdir(parents=True)
        for split in ("sample", "training"):
            for side in (code, "en"):
                (directory / f"{code}-en.{split}.{side}").write_text(f"{side}-1\tone {split}\n{side}-2\ttwo {split}\n")
            (directory / f"{code}-en.{split}.gold").write_text(f"{code}-1\ten-1\n")
    return root


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQuAD, its translations, XQuAD and MLQA as files, with a question each."""
    root = tmp_path_factory.mktemp("questions")
    for task, source in (("squad-pairs", "train"), ("xquad", "test"), ("mlqa", "test")):
        spec = find(task)
        local = spec.sources["local"]
        assert isinstance(local, LocalSource)
        for files in local.splits[cast(Split, source)]:
            for code in files.languages or spec.languages:
                for pattern in files.paths:
                    path = root / pattern.replace("{language}", code)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    asked = {"id": "1", "question": f"{task} {code}?", "answers": [{"text": code, "answer_start": 3}]}
                    paragraph = {"context": f"it {code} {task}. No.", "qas": [asked]}
                    path.write_text(json.dumps({"data": [{"title": "", "paragraphs": [paragraph]}]}))
    return root


@pytest.mark.slow
def test_hybrid_retrieval_can_be_planned(hub: Server, questions: Path, tmp_path: Path) -> None:
    env = environment(**hub.environment(tmp_path / "home"), HF_HUB_OFFLINE="0", ADAPTERX_DATA=str(questions))
    command = ("plan", ROOT / "recipes" / "hybrid-retrieval.yaml", "--store", tmp_path / "store", "--gpu", "h100")
    plan = adapterx(*command, env=env)
    text = " ".join(plan.stdout.split())
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "refused" not in text, text
    assert "hybrid-retrieval: 144 cells → 18 trainings" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("xstilts", 594, "mnli → xnli"),
        ("xtreme-baselines", 162, "budget: lora on large: 1% is rank"),
        ("scaling-gap", 594, "budget: lora on xxl: 0.5% is rank"),
    ],
)
def test_the_real_thing_can_be_planned(
    name: str, cells: int, said: str, hub: Server, files: Path, tmp_path: Path
) -> None:
    env = environment(**hub.environment(tmp_path / "home"), HF_HUB_OFFLINE="0", ADAPTERX_DATA=str(files))
    command = ("plan", ROOT / "recipes" / f"{name}.yaml", "--store", tmp_path / "store", "--gpu", "h100")
    plan = adapterx(*command, env=env)
    text = " ".join(plan.stdout.split())
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "refused" not in text, text
    assert f"{name}: {cells} cells" in text
    assert said in text
    assert re.search(r"\d GPU-hours one after another, \S+ GPU-hours in bundles, predicted for one H100 80 GB", text), (
        text
    )
    assert "A loop over all cells, which shares nothing, would take" in text
