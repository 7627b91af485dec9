"""Backbones whose weights are pickles: what runs is what the library reads, converted once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from transformers import XLMRobertaModel, XLMRobertaXLModel

from adapterx.backbones import load as loading
from adapterx.backbones import pickled as converting
from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.load import LoadedBackbone, load, load_tokenizer
from adapterx.backbones.spec import Backbone
from adapterx.faults import UnusablePlace
from tests.backbones.checkpoints import edit_config, save
from tests.backbones.pickles import PICKLE, masked_lm, pickled, weights_of, write
from tests.models import without_dropout

ARCHITECTURES = ("xlm-roberta", "xlm-roberta-xl")
LIBRARY: dict[str, Any] = {"xlm-roberta": XLMRobertaModel, "xlm-roberta-xl": XLMRobertaXLModel}
FORMS: dict[str, dict[str, Any]] = {
    "one": {},
    "shards": {"shards": 3},
    "old": {"old": True},
    "old shards": {"shards": 2, "old": True},
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "backbones" / "pickled"


def opened(directory: Path, **settings: Any) -> LoadedBackbone:
    return load(Backbone(model=str(directory), **settings))


def refusal(directory: Path) -> str:
    with pytest.raises(BackboneError) as caught:
        opened(directory)
    return str(caught.value)


def conversion(cache: Path) -> Path:
    """The only one."""
    (directory,) = (path for path in cache.iterdir() if path.is_dir())
    return directory


def states(model: Any) -> torch.Tensor:
    tokens = torch.tensor([[0, 31, 32, 17, 2], [0, 9, 2, 1, 1]])
    with torch.no_grad():
        found: torch.Tensor = model(tokens, tokens != 1).last_hidden_state
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [pickled, masked_lm], ids=["bare", "prefixed"])
def test_what_runs_is_what_the_library_reads(
    make: Callable[..., Any], form: str, architecture: str, tmp_path: Path
) -> None:
    make(tmp_path / "model", architecture, **FORMS[form])
    loaded = opened(tmp_path / "model")
    theirs = LIBRARY[architecture].from_pretrained(tmp_path / "model", use_safetensors=False, add_pooling_layer=False)
    torch.testing.assert_close(states(loaded.model), states(without_dropout(theirs)), rtol=0, atol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_masked_lm_head_gives_the_librarys_logits(architecture: str, tmp_path: Path) -> None:
    model = masked_lm(tmp_path / "model", architecture, shards=2)
    head = opened(tmp_path / "model").masked_lm
    assert sorted(head) == ["dense.bias", "dense.weight", "norm.bias", "norm.weight", "output.bias"]
    hidden = torch.randn(3, 32)
    with torch.no_grad():
        expected = model.lm_head(hidden)
        inner = torch.nn.functional.gelu(hidden @ head["dense.weight"].T + head["dense.bias"])
        inner = torch.nn.functional.layer_norm(inner, (32,), head["norm.weight"], head["norm.bias"], 1e-5)
        found = inner @ model.roberta.embeddings.word_embeddings.weight.T + head["output.bias"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_what_is_kept_is_a_plain_checkpoint_of_what_is_read(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "GROUP_BYTES", 40_000)
    masked_lm(tmp_path / "model")
    weights = {
        name: one.half() if one.is_floating_point() else one for name, one in weights_of(tmp_path / "model").items()
    }
    weights["roberta.pooler.dense.weight"] = torch.zeros(32, 32)
    write(tmp_path / "model", weights)
    loaded = opened(tmp_path / "model")
    directory = conversion(cache)
    files = sorted(directory.glob("*.safetensors"))
    kept = {name: tensor for path in files for name, tensor in load_file(path).items()}
    left_out = {"roberta.pooler.dense.weight", "roberta.embeddings.position_ids"}
    left_out |= {"lm_head.decoder.weight", "lm_head.decoder.bias"}
    assert set(kept) == set(weights) - left_out
    assert all(torch.equal(kept[name], weights[name]) and kept[name].dtype == torch.float16 for name in kept)
    assert len(files) > 2 and all(path.stat().st_size < 40_000 + 4_000 for path in files)
    index = json.loads((directory / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(kept) and set(index["weight_map"].values()) == {path.name for path in files}
    names = {*index["weight_map"].values(), "model.safetensors.index.json", "config.json", "tokenizer.json"}
    assert {path.name for path in directory.iterdir()} == names | {"manifest.json"}
    for name in ("config.json", "tokenizer.json"):
        assert (directory / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    torch.testing.assert_close(states(opened(directory).model), states(loaded.model), rtol=0, atol=0)


def test_views_of_one_storage_are_written_one_by_one(tmp_path: Path) -> None:
    """Some trainers save views of one flat array, and matrices in the order of their transposes."""
    directory = pickled(tmp_path / "model")
    expected = states(opened(directory).model)
    weights = weights_of(directory)
    flat = torch.cat([tensor.flatten() for tensor in weights.values()])
    views, start = {}, 0
    for name, tensor in weights.items():
        views[name] = flat[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
    for changed in (views, {name: one.t().contiguous().t() for name, one in weights.items()}):
        write(directory, changed)
        assert torch.equal(states(opened(directory).model), expected)


def test_it_is_said_once_and_done_once(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = pickled(tmp_path / "model", shards=2)
    first = opened(directory)
    made = conversion(cache)
    (size,) = (
        json.loads(path.read_text())["metadata"]["total_size"] for path in made.glob("model.safetensors.index.json")
    )
    assert [record.getMessage() for record in caplog.records] == [
        f"{directory} has pickled weights only: reading them without running code, and keeping them as safetensors "
        f"({size / 1e6:.1f} MB) in {made}"
    ]
    caplog.clear()
    monkeypatch.setattr(torch, "load", None)
    again = opened(directory)
    assert not caplog.records
    assert torch.equal(states(first.model), states(again.model))


def test_safetensors_win(tmp_path: Path, cache: Path) -> None:
    directory = save(tmp_path / "model")
    key, expected = describe(Backbone(model=str(directory))).key, states(opened(directory).model)
    (directory / PICKLE).write_bytes(b"never looked at")
    (directory / f"{PICKLE}.index.json").write_bytes(b"neither")
    assert describe(Backbone(model=str(directory))).key == key
    assert torch.equal(states(opened(directory).model), expected)
    assert not cache.exists()


def test_the_key_is_that_of_the_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = pickled(tmp_path / "model")
    before = describe(Backbone(model=str(directory)))
    assert before.key.startswith("local:")
    copy = Path(shutil.copytree(directory, tmp_path / "copy"))
    assert describe(Backbone(model=str(copy))) == before
    opened(directory)
    caplog.clear()
    opened(copy)
    assert not caplog.records, "equal content is converted once, wherever it lies"
    weights = weights_of(directory)
    write(directory, {name: tensor + 1 for name, tensor in weights.items()})
    assert describe(Backbone(model=str(directory))).key != before.key


def test_files_that_change_after_they_are_described_are_kept_as_what_they_are(tmp_path: Path) -> None:
    directory = pickled(tmp_path / "model")
    copy = Path(shutil.copytree(directory, tmp_path / "copy"))
    described = describe(Backbone(model=str(directory)))
    write(directory, {name: tensor * 2 for name, tensor in weights_of(directory).items()})
    load(Backbone(model=str(directory)), described)
    theirs = LIBRARY["xlm-roberta"].from_pretrained(copy, use_safetensors=False, add_pooling_layer=False)
    assert torch.equal(states(opened(copy).model), states(without_dropout(theirs)))


def test_describing_and_tokenising_convert_nothing(tmp_path: Path, cache: Path) -> None:
    directory = pickled(tmp_path / "model", shards=2)
    assert load_tokenizer(Backbone(model=str(directory)))("the cat").input_ids == [0, 31, 32, 2]
    code = (
        "import sys\nfrom adapterx.backbones.describe import describe\nfrom adapterx.backbones.spec import Backbone\n"
        f"print(describe(Backbone(model={str(directory)!r})).layers)\n"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'safetensors', 'pickle'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split()[0] == "3" and "torch" not in answer.stdout and "safetensors" not in answer.stdout
    assert not cache.exists()


class Cut(NamedTuple):
    """A conversion that was ended after its second group."""

    source: Path
    directory: Path
    groups: list[str]
    """Names of those that are there."""


@pytest.fixture
def cut(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Cut:
    monkeypatch.setattr(converting, "GROUP_BYTES", 60_000)
    directory = pickled(tmp_path / "model", shards=2)
    whole, written = converting._write, 0

    def writes(path: Path, *others: Any) -> None:
        nonlocal written
        if written == 2:
            raise KeyboardInterrupt
        whole(path, *others)
        written += 1

    with monkeypatch.context() as patch:
        patch.setattr(converting, "_write", writes)
        with pytest.raises(KeyboardInterrupt):
            opened(directory)
    made = conversion(cache)
    there = sorted(path.name for path in made.glob("*.safetensors"))
    assert len(there) == 2 and not (made / "manifest.json").exists()
    return Cut(directory, made, there)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the groups that are written."""
    names: list[str] = []
    whole = converting._write

    def noted(path: Path, *others: Any) -> None:
        names.append(path.name)
        whole(path, *others)

    monkeypatch.setattr(converting, "_write", noted)
    return names


