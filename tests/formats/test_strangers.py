"""Every setting of every file of an adapter, made wrong in every way: refused in words, or read, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapterx.errors import AdapterxError
from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.formats import fused, metadata, setup
from adapterx.formats.adapterhub_head import read as read_head
from adapterx.formats.metadata import Metadata
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from tests.formats.test_fused import MEMBERS, fusion_of
from tests.formats.worked import adapter, place

WRONG: dict[str, str] = {
    "null": "null",
    "true": "true",
    "5": "5",
    "-1": "-1",
    "tiny": "1e-320",
    "huge": "1e308",
    "infinite": "1e999",
    "nan": "NaN",
    "digits": "9" * 400,
    "x": '"x"',
    "empty-text": '""',
    "long": json.dumps("x" * 100_000),
    "escape": '"\\u001b[31m"',
    "zero": '"a\\u0000b"',
    "half": '"\\ud800"',
    "list": "[]",
    "lists": "[[]]",
    "numbers": "[5]",
    "nulls": "[null]",
    "object": "{}",
    "objects": '{"a": {"b": []}}',
    "deep": "[" * 100_000 + "]" * 100_000,
    "regular-expression": '"(([a-z.0-9]+)+)+!"',
}
KNOWN = Metadata("r", "c", "s", "m", None, "b", "float32", "xlm-roberta", 3, 32, "t", "tagging", ("a", "b"), 64)


def peft(directory: Path, head: Any = "pair-classification") -> None:
    """LoRA with a head of our own, as in a stack."""
    formats.write(directory, "peft", adapter(Lora(rank=2), place(), head), place(), "mine", alone=False)


def classifier(directory: Path) -> None:
    """LoRA with a head of the library's own."""
    peft(directory, None)
    config = json.loads((directory / "adapter_config.json").read_text())
    config |= {"modules_to_save": ["classifier", "score"], "layers_to_transform": [0, 1, 2], "layers_pattern": "layer"}
    (directory / "adapter_config.json").write_text(json.dumps(config | {"exclude_modules": ["key"]}))
    weights = load_file(directory / "adapter_model.safetensors")
    stem = "base_model.model.classifier."
    for name, shape in {"dense": (32, 32), "out_proj": (2, 32)}.items():
        weights |= {f"{stem}{name}.weight": torch.zeros(shape), f"{stem}{name}.bias": torch.zeros(shape[0])}
    save_file(weights, directory / "adapter_model.safetensors")


def bottleneck(directory: Path) -> None:
    own = adapter(Bottleneck(invertible="nice", layers=(1,)), place(), "pair-classification")
    formats.write(directory, "adapterhub", own, place(), "mine")


def hub_lora(directory: Path) -> None:
    formats.write(directory, "adapterhub", adapter(Lora(rank=2), place(), "multiple-choice"), place(), "mine")


def fusion(directory: Path) -> None:
    fused.write(directory, fusion_of(MEMBERS["sequential"]), place())


def exported(directory: Path) -> None:
    metadata.write(directory, KNOWN)


def read_setup(directory: Path) -> None:
    composed = setup.read(directory)
    assert composed is not None
    if composed.kind == "Fuse":
        fused.read(directory, composed, place())


def read(directory: Path) -> None:
    formats.read(directory, place())


JOINED = "time,place,more"
FILES: dict[str, tuple[Callable[[Path], None], str, Callable[[Path], object]]] = {
    "peft": (peft, "adapter_config.json", read),
    "peft-head": (peft, "head_config.json", read),
    "classifier": (classifier, "adapter_config.json", read),
    "bottleneck": (bottleneck, "adapter_config.json", read),
    "bottleneck-head": (bottleneck, "head_config.json", read),
    "lora": (hub_lora, "adapter_config.json", read),
    "lora-head": (hub_lora, "head_config.json", read),
    "setup": (fusion, "adapter_setup.json", read_setup),
    "fusion": (fusion, f"{JOINED}/adapter_fusion_config.json", read_setup),
    "fusion-head": (fusion, "head/head_config.json", lambda there: read_head(there / "head", place())),
    "metadata": (exported, "adapterx.json", metadata.read),
}


