"""`vocabulary: used` through the real command: what is stored and exported is the same bytes as with `all`."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from adapterx.backbones.assemble import assemble
from adapterx.cli import main
from adapterx.engine.bundle import Bundle
from tests.backbones.checkpoints import PIECES, save
from tests.end_to_end.test_extractive_qa import OWN, data
from tests.end_to_end.test_interrupted import stop_in
from tests.end_to_end.test_retrieval import NAMES, TASKS
from tests.support.command import adapterx

Write = Callable[..., Path]
VOCABULARY = 120
RESULTS = ("adapter.safetensors", "predictions.parquet", "training.jsonl")
KNOWN = re.compile(rf"has the embeddings of (\d+) of its {VOCABULARY} tokens, the ones that are read")
TARGETS: dict[str, Any] = {
    "mentions": {"task": "time-mentions", "languages": ["de"]},
    "order": {"task": "time-order", "languages": ["en"]},
    "qa": {"task": "qa", "languages": ["en"]},
    "names": {"task": "names", "train_task": "time-order"},
}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Random checkpoints of both architectures."""
    root = tmp_path_factory.mktemp("encoders")
    return {name: str(save(root / name, name)) for name in ("xlm-roberta", "xlm-roberta-xl")}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a recipe beside a task of questions and one of texts to be found; sections replace those here."""
    monkeypatch.setenv("ADAPTERX_DATA", str(data(tmp_path / "data")))
    (tmp_path / "qa.yaml").write_text(OWN)
    for code, end in (("en", ""), ("de", "!"), ("sw", " ?")):
        (tmp_path / "data" / f"names.{code}").write_text("".join(f"{name}{end}\n" for name in NAMES))
    head = {"adapterx": 1, "name": "names", "description": "d", "format": "retrieval", "licence": "l"}
    task = {key: value for key, value in TASKS["names"].items() if key != "splits"}
    source = {"kind": "search", "splits": TASKS["names"]["splits"]}
    (tmp_path / "names.yaml").write_text(json.dumps({**head, **task, "sources": {"files": source}}))

    def written(backbones: dict[str, dict[str, str]], vocabulary: str, **sections: Any) -> Path:
        content = {
            "adapterx": 1,
            "name": "grid",
            "backbones": {name: {**one, "vocabulary": vocabulary} for name, one in backbones.items()},
            "methods": {"lora": {"kind": "lora", "rank": 4}, "seq": {"kind": "bottleneck", "reduction_factor": 4}},
            "intermediates": {"none": None},
            "targets": TARGETS,
            "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 3, "limit": 12, "max_length": 32},
            "evaluate": {"limit": 4, "bootstrap": 100},
            **sections,
        }
        path = tmp_path / f"{vocabulary}.yaml"
        path.write_text(json.dumps(content))
        return path

    return written


def run(path: Path, store: Path) -> str:
    """What a run that fails at nothing says; a few steps teach little, so cells may have learnt nothing."""
    done = adapterx("run", path, "--store", store)
    assert done.returncode in (0, 1) and not list(store.rglob("failure*.json")), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stdout.split())


def results(store: Path) -> dict[str, bytes]:
    """The content of every stage's results, by stage and file."""
    files = [path for name in RESULTS for path in store.glob(f"stages/*/*/{name}")]
    return {f"{path.parent.parent.name}/{path.parent.name}/{path.name}": path.read_bytes() for path in files}


def same(write: Write, backbones: dict[str, dict[str, str]], stores: Path, **sections: Any) -> dict[str, str]:
    """Run the same with all embeddings and with those that are read; what each run said, once results are equal."""
    paths = {name: write(backbones, name, **sections) for name in ("all", "used")}
    said = {name: run(path, stores / name) for name, path in paths.items()}
    found = {name: results(stores / name) for name in paths}
    assert found["all"].keys() == found["used"].keys() and found["all"]
    assert [name for name in found["all"] if found["all"][name] != found["used"][name]] == []
    again = adapterx("run", paths["used"], "--store", stores / "all").stdout
    assert "nothing to train" in again, "results of the one are those of the other"
    return said


def rows(said: str) -> set[int]:
    return {int(found) for found in KNOWN.findall(said)}


