"""Adapters from the Hub, fetched by the real client from a server on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.formats.fetch import locate
from adapterx.methods.lora.spec import Lora
from tests.formats.worked import adapter, place
from tests.support.command import ROOT
from tests.support.hub import Hub, serve
from tests.support.marks import everyday

NAME = "someone/adapter"
Files = dict[str, bytes | Path]
PROGRAM = """
import sys
from adapterx.formats import directory, fetch
from adapterx.formats.adapter import Encoder
from adapterx.backbones.shape import Shape
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
    environment |= hub.environment(hub.root.parent / "a home")
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def written(directory: Path, rank: int, head: bool = True) -> Files:
    """The files of an adapter, by name."""
    directory.mkdir()
    own = adapter(Lora(rank=rank), place(), "tagging" if head else None, seed=rank)
    formats.write(directory, "peft", own, place(), "mine")
    return {path.name: path for path in directory.iterdir()}


def composed(kind: str, *names: str) -> bytes:
    """An adapter_setup.json of single adapters, with no head."""
    singles = [{"type": "single", "children": [name]} for name in names]
    return json.dumps({"adapter_setup": {"type": kind, "children": singles}, "head_setup": None}).encode()


@pytest.mark.slow
def test_a_revision_pins_what_is_fetched(tmp_path: Path) -> None:
    files = written(tmp_path / "first", 2)
    pickled: Files = {"adapter_config.json": files["adapter_config.json"], "adapter_model.bin": b""}
    company: Files = dict.fromkeys(("adapter_model.bin", "code.py", "README.md", "model.safetensors"), b"not wanted")
    company |= dict.fromkeys(("checkpoint-500/adapter_model.bin", "checkpoint-500/adapter_config.json"), b"not wanted")
    fusion: Files = dict.fromkeys(("adapter_fusion_config.json", "model_adapter_fusion.safetensors"), b"read by others")
    members: Files = {f"{part}/{name}": path for part in ("a", "b,c") for name, path in files.items()}
    with serve(tmp_path / "hub") as hub:
        first = hub.commit(NAME, {**files, **company})
        second = hub.commit(NAME, written(tmp_path / "second", 3, head=False))
        hub.commit("someone/stack", {**members, **pickled, "adapter_setup.json": composed("Stack", "a", "b,c")})
        whole = {**members, **{f"a,b,c/{name}": content for name, content in fusion.items()}}
        hub.commit("someone/fused", {**whole, "adapter_setup.json": composed("Fuse", "a", "b,c"), "x/y.bin": b""})
        hub.commit("someone/pieces", whole)
        hub.commit("someone/folders", members)
        hub.commit("someone/pickled", pickled)
        hub.commit("someone/else", {"config.json": b"{}"})
        names = ("stack", "fused", "pieces", "folders", "pickled", "else")
        lines = client(
            hub, NAME, first, NAME, "", *(one for name in names for one in (f"someone/{name}", "")), "no/one", ""
        )
        fetched = hub.fetched()
    kept = [line.rsplit(" ", 1)[0] for line in lines[:6]]
    assert kept == [". 2 True", ". 3 False", "a 2 True", "b,c 2 True", "a 2 True", "b,c 2 True"]
    assert lines[6].startswith("FormatError: someone/pieces on the Hub has a fusion but no adapter_setup.json")
    assert "has no adapter_config.json" in lines[7] and lines[7].endswith(
        "there are adapters in its directories a, b,c: name one, as in …/a"
    )
    assert "FormatError" in lines[8] and "adapter_model.bin is no file of torch.save" in lines[8]
    assert lines[9].startswith("FormatError: someone/else on the Hub has no adapter_config.json")
    assert lines[10].startswith("HubError: there is neither a directory 'no/one' here nor a model of that name")
    # The pickle of `someone/pickled` alone: where safetensors lie beside it, nobody asks for a pickle.
    pickles = [request.path for request in hub.requests if request.path.endswith("adapter_model.bin")]
    assert pickles and all("/someone/pickled/" in path for path in pickles)
    wanted = {*files, *fusion, "adapter_setup.json", "adapter_model.bin"}
    assert {name.rpartition("/")[2] for name in fetched} == wanted
    assert not [name for name in fetched if name.startswith(("checkpoint", "x/"))]
    # The server is down now.
    again = client(hub, NAME, first, NAME, "", "someone/fused", "", "no/one", "")
    assert again[:4] == [*lines[:2], *lines[4:6]]
    assert "and the Hub cannot be reached: once it is downloaded, a commit that is pinned with --revision" in again[4]
    assert len(again) == 7
    assert again[5] == (
        f"the Hub cannot be reached: {NAME} is read from the local Hub cache, at commit {second}, which 'main' meant"
        " when it was last asked for"
    )


@pytest.mark.parametrize("status", everyday([429, 500, 503], [429]))
def test_a_busy_hub_is_answered_for_by_the_cache(tmp_path: Path, status: int) -> None:
    with serve(tmp_path / "hub") as hub:
        commit = hub.commit(NAME, written(tmp_path / "first", 2))
        hub.commit("someone/else", written(tmp_path / "second", 3))
        first = client(hub, NAME, "")
        hub.fail(status, "/")
        again = client(hub, NAME, "", NAME, commit, "someone/else", "", NAME, "v1")
    assert again[:2] == [*first, *first]
    assert f"the Hub gives no answer now (HTTP status {status}" in again[2] and "once it is downloaded" in again[2]
    assert again[3].endswith(f"name a commit that is in the cache with --revision COMMIT, or ID@COMMIT: {commit}")
    assert len(again) == 5 and f"HTTP status {status}" in again[4] and f"at commit {commit}" in again[4]


def test_a_directory_here_is_taken_as_it_is(tmp_path: Path) -> None:
    assert locate(str(tmp_path)) == tmp_path
    with pytest.raises(FormatError, match="the revision 'main' means nothing"):
        locate(str(tmp_path), "main")
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="is a file"):
        locate(str(tmp_path / "file"))
    with pytest.raises(FormatError, match="there is no directory"):
        locate(str(tmp_path / "absent"))
