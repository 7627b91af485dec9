from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapterx.config.problems import RecipeError
from adapterx.recipe import read
from tests.recipe.conftest import GOOD, Write


@dataclass(frozen=True)
class Mistake:
    text: str
    overrides: tuple[str, ...]
    message: str


def _mistakes() -> dict[str, Mistake]:
    found = {}
    for block in Path(__file__).with_name("mistakes.txt").read_text(encoding="utf-8").strip().split("\n\n")[1:]:
        lines = block.split("\n")
        old, new = ("".join(line[2:] for line in lines if line.startswith(mark)) for mark in ("- ", "+ "))
        old, new = (text.replace("\\n", "\n").replace("\\t", "\t") for text in (old, new))
        assert old in GOOD
        text = GOOD.replace(old, new) if old else GOOD + new
        message = "\n".join(line for line in lines if line[:2] not in ("- ", "+ ", "$ "))
        overrides = tuple(line[2:] for line in lines if line.startswith("$ "))
        found[" ".join(line for line in lines if line[:2] in ("- ", "+ ", "$ "))] = Mistake(text, overrides, message)
    return found


MISTAKES = _mistakes()


def test_there_are_many() -> None:
    assert len(MISTAKES) >= 80


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_told_exactly(name: str, write: Write) -> None:
    mistake = MISTAKES[name]
    path = write(mistake.text)
    with pytest.raises(RecipeError) as raised:
        read(path, mistake.overrides)
    assert str(raised.value).replace(f"{path.parent}/", "") == mistake.message
    assert len(raised.value.problems) == mistake.message.count("\n") + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (a recipe begins with 'adapterx: 1')"),
        (b"# only a comment\n", "is empty (a recipe begins with 'adapterx: 1')"),
        (b"- a\n", ":1:1: a recipe is a mapping of settings ('adapterx: 1', 'name: …'), not a list"),
        (b"quickstart\n", ":1:1: a recipe is a mapping of settings ('adapterx: 1', 'name: …'), not 'quickstart'"),
        (b"name: caf\xe9\n", "is not UTF-8 text (byte 0xe9 at offset 9)"),
        (b"name: a\x00b\n", "not YAML: unacceptable character #x0000: special characters are not allowed"),
    ],
)
def test_files_that_are_no_recipe(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    path.write_bytes(content)
    with pytest.raises(RecipeError) as raised:
        read(path)
    assert str(raised.value).startswith(str(path))
    assert str(raised.value).endswith(message)


def test_missing_files_suggest_the_other_suffix(write: Write) -> None:
    path = write(GOOD)
    with pytest.raises(RecipeError, match=r"no such file \(did you mean '.*r\.yaml'\?\)"):
        read(path.with_suffix(".yml"))
    with pytest.raises(RecipeError, match="is a directory, not a recipe file"):
        read(path.parent)
    with pytest.raises(RecipeError, match=r"there is no directory '.*nowhere'"):
        read(path.parent / "nowhere" / "r.yaml")


def test_aliases_cannot_blow_up(write: Write) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(RecipeError, match="grows beyond 50,000 values through its aliases"):
        read(write("\n".join(lines)))


@pytest.mark.parametrize("name", list(MISTAKES)[:4])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_command_line_says_the_same(name: str, command: str, write: Write) -> None:
    mistake = MISTAKES[name]
    path = write(mistake.text)
    arguments = [sys.executable, "-m", "adapterx", command, str(path), *mistake.overrides]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.replace(f"{path.parent}/", "") == mistake.message + "\n"
    assert done.stdout == ""