@pytest.mark.slow
def test_results_and_exports_are_the_same_bytes(
    write: Write, encoders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backbones = {
        "base": {"model": encoders["xlm-roberta"]},
        "xl": {"model": encoders["xlm-roberta-xl"], "load": "bfloat16"},
        "eight": {"model": encoders["xlm-roberta"], "load": "int8-rows"},
    }
    skip = [
        {"backbones": "eight", "methods": "seq"},
        {"backbones": "eight", "targets": ["qa", "names", "mentions"]},
        {"backbones": "xl", "targets": ["order", "mentions"]},
        {"backbones": "base", "targets": "qa"},
    ]
    said = same(write, backbones, tmp_path, skip=skip)
    assert "vocabulary:" not in said["all"] and len(KNOWN.findall(said["used"])) == len(backbones)
    assert all(5 < count <= len(PIECES) for count in rows(said["used"]))
    capsys.readouterr()
    for cell, layout in (("xl.lora.none.qa", "peft"), ("base.seq.none.order", "adapterhub")):
        exports = []
        for store in ("all", "used"):
            out = tmp_path / f"{store} {layout}"
            asked = ["export", cell, "--format", layout, "--out", str(out), "--store", str(tmp_path / store)]
            assert main(asked) == 0, capsys.readouterr().err
            exports.append({path.name: path.read_bytes() for path in out.iterdir()})
        assert exports[0] == exports[1] and len(exports[0]) > 1
    # New items may hold any token, so whoever answers them has all embeddings.
    items = tmp_path / "items.jsonl"
    items.write_text(json.dumps({"text": "x y z q", "text_pair": "the cat"}))
    assert main(["predict", str(tmp_path / "used adapterhub"), "--task", "time-order", str(items)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("load", ["float32", "bfloat16", "float16", "int8", "int8-rows", "nf4"])
def test_in_every_precision_on_both_architectures(
    load: str, write: Write, encoders: dict[str, str], tmp_path: Path
) -> None:
    same(write, {name: {"model": path, "load": load} for name, path in encoders.items()}, tmp_path)


def test_everything_that_a_stage_may_read_is_known_before(
    write: Write, encoders: dict[str, str], tmp_path: Path
) -> None:
    """Dev items that stop a training, prune it or weigh a merger, texts that are searched without any training.

    A text of which a run did not know when it loaded the backbone fails its stage.
    """
    path = write(
        {"base": {"model": encoders["xlm-roberta"]}},
        "used",
        methods={"lora": {"kind": "lora", "rank": 4}},
        intermediates={
            "none": None,
            "time": {"tasks": "time-latest"},
            "order": {"tasks": ["time-order", "place-match"]},
            "both": {"members": ["time", "order"]},
        },
        transfers={
            "tuned": {"kind": "merge", "weights": "tuned", "tuning_limit": 3},
            "continue": {"kind": "continue"},
        },
        targets={"mentions": {"task": "time-mentions", "languages": ["de"]}, "names": {"task": "names"}},
        skip=[
            {"intermediates": "both", "transfers": "continue"},
            {"intermediates": ["time", "order"], "transfers": "tuned"},
            {"intermediates": ["time", "order"], "targets": "mentions"},
            {"intermediates": "both", "targets": "names"},
        ],
        train={
            "batch_size": 4, "steps": 4, "limit": 12, "max_length": 32,
            "prune": {"learning_rates": [1e-3, 1e-2], "rungs": [0.5], "limit": 5},
            "early_stopping": {"every": 2, "patience": 2, "limit": 4},
        },
    )  # fmt: skip
    said = run(path, tmp_path / "store")
    assert len(rows(said)) == 1 and "trained 4 stages, evaluated 5" in said


def test_what_reads_all_embeddings_has_them_and_the_run_says_so(
    write: Write, encoders: dict[str, str], tmp_path: Path
) -> None:
    said = same(
        write,
        {"base": {"model": encoders["xlm-roberta"]}},
        tmp_path,
        methods={"seq": {"kind": "bottleneck", "reduction_factor": 4}, "full": {"kind": "full"}},
        intermediates={
            "none": None,
            "text": {
                "tasks": "cldr-text",
                "languages": ["en", "de"],
                "per_language": True,
                "method": {"kind": "bottleneck", "reduction_factor": 4, "invertible": "nice"},
            },
        },
        transfers=["stack"],
        targets={"order": {"task": "time-order", "languages": ["de"]}},
        skip=[{"methods": "full", "intermediates": "text"}],
    )["used"]
    assert "2 of them (target base.full.none.order.seed1, …): with the embeddings of all tokens, as full" in said
    assert "with the embeddings of all tokens, as masked language modelling compares its guesses" in said
    assert len(rows(said)) == 1


@pytest.mark.slow
def test_the_reference_lane_has_all_of_them(write: Write, encoders: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("peft")
    cell = {"methods": {"lora": {"kind": "lora", "rank": 4}}, "targets": {"order": TARGETS["order"]}}
    said = same(write, {"base": {"model": encoders["xlm-roberta"]}}, tmp_path, lane="reference", **cell)["used"]
    assert "as the reference lane runs the libraries' own models" in said and not rows(said)


def test_a_training_that_was_cut_off_with_all_goes_on_with_those_that_are_read(
    write: Write, encoders: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbones = {"xl": {"model": encoders["xlm-roberta-xl"], "load": "bfloat16"}}
    cells = {"targets": {"order": TARGETS["order"]}, "seeds": [1, 2]}
    whole, cut = (write(backbones, vocabulary, **cells) for vocabulary in ("all", "used"))
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    run(whole, straight)
    stop_in(monkeypatch, Bundle, "_gradients", 3, signal.SIGTERM)
    assert main(["run", str(whole), "--store", str(stopped)]) == 143
    monkeypatch.undo()
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path / "data"))
    assert list((stopped / "checkpoints").iterdir()) and not results(stopped)
    run(cut, stopped)
    assert results(stopped) == results(straight)
    assert not list((stopped / "checkpoints").iterdir()), "it was gone on with"


def test_a_plan_counts_the_tokens_of_texts_that_are_tokenised(
    write: Write, encoders: dict[str, str], tmp_path: Path
) -> None:
    """As the run does that loads them; and says where it does not know."""
    backbones, store = {"base": {"model": encoders["xlm-roberta"], "load": "bfloat16"}}, tmp_path / "store"
    order = {"targets": {"order": TARGETS["order"]}}
    run(write(backbones, "all", **order), store)
    path = write(backbones, "used", seeds=[2], **order)
    planned = " ".join(adapterx("plan", path, "--store", store).stdout.split())
    stores = {"used": store, "new": tmp_path / "new"}
    plans = {name: adapterx("plan", path, "--json", "--store", root).stdout for name, root in stores.items()}
    sizes = {name: json.loads(plan)["stages"][0]["cost"]["memory"]["parts"] for name, plan in plans.items()}
    less = sizes["new"]["weights"] - sizes["used"]["weights"]
    assert {less} == {(VOCABULARY - count) * 32 * 2 for count in rows(planned)}
    assert rows(planned) == rows(run(path, store)) and len(rows(planned)) == 1
    further = write(backbones, "used", seeds=[3], evaluate={"limit": 5}, **order)
    assert "until then memory counts those of all 120" in " ".join(
        adapterx("plan", further, "--store", store).stdout.split()
    )


PAIRS = """
adapterx: 1
name: NAME
description: two letters
format: pair-classification
labels: ["no", "yes"]
metrics: accuracy
languages: [en]
licence: CC0-1.0
sources:
  local:
    kind: local
    reader: tsv
    columns: {text: 0, text_pair: 1, label: 2}
    splits: {train: {paths: NAME.tsv}, test: {paths: NAME-test.tsv}}
"""


def test_a_backbone_that_lacks_tokens_is_loaded_again_and_never_reads_the_row_of_another(
    write: Write, encoders: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stored intermediate is not to be trained, so its letters are not loaded; found damaged, it is."""
    for name, first, second in (("low", "a", "b"), ("high", "x", "y")):
        (tmp_path / f"{name}.yaml").write_text(PAIRS.replace("NAME", name))
        for times, file in ((2, f"{name}.tsv"), (3, f"{name}-test.tsv")):
            pairs = [(one * times, two, ("no", "yes")[one == two]) for one, two in product((first, second), repeat=2)]
            (tmp_path / "data" / file).write_text("".join("\t".join(pair) + "\n" for pair in pairs * times))
    loaded: list[set[str]] = []

    def spied(*args: Any) -> Any:
        *_, ids = args
        loaded.append({PIECES[token] for token in ids} & set("abxy"))
        return assemble(*args)

    monkeypatch.setattr("adapterx.backbones.load.assemble", spied)
    sections: dict[str, Any] = {
        "methods": {"lora": {"kind": "lora", "rank": 4}},
        "intermediates": {"low": {"tasks": "low"}},
        "targets": {"high": "high"},
    }
    backbones, store = {"base": {"model": encoders["xlm-roberta"]}}, tmp_path / "store"
    run(write(backbones, "used", **sections), store)
    assert loaded == [set("abxy")]
    before = results(store)
    (adapter,) = store.glob("stages/intermediate/*/adapter.safetensors")
    adapter.chmod(0o644)
    adapter.write_bytes(adapter.read_bytes()[:-1] + b"?")
    loaded.clear()
    run(write(backbones, "used", **sections, transfers=["continue", "stack"]), store)
    assert loaded == [set("xy"), set("abxy")]
    after = results(store)
    assert {name: after[name] for name in before} == before and len(after) > len(before)