MARK = "\x00mark\x00"


def changed(content: Any) -> Iterator[tuple[str, str]]:
    """JSON texts in which MARK stands in place of one value, at any depth, or beside all, and where."""

    def places(value: Any) -> Iterator[tuple[str, Any]]:
        yield "", MARK
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, one in inner:
            for where, other in places(one):
                copy = dict(value) if isinstance(value, dict) else list(value)
                copy[key] = other
                yield f"{key}.{where}", copy

    for where, altered in places(content):
        yield where, json.dumps(altered)
    for key in content:
        yield f"without {key}", json.dumps({name: one for name, one in content.items() if name != key})
    yield "more", json.dumps({**content, "no_such_setting": MARK})


def tried(name: str, wrong: Iterator[str], directory: Path) -> None:
    """Read a file with each of its values made wrong in turn, by the next of these texts."""
    make, file, reader = FILES[name]
    directory.mkdir()
    make(directory)
    reader(directory)
    path = directory / file
    for where, text in changed(json.loads(path.read_text())):
        path.write_text(text.replace(json.dumps(MARK), next(wrong)))
        try:
            reader(directory)
        except AdapterxError as error:
            message = str(error)
            assert len(message) < 1000 and message.isprintable(), where
            assert str(directory) in message, where
        except Exception as error:
            raise AssertionError(f"{file} {where}: {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("name", FILES)
def test_wrong_values_are_refused_in_words(name: str, tmp_path: Path) -> None:
    """Each place once, with one of the wrong values after another."""
    tried(name, cycle(WRONG.values()), tmp_path / "adapter")


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", FILES)
def test_every_wrong_value_is_refused_in_words(name: str, wrong: str, tmp_path: Path) -> None:
    tried(name, repeat(WRONG[wrong]), tmp_path / "adapter")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_setting_of_the_settings_that_matter(wrong: str, tmp_path: Path) -> None:
    """Every value for the keys that are read, one file of each kind."""
    keys = {
        "classifier": (
            "target_modules",
            "exclude_modules",
            "layers_to_transform",
            "modules_to_save",
            "r",
            "lora_alpha",
        ),
        "metadata": ("adapters", "labels", "load", "model", "languages", "revision", "max_length"),
    }
    for name, settings in keys.items():
        make, file, reader = FILES[name]
        (tmp_path / name).mkdir()
        make(tmp_path / name)
        path = tmp_path / name / file
        content = json.loads(path.read_text())
        for key in settings:
            text = json.dumps({**content, key: "MARK"}).replace('"MARK"', WRONG[wrong])
            path.write_text(text)
            try:
                reader(tmp_path / name)
            except AdapterxError as error:
                assert str(tmp_path / name) in str(error) and len(str(error)) < 1000, key


@pytest.mark.parametrize("kind", ["pipe", "directory", "device", "large", "order-mark"])
@pytest.mark.parametrize("name", FILES)
def test_files_that_are_none(name: str, kind: str, tmp_path: Path) -> None:
    make, file, reader = FILES[name]
    make(tmp_path)
    path = tmp_path / file
    content = path.read_bytes()
    path.unlink()
    if kind == "order-mark":
        path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
        reader(tmp_path)
        return
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(content.rstrip()[:-1] + b" " * 2_000_000 + b"}")
    with pytest.raises(
        FormatError, match=r"is a pipe|is a directory|more than the 1,000,000|has no adapter_config"
    ) as told:
        reader(tmp_path)
    assert str(path.parent) in str(told.value) and path.name in str(told.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38, -1e30])
