"""Pickles that somebody made to do harm, or that hold something else: refused by name, and nothing of them runs."""

from __future__ import annotations

import builtins
import io
import json
import os
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adapterx.backbones import pickled as converting
from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.load import load
from adapterx.backbones.pickle_files import PickledFile
from adapterx.backbones.pickle_opcodes import PickleOutline
from adapterx.backbones.spec import Backbone
from adapterx.reading import UnreadableFile
from tests.backbones.checkpoints import edit_config
from tests.backbones.pickles import INDEX, PICKLE, pack, pickled, records, weights_of, write

Harm = Callable[[Path], object]
WORDS = "embeddings.word_embeddings.weight"
QUERY, KEY = (f"encoder.layer.0.attention.self.{part}.weight" for part in ("query", "key"))
RAN = "somebody-ran-this"


class Call:
    """Pickled, a call of a function when it is read."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def shell() -> Call:
    return Call(os.system, f"touch {RAN}")


def saved(make: Callable[[dict[str, Any]], Any], old: bool = False) -> Harm:
    """Something else in the place of the weights, made of them."""
    return lambda there: write(there, make(weights_of(there)), old=old)


def tensor(change: Callable[[torch.Tensor], Any], name: str = WORDS, old: bool = False) -> Harm:
    return saved(lambda found: {**found, name: change(found[name])}, old)


def content(data: bytes, name: str = PICKLE) -> Harm:
    return lambda there: (there / name).write_bytes(data)


def cut(old: bool) -> Harm:
    def shorten(there: Path) -> None:
        write(there, weights_of(there), old=old)
        whole = (there / PICKLE).read_bytes()
        (there / PICKLE).write_bytes(whole[: len(whole) * 2 // 3])

    return shorten


def parts(change: Callable[[dict[str, bytes]], dict[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Harm:
    """Other records in the archive; that of the pickle is `pytorch_model/data.pkl`."""

    def rewrite(there: Path) -> None:
        pack(there / PICKLE, change(records(there / PICKLE)), compression)

    return rewrite


PROGRAM = "pytorch_model/data.pkl"


def program(change: Callable[[bytes], bytes]) -> Harm:
    """Another pickle before the same numbers."""
    return parts(lambda found: {**found, PROGRAM: change(found[PROGRAM])})


def old_program(change: Callable[[bytes], bytes]) -> Harm:
    def rewrite(there: Path) -> None:
        write(there, weights_of(there), old=True)
        (there / PICKLE).write_bytes(change((there / PICKLE).read_bytes()))

    return rewrite


def replaced(kind: str) -> Harm:
    def replace(there: Path) -> None:
        path = there / PICKLE
        path.unlink()
        makers: dict[str, Callable[[], object]] = {
            "pipe": lambda: os.mkfifo(path),
            "directory": path.mkdir,
            "device": lambda: path.symlink_to("/dev/zero"),
            "itself": lambda: path.symlink_to(path),
        }
        makers[kind]()

    return replace


def sharded(change: Callable[[Path, dict[str, Any]], Any]) -> Harm:
    """Two shards, and an index that is changed."""

    def rewrite(there: Path) -> None:
        weights = weights_of(there)
        (there / PICKLE).unlink()
        write(there, weights, shards=2)
        index = json.loads((there / INDEX).read_text())
        change(there, index)
        (there / INDEX).write_text(json.dumps(index))

    return rewrite


def index(name: object) -> Harm:
    return sharded(lambda there, index: index["weight_map"].update({WORDS: name}))


def twice(there: Path, _index: object) -> None:
    """A tensor of the first shard in the second as well."""
    first, second = sorted(there.glob("*.bin"))
    found = torch.load(first, weights_only=True)
    torch.save({**torch.load(second, weights_only=True), WORDS: found[WORDS]}, second)


def of_one_name(there: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in records(there / PICKLE).items():
            archive.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(PROGRAM, b"\x80\x02}.")
    (there / PICKLE).write_bytes(stream.getvalue())


NUMBERS = b"M\x00\x0f"
"""How many there are in the embedding of 120 tokens, 32 wide, as the pickle has it."""
BYTEARRAY = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x40\x85R."
COPIES = b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01s\x85R."
HOSTILE: dict[str, tuple[Harm, str]] = {
    "code": (saved(lambda found: shell()), "names posix.system, which is code"),
    "code beside tensors": (saved(lambda found: {**found, "x": shell()}), "names posix.system, which is code"),
    "code in an old file": (saved(lambda found: {**found, "x": shell()}, old=True), "names posix.system"),
    "code in a shard": (
        sharded(lambda there, _: torch.save({"x": shell()}, max(there.glob("*.bin")))),
        "pytorch_model-00002-of-00002.bin names posix.system",
    ),
    "code in attributes": (
        saved(lambda found: Call(OrderedDict, [(WORDS, shell())])),
        "names posix.system",
    ),
    "eval": (saved(lambda found: Call(builtins.eval, "1")), "names __builtin__.eval, which is code"),
    "a class of the library": (saved(lambda found: torch.nn.Linear(2, 2)), "names torch.nn.modules.linear.Linear"),
    "an array of numpy": (saved(lambda found: {**found, "x": found[WORDS].numpy()}), "names numpy"),
    "a few bytes that fill the memory": (program(lambda _: BYTEARRAY), "names builtins.bytearray"),
    "copies of dictionaries": (program(lambda _: COPIES), "holds a damaged pickle"),
    "an opcode of another protocol": (program(lambda _: b"\x80\x04\x95\x00."), "holds a damaged pickle"),
    "nothing behind the pickle's beginning": (program(lambda it: it[: len(it) // 2]), "holds a damaged pickle"),
    "a set": (saved(lambda found: {**found, "x": {1}}), "names __builtin__.set, which is code"),
    "a list": (saved(lambda found: [found]), "holds a list, and no dictionary of tensors"),
    "a tensor": (saved(lambda found: found[WORDS]), "holds a tensor, and no dictionary of tensors"),
    "a text": (saved(lambda found: "x" * 1000), "holds a text, and no dictionary of tensors"),
    "under state_dict": (
        saved(lambda found: {"state_dict": found}),
        "holds a dictionary under 'state_dict', and no tensor (its entries are 'state_dict'): save what is under "
        "'state_dict' alone",
    ),
    "a trainer's checkpoint": (
        saved(lambda found: {"epoch": 3, "model": OrderedDict(found), "optimizer": {}, "step": 1}),
        "holds 3 under 'epoch', and no tensor (its entries are 'epoch', 'model', 'optimizer', …): save what is under "
        "'model' alone",
    ),
    "a number among tensors": (saved(lambda found: {**found, "step": 5}), "holds 5 under 'step', and no tensor"),
    "quantised": (
        tensor(lambda one: torch.quantize_per_tensor(one, 0.1, 0, torch.qint8)),
        "holds a quantised tensor",
    ),
    "whole numbers": (tensor(lambda one: one.int()), "are not floating-point numbers"),
    "complex": (tensor(lambda one: one.to(torch.complex64)), "are not floating-point numbers"),
    "eight bits": (tensor(lambda one: one.to(torch.float8_e4m3fn)), "of a number format that no encoder is stored in"),
    "a head of whole numbers": (
        saved(lambda found: {**found, "lm_head.bias": torch.arange(120)}),
        "are not floating-point numbers: lm_head.bias",
    ),
    "sparse": (tensor(lambda one: one.to_sparse()), "holds a sparse tensor"),
    "without numbers": (tensor(lambda one: one.to("meta")), "a tensor without numbers"),
    "expanded": (
        tensor(lambda one: torch.zeros(1).expand(120, 32)),
        "holds a tensor of shape (120, 32) over 1 stored numbers",
    ),
    "expanded to more than there is": (
        saved(lambda found: {**found, "x": torch.zeros(1).expand(10**6, 10**6)}),
        "holds a tensor of shape (1000000, 1000000) over 1 stored numbers",
    ),
    "views of one tensor": (
        saved(lambda found: {**found, KEY: found[QUERY]}),
        "share numbers: encoder.layer.0.attention.self.",
    ),
    "more numbers than there are": (program(lambda it: it.replace(NUMBERS, b"J\0\0\0\x7f", 1)), "lacks some of"),
    "more numbers in an old file": (old_program(lambda it: it.replace(NUMBERS, b"J\0\0\0\x7f", 1)), "is not whole"),
    "no numbers": (
        parts(lambda found: {name: data for name, data in found.items() if name != "pytorch_model/data/0"}),
        "lacks some of the numbers '0'",
    ),
    "a ZIP that is cut": (cut(old=False), "is not whole: fetch it again"),
    "an old file that is cut": (cut(old=True), "is not whole: fetch it again"),
    "nothing": (content(b""), "is no file of torch.save"),
    "a page of the web": (content(b"<!DOCTYPE html>\n<title>404</title>"), "is no file of torch.save"),
    "a pointer of git LFS": (content(b"version https://git-lfs.github.com/spec/v1\n"), "is no file of torch.save"),
    "a ZIP of something else": (parts(lambda found: {"a/b.txt": b"x"}), "is a ZIP archive, and none of torch.save"),
    "an empty ZIP": (content(b"PK\3\4" + b"PK\5\6" + bytes(18)), "is a ZIP archive, and none of torch.save"),
    "a ZIP with an endless directory": (
        content(b"PK\3\4" + b"PK\5\6" + bytes(8) + b"\xfe\xff\xff\x7f" + bytes(6)),
        "is a ZIP archive of too many files",
    ),
    "compressed": (parts(lambda found: found, zipfile.ZIP_DEFLATED), "has compressed parts"),
    "a bomb": (
        parts(lambda found: {**found, PROGRAM: bytes(50_000_000)}, zipfile.ZIP_DEFLATED),
        "has compressed parts",
    ),
    "two pickles in one": (of_one_name, "has two parts of one name"),
    "a program of TorchScript": (
        parts(lambda found: {**found, "pytorch_model/constants.pkl": b"\x80\x02}."}),
        "is a TorchScript program",
    ),
    "megabytes of texts": (
        saved(lambda found: {**found, **{f"{number}{'x' * 1000}": "y" * 1000 for number in range(5000)}}),
        "bytes of objects, more than the 4,000,000",
    ),
    "megabytes of texts in an old file": (
        saved(lambda found: {"x" * 6_000_000: 1}, old=True),
        "bytes of objects, more than the 4,000,000",
    ),
    "two names for one": (
        saved(lambda found: {**found, f"roberta.{WORDS}": found[WORDS].clone()}),
        f"hold {WORDS} twice, in pytorch_model.bin and in pytorch_model.bin",
    ),
    "one in two shards": (sharded(twice), f"hold {WORDS} twice, in pytorch_model-00001-of-00002.bin and in"),
    "a terminal's commands": (
        saved(lambda found: {**found, "\x1b]0;x\x07": torch.zeros(1)}),
        r"names a tensor '\x1b]0;x\x07'",
    ),
    "half a character": (saved(lambda found: {**found, "\ud800": torch.zeros(1)}), "names a tensor '\\ud800'"),
    "an overlong name": (saved(lambda found: {**found, "x" * 5000: torch.zeros(1)}), "names a tensor 'xxx"),
    "a number for a name": (saved(lambda found: {**found, 7: torch.zeros(1)}), "names a tensor 7"),
    "a tuple for a name": (saved(lambda found: {**found, (1, 2): torch.zeros(1)}), "keys are no names"),
    "a pipe": (replaced("pipe"), "is a pipe, socket or device, no file"),
    "a directory": (replaced("directory"), "is a directory, no file"),
    "an endless device": (replaced("device"), "is a pipe, socket or device, no file"),
    "a link to itself": (replaced("itself"), "pytorch_model.bin of"),
    "a shard elsewhere": (index("../secret.bin"), f"{INDEX} of"),
    "a shard by its path": (index("/etc/passwd.bin"), f"{INDEX} of"),
    "a shard of another kind": (
        index("model.safetensors"),
        "does not name pickled files ('model.safetensors' is none)",
    ),
    "a shard with a zero": (index("\0.bin"), "does not name pickled files"),
    "a shard that is missing": (index("other.bin"), f"lacks other.bin, which its {INDEX} names"),
    "no shards": (sharded(lambda there, index: index.update(weight_map={})), "does not name pickled files"),
    "an index that is a list": (
        sharded(lambda there, index: index.update(weight_map=[])),
        "does not name pickled files",
    ),
    "a larger vocabulary": (lambda there: edit_config(there, vocab_size=10**6), "do not fit its config.json"),
    "more layers": (lambda there: edit_config(there, num_hidden_layers=500), "lacks 7952 of the encoder's tensors"),
    "fewer layers": (
        lambda there: edit_config(there, num_hidden_layers=2),
        "gives 2 layers, and the weights have more",
    ),
    "another shape": (
        tensor(lambda one: one[:-1].clone()),
        f"{WORDS} in pytorch_model.bin is (119, 32), and should be",
    ),
    "one tensor less": (
        saved(lambda found: {name: one for name, one in found.items() if name != WORDS}),
        "lacks 1 of the encoder's tensors",
    ),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pickled(tmp_path_factory.mktemp("hostile") / "model")


@pytest.fixture
def directory(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, in a working directory of its own with a cache of its own."""
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(original, tmp_path / "model"))