def test_a_conversion_that_was_killed_goes_on(cut: Cut, writes: list[str], tmp_path: Path) -> None:
    (cut.directory / ".model-00003-of-00004.safetensors.0123abcd-7-0123abcd.tmp").write_bytes(b"what a kill leaves")
    found = states(opened(cut.source).model)
    groups = sorted(path.name for path in cut.directory.glob("*.safetensors"))
    assert writes == sorted(set(groups) - set(cut.groups)) and len(writes) > 1
    assert not list(cut.directory.glob(".*")) and not (cut.directory / "progress.json").exists()
    theirs = LIBRARY["xlm-roberta"].from_pretrained(cut.source, use_safetensors=False, add_pooling_layer=False)
    assert torch.equal(found, states(without_dropout(theirs)))


@pytest.mark.parametrize("damage", ["changed", "missing", "cut"])
def test_of_a_killed_conversion_only_whole_groups_count(damage: str, cut: Cut, writes: list[str]) -> None:
    path = cut.directory / cut.groups[0]
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[:-5] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    opened(cut.source)
    assert cut.groups[0] in writes and cut.groups[1] not in writes


def test_pickles_that_have_changed_are_converted_anew(cut: Cut, writes: list[str]) -> None:
    """Under one key, which a commit has whose cached files somebody changed."""
    config = json.loads((cut.source / "config.json").read_text())
    key = cut.directory.name.removesuffix(f"-c{converting.VERSION}").replace("-", ":")
    shard = min(cut.source.glob("*.bin"))
    torch.save({name: one * 2 for name, one in torch.load(shard, weights_only=True).items()}, shard)
    converting.checkpoint(cut.source, config, key, "model")
    assert set(cut.groups) <= set(writes)
    kept = {name: one for path in cut.directory.glob("*.safetensors") for name, one in load_file(path).items()}
    assert all(torch.equal(kept[name], one) for name, one in torch.load(shard, weights_only=True).items())


