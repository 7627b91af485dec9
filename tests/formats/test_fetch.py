"""Adapters from the Hub, fetched by the real client from a server on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapterx.formats import directory as formats
from adapterx.formats.errors import FormatError
from adapterx.formats.fetch import locate
from adapterx.methods.config import Lora
from tests.formats.worked import adapter, place
from tests.support.command import ROOT
from tests.support.hub import Hub, serve

NAME = "someone/adapter"
PROGRAM = """
import sys
from adapterx.formats import directory, fetch
from adapterx.formats.adapter import Encoder
from adapterx.methods.shape import Shape
for name, revision in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        found = fetch.locate(name, revision or None)
        for part in sorted(path.parent for path in found.rglob("adapter_config.json")):
            read = directory.read(part, Encoder("xlm-roberta", Shape(3, 32, 128)))
            total = sum(tensor.double().sum().item() for tensor in read.tensors.values())
            print(part.relative_to(found), read.method.rank, read.head is not None, round(total, 4))
    except ValueError as error:
        print(f"{type(error).__name__}: {error}")
"""


def client(hub: Hub, *arguments: str) -> list[str]:
    """What a fresh process prints of adapters by name and revision."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= hub.environment(hub.root.parent / "home")
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def written(directory: Path, rank: int, head: bool = True) -> dict[str, Path]:
    """The files of an adapter, by name."""
    directory.mkdir()
    own = adapter(Lora(rank=rank), place(), "tagging" if head else None, seed=rank)
    formats.write(directory, "peft", own, place(), "mine")
    return {path.name: path for path in directory.iterdir()}


def test_a_revision_pins_what_is_fetched(tmp_path: Path) -> None:
    files = written(tmp_path / "first", 2)
    company = dict.fromkeys(("adapter_model.bin", "code.py", "README.md", "model.safetensors"), b"not wanted")
    with serve(tmp_path / "hub") as hub:
        first = hub.commit(NAME, {**files, **company})
        hub.commit(NAME, written(tmp_path / "second", 3, head=False))
        hub.commit("someone/stack", {f"{part}/{name}": path for part in "ab" for name, path in files.items()})
        fusion = dict.fromkeys(("adapter_fusion_config.json", "model_adapter_fusion.safetensors"), b"read by others")
        members = {f"{part}/{name}": path for part in "ab" for name, path in files.items()}
        hub.commit("someone/fused", {**members, **{f"a,b/{name}": content for name, content in fusion.items()}})
        hub.commit("someone/pickled", {"adapter_config.json": files["adapter_config.json"], "adapter_model.bin": b""})
        hub.commit("someone/else", {"config.json": b"{}"})
        lines = client(
            hub,
            NAME,
            first,
            NAME,
            "",
            "someone/stack",
            "",
            "someone/fused",
            "",
            "someone/pickled",
            "",
            "someone/else",
            "",
            "no/one",
            "",
        )
        fetched = hub.fetched()
    assert [line.rsplit(" ", 1)[0] for line in lines[:4]] == [". 2 True", ". 3 False", "a 2 True", "b 2 True"]
    del lines[4:6]
    assert "FormatError" in lines[4] and "only adapter_model.bin; pickled weights are never loaded" in lines[4]
    assert lines[5].startswith("FormatError: someone/else on the Hub has no adapter_config.json")
    assert lines[6].startswith("BackboneError: there is neither a directory 'no/one' here nor a model of that name")
    assert {name.rpartition("/")[2] for name in fetched} == {*files, *fusion}
    # The server is down now.
    again = client(hub, NAME, first, NAME, "")
    assert again[0] == lines[0]
    assert "the Hub cannot be reached" in again[1]


def test_a_directory_here_is_taken_as_it_is(tmp_path: Path) -> None:
    assert locate(str(tmp_path)) == tmp_path
    with pytest.raises(FormatError, match="the revision 'main' means nothing"):
        locate(str(tmp_path), "main")
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="is a file"):
        locate(str(tmp_path / "file"))
    with pytest.raises(FormatError, match="there is no directory"):
        locate(str(tmp_path / "absent"))