def refusal(directory: Path, call: Callable[[Backbone], object]) -> str:
    with pytest.raises(BackboneError) as refused:
        call(Backbone(model=str(directory)))
    message = str(refused.value)
    assert str(directory) in message and len(message) < 700 and message.isprintable()
    assert "weights_only" not in message and "trust" not in message and "add_safe_globals" not in message
    return message


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_is_refused_by_name_and_nothing_of_it_runs(name: str, directory: Path) -> None:
    harm, words = HOSTILE[name]
    harm(directory)
    assert words in refusal(directory, describe)
    assert words in refusal(directory, load)
    assert not list(directory.parent.rglob(RAN)) and not (directory.parent / "cache").exists()


def test_there_are_many() -> None:
    assert len(HOSTILE) > 60


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_when_they_are_loaded(number: float, directory: Path) -> None:
    tensor(lambda one: one * number)(directory)
    assert "hold numbers that are not finite" in refusal(directory, load)


@pytest.mark.parametrize("old", [False, True])
def test_torch_is_the_second_guard_and_its_advice_is_not_passed_on(old: bool, directory: Path) -> None:
    """As if the opcodes had not been followed."""
    saved(lambda found: {"x": shell()}, old)(directory)
    with pytest.raises(BackboneError) as refused:
        converting._loaded(PickledFile(directory / PICKLE, {}, mapped=not old), "model")
    assert str(refused.value) == (
        "the weights of model cannot be read: pytorch_model.bin is not as torch.save writes it: fetch it again"
    )
    assert not list(directory.parent.rglob(RAN))