def test_what_has_been_damaged_is_mended(
    tmp_path: Path, cache: Path, writes: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "GROUP_BYTES", 60_000)
    directory = pickled(tmp_path / "model")
    expected = states(opened(directory).model)
    caplog.clear()
    harmed = writes[1]
    writes.clear()
    path = conversion(cache) / harmed
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert torch.equal(states(opened(directory).model), expected)
    assert writes == [harmed]
    assert f"is damaged ({harmed} has changed); it is made anew" in caplog.text


def test_the_disk_is_asked_before_anything_is_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = pickled(tmp_path / "model")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_234_567))
    message = refusal(directory)
    assert message.startswith(f"{directory} has pickled weights only, and keeping them as safetensors needs 16.2 MB in")
    assert message.endswith(
        f"in {cache}, where 1.2 MB are free: make room, or choose another place with ADAPTERX_CACHE"
    )
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


def test_two_at_once_make_one(tmp_path: Path, cache: Path, writes: list[str]) -> None:
    directory = pickled(tmp_path / "model")
    backbone = Backbone(model=str(directory))
    described = describe(backbone)
    start, found = threading.Barrier(2), list[Path]()

    def ask() -> None:
        start.wait()
        found.append(loading._directory(backbone, described))

    both = [threading.Thread(target=ask) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert found == [conversion(cache)] * 2
    assert writes == ["model-00001-of-00001.safetensors"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = pickled(tmp_path / "model")
    (tmp_path / "file").touch()
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "file"))
    with pytest.raises(UnusablePlace, match="ADAPTERX_CACHE"):
        opened(directory)


def test_sizes_are_compared_before_anything_is_written(tmp_path: Path, cache: Path) -> None:
    directory = pickled(tmp_path / "model")
    edit_config(directory, intermediate_size=64)
    assert "do not fit its config.json" in refusal(directory)
    assert not cache.exists()
