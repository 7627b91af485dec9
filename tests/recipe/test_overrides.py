"""What an override's value is: the characters that the shell hands over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapterx import cli
from adapterx.config.problems import RecipeError
from adapterx.recipe import read
from tests.recipe.conftest import GOOD, Write

LITERAL = (
    "models #2",
    "a: b",
    "#",
    "%x",
    "@home",
    "`x`",
    "!tag x",
    "&a",
    "*a",
    "| x",
    "> y",
    "- a",
    "? a",
    "a=b=c",
    "x ",
    " x",
    "it's",
    "'a' and 'b'",
    'say "x"',
    "C:\\new",
    "tab\there",
    "1, 2",
    "a\nb",
    "no",
    "2024-01-01",
    "12:30:45",
    "---",
)


@pytest.mark.parametrize("text", LITERAL)
def test_text_is_taken_to_its_last_character(text: str, write: Write) -> None:
    path = write(GOOD)
    assert read(path, [f"description={text}"]).description == text
    assert read(path, [f"backbones.small.model={text}"]).backbones["small"].model == text
    assert read(path, [f"description={json.dumps(text)}"]).description == text
    assert read(path, ["description='" + text.replace("'", "''") + "'"]).description == " ".join(text.split("\n"))


@pytest.mark.parametrize("text", ["models #2", "a: b", "1e5", "007", "true", "0x10", "1_000", "null", "~"])
def test_an_override_means_what_quotes_mean_in_the_file(text: str, write: Write) -> None:
    """`null` and `~` take quotes: bare, they are no text."""
    quoted = read(write(GOOD.replace("embedded/e5-small@6", f"'{text}'")))
    given = f"'{text}'" if text in ("null", "~") else text
    assert read(write(GOOD), [f"backbones.small.model={given}"]) == quoted


def test_the_same_stages_by_an_override_and_in_the_file(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ids(*arguments: str) -> list[str]:
        store = ["--store", str(tmp_path / "store")]
        assert cli.main(["plan", *arguments, "--json", *store]) == 0
        return [stage["id"] for stage in json.loads(capsys.readouterr().out)["stages"]]

    text = GOOD.replace("intermediates: {none: null, en: {tasks: cldr}}\n", "").replace("choice", "time-order")
    by_override = ids(str(write(text)), "train.steps= 5", "description=of #2", "seeds=[1, 3]")
    in_file = write(text.replace("{learning", "{steps: 5, learning") + "description: 'of #2'\nseeds: [1, 3]\n")
    assert by_override == ids(str(in_file))


@pytest.mark.parametrize("text", ["0x" + "f" * 2000, "9" * 5000, "\x1b[2J" * 40])
def test_messages_cut_what_they_echo(text: str, write: Write) -> None:
    with pytest.raises(RecipeError) as raised:
        read(write(GOOD), [f"train.steps={text}"])
    assert len(str(raised.value)) < 300
    assert str(raised.value).isprintable()


def test_nulls_count_as_not_given_at_every_depth(write: Write) -> None:
    empty = "{learning_rate: 1e-4, batch_size: , target: {epochs: , batch_size: , warmup_ratio: }}"
    sections = "skip:\nevaluate:\n  limit:\n  bootstrap:\nprefix_cache:\nseeds:\ntransfers:\nlane:\ncompare:\n"
    text = GOOD.replace("{learning_rate: 1e-4}", empty).replace("tasks: cldr", "tasks: cldr, languages: , sampling: ")
    recipe = read(write(text.replace("{kind: lora}", "{kind: lora, rank: , alpha: }") + sections))
    assert recipe == read(write(GOOD.replace("1e-4}", "1e-4, target: {epochs: null}}")))


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    for encoding, name in (("utf-16", "UTF-16"), ("utf-32", "UTF-32")):
        (tmp_path / "r.yaml").write_bytes(GOOD.encode(encoding))
        with pytest.raises(RecipeError, match=rf"r\.yaml: is {name}, not UTF-8 text: save it as UTF-8"):
            read(tmp_path / "r.yaml")


def test_a_file_is_bounded_before_it_is_parsed(tmp_path: Path) -> None:
    for content, message in (
        (GOOD + "#" * 1_000_000, r"has 1,000,\d+ bytes, more than the 1,000,000"),
        (GOOD + "skip: " + "[" * 50_000, "r.yaml:9:39: is nested more than 32 levels deep"),
        (
            "a0: &a0 [[[[x]]]]\n" + "".join(f"a{n}: &a{n} [[[[*a{n - 1}]]]]\n" for n in range(1, 500)),
            "is nested more than 32 levels deep through its aliases",
        ),
    ):
        (tmp_path / "r.yaml").write_text(content)
        with pytest.raises(RecipeError, match=message):
            read(tmp_path / "r.yaml")


def test_many_problems_are_told_a_page_at_a_time(write: Write) -> None:
    with pytest.raises(RecipeError) as raised:
        read(write(GOOD + "".join(f"k{number}: 1\n" for number in range(120))))
    assert len(raised.value.problems) == 120
    assert len(str(raised.value).splitlines()) == 51