def test_the_harm_is_real(directory: Path) -> None:
    """The same file runs its code where it is allowed to."""
    HOSTILE["code"][0](directory)
    torch.load(directory / PICKLE, weights_only=False)
    assert list(directory.parent.rglob(RAN))


@pytest.mark.parametrize(
    "opcodes",
    [
        b"\x80\x02.",
        b"\x80\x02}}.",
        b"\x80\x02h\x05.",
        b"\x80\x02K\x01K\x02s.",
        b"\x80\x02(K\x01u.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02}K\x01b.",
        b"\x80\x02K\x01)R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_parameter\n(K\x01\x89}tR.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02\x85.",
        b"\x80\x02t.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ\xff\xff\xff\xfftQ.",
        b"",
        b"\x00",
    ],
)
def test_opcodes_that_lead_nowhere_are_refused(opcodes: bytes) -> None:
    with pytest.raises(UnreadableFile):
        PickleOutline(io.BytesIO(opcodes))


def test_a_pickle_that_is_cut_anywhere_is_refused(original: Path) -> None:
    whole = records(original / PICKLE)[PROGRAM]
    assert len(PickleOutline(io.BytesIO(whole)).result) == 53
    for end in range(0, len(whole) - 1, 7):
        with pytest.raises(UnreadableFile):
            PickleOutline(io.BytesIO(whole[:end]))