@pytest.mark.parametrize(
    ("make", "file"),
    [
        (peft, "adapter_model.safetensors"),
        (peft, "head.safetensors"),
        (classifier, "adapter_model.safetensors"),
        (bottleneck, "adapter.safetensors"),
        (bottleneck, "model_head.safetensors"),
        (fusion, f"{JOINED}/model_adapter_fusion.safetensors"),
        (fusion, "place/adapter.safetensors"),
        (fusion, "head/model_head.safetensors"),
    ],
)
def test_weights_that_nothing_can_be_computed_with_are_refused(
    make: Callable[[Path], None], file: str, value: float, tmp_path: Path
) -> None:
    make(tmp_path)
    tensors = load_file(tmp_path / file)
    name = sorted(tensors)[-1]
    tensors[name].view(-1)[0] = value
    save_file(tensors, tmp_path / file)
    with pytest.raises(FormatError, match=r"holds numbers (that are not finite|beyond 1e\+18)") as refused:
        read_setup(tmp_path) if make is fusion else read(tmp_path)
    assert str(tmp_path / file) in str(refused.value) and name in str(refused.value)


def test_weights_that_overflow_as_float32_are_refused(tmp_path: Path) -> None:
    peft(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    save_file({name: tensor.double() + 1e300 for name, tensor in load_file(path).items()}, path)
    with pytest.raises(FormatError, match="holds numbers that are not finite"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "head.safetensors"])
def test_weights_that_are_no_file(name: str, tmp_path: Path) -> None:
    peft(tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(FormatError, match=f"{name} is a pipe"):
        read(tmp_path)


def test_a_fusion_saved_in_pieces_is_told_from_what_is_no_adapter(tmp_path: Path) -> None:
    fusion(tmp_path)
    (tmp_path / "adapter_setup.json").unlink()
    with pytest.raises(FormatError, match=r"has a fusion but no adapter_setup\.json.*save_adapter_setup\("):
        read(tmp_path)
    with pytest.raises(FormatError, match=r"has a fusion but no adapter_setup\.json"):
        read(tmp_path / JOINED)
    for path in (tmp_path / JOINED).iterdir():
        path.rename(tmp_path / path.name)
    with pytest.raises(FormatError, match=r"has a fusion but no adapter_setup\.json"):
        read(tmp_path)
    for path in tmp_path.glob("*fusion*"):
        path.unlink()
    with pytest.raises(FormatError, match="there are adapters in its directories more, place, time"):
        read(tmp_path)


def test_members_whose_names_hold_commas(tmp_path: Path) -> None:
    fusion(tmp_path)
    renamed = {"time": "en,de", "place": "sw", "more": "more"}
    joined = ",".join(renamed.values())
    (tmp_path / JOINED).rename(tmp_path / joined)
    for old, new in renamed.items():
        (tmp_path / old).rename(tmp_path / new)
    for path in [*tmp_path.rglob("*.json"), *tmp_path.rglob("*.safetensors")]:
        stem = path.parent.name
        old = next((one for one, new in renamed.items() if new == stem), JOINED)
        new = stem if stem in renamed.values() else joined
        if path.suffix == ".safetensors" and stem != "head":
            save_file({key.replace(f".{old}.", f".{new}."): one for key, one in load_file(path).items()}, path)
        elif path.suffix == ".json":
            content = json.loads(path.read_text())
            if content.get("name") == old:
                content["name"] = new
            if "adapter_names" in content:
                content["adapter_names"] = list(renamed.values())
            for child in content.get("adapter_setup", {}).get("children", []):
                child["children"] = [renamed[child["children"][0]]]
            path.write_text(json.dumps(content))
    composed = setup.read(tmp_path)
    assert composed is not None and composed.adapters == ("en,de", "sw", "more")
    found = fused.read(tmp_path, composed, place())
    assert all(torch.equal(found.tensors[key], one) for key, one in fusion_of(MEMBERS["sequential"]).tensors.items())


def test_what_is_written_is_readable_by_others(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        peft(tmp_path)
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
        ("adapter_config.json", "adapter_model.safetensors", "head_config.json", "head.safetensors"), 0o644
    )
