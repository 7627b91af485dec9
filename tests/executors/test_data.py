"""What is tokenised once, and what counts as the same."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapterx import places
from adapterx.engine.batches import Selection
from adapterx.engine.collate import collate
from adapterx.executors.data import Data
from adapterx.executors.texts import ReadTexts
from adapterx.limits import Limit
from adapterx.tasks import data as catalog
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds.encoding import encode
from adapterx.tasks.stored import StoredTexts
from tests.arrays import ARRAYS, mapped, same
from tests.backbones.checkpoints import tokenizer as letters

MINE = """
adapterx: 1
name: mine
description: two texts
format: pair-classification
labels: ["no", "yes"]
metrics: accuracy
languages: [en, sw]
licence: CC0-1.0
sources:
  local:
    kind: local
    reader: tsv
    columns: {text: 0, text_pair: 1, label: 2}
    splits: {train: {paths: "{language}.tsv"}}
"""


class Forbidden:
    """A tokenizer nobody may use."""

    def __getattr__(self, name: str) -> None:
        raise AssertionError("tokenised again")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return letters()


def part(task: str, *languages: str, source: str = "embedded") -> TaskPart:
    spec = catalog.find(task, None) if source == "embedded" else None
    format_, labels = (spec.format, spec.labels) if spec else ("pair-classification", ("no", "yes"))
    return TaskPart(task, format_, labels, source, languages, "of the plan", 16)


SIX = Limit(6)


def one(
    data: Data,
    of: TaskPart,
    tokenizer: Any,
    split: str = "dev",
    limit: Limit | None = SIX,
    key: str = "letters",
    max_length: int = 32,
) -> Encoded:
    (pool,) = data.pools(ReadTexts(of, split, limit, max_length), tokenizer, key)
    return pool.data


@pytest.mark.parametrize("task", ["time-order", "time-latest", "time-mentions"])
def test_another_process_finds_what_was_tokenised(task: str, tokenizer: Any, tmp_path: Path) -> None:
    texts = ReadTexts(part(task, "de", "en"), "test", Limit(5), 32)
    fresh = Data(None, tmp_path / "tokens").pools(texts, tokenizer, "letters")
    again = Data(None, tmp_path / "tokens").pools(texts, Forbidden(), "letters")
    assert [pool.language for pool in again] == ["de", "en"]
    for first, second in zip(fresh, again, strict=True):
        examples = catalog.load(catalog.find(task, None), "embedded", first.language, "test", Limit(5))
        wanted = encode(examples, catalog.find(task, None), tokenizer, 32)
        assert same(first.data, wanted) and same(second.data, wanted)
        assert isinstance(second.data.ids, StoredTexts)
        assert all(mapped(getattr(second.data, name)) for name in ARRAYS)


def test_cells_share_one_object_with_a_store_and_without(tokenizer: Any, tmp_path: Path) -> None:
    for data in (Data(None), Data(None, tmp_path)):
        found = one(data, part("time-order", "en"), tokenizer)
        assert one(data, part("time-order", "en"), Forbidden()) is found
        # To another stage the same language may be a part of other data.
        assert one(data, replace(part("time-order", "en"), data="of another plan"), Forbidden()) is found


@pytest.mark.parametrize(
    "change",
    [
        {"split": "test"},
        {"limit": Limit(5)},
        {"limit": None},
        {"limit": Limit(6, "first")},
        {"max_length": 31},
        {"key": "other"},
        {"of": "de"},
    ],
)
def test_whatever_changes_the_tokens_is_tokenised_by_itself(
    change: dict[str, Any], tokenizer: Any, tmp_path: Path
) -> None:
    one(Data(None, tmp_path), part("time-order", "en"), tokenizer)
    changed = {**change, "of": part("time-order", change.get("of", "en"))}
    with pytest.raises(AssertionError, match="tokenised again"):
        one(Data(None, tmp_path), tokenizer=Forbidden(), **changed)
    one(Data(None, tmp_path), tokenizer=tokenizer, **changed)
    one(Data(None, tmp_path), tokenizer=Forbidden(), **changed)
    one(Data(None, tmp_path), part("time-order", "en"), Forbidden())


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task of the user's own beside a recipe, and its English file."""
    monkeypatch.setenv(places.DATA, str(tmp_path))
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "en.tsv").write_text("the cat\ta\tyes\nthe\tb\tno\n")
    return tmp_path / "en.tsv"


def test_other_content_is_tokenised_and_the_same_content_elsewhere_is_not(mine: Path, tokenizer: Any) -> None:
    root, of = mine.parent, part("mine", "en", source="local")
    first = one(Data(root, root / "tokens"), of, tokenizer, "train")
    mine.write_text("the dog\ta\tyes\nthe\tb\tno\n")
    os.utime(mine, ns=(1, 1))
    second = one(Data(root, root / "tokens"), of, tokenizer, "train")
    assert not same(first, second)
    mine.write_text("the cat\ta\tyes\nthe\tb\tno\n")
    os.utime(mine, ns=(2, 2))
    assert same(one(Data(root, root / "tokens"), of, Forbidden(), "train"), first)
    assert len(list((root / "tokens").iterdir())) == 2


def test_what_was_asked_for_has_one_answer_in_a_process(mine: Path, tokenizer: Any) -> None:
    data, of = Data(mine.parent), part("mine", "en", source="local")
    first = one(data, of, tokenizer, "train")
    mine.write_text("the dog\ta\tyes\n")
    assert one(data, of, Forbidden(), "train") is first
    assert len(one(data, replace(of, data="of another plan"), tokenizer, "train")) == 1


def test_data_that_changes_while_it_is_read_is_not_stored(
    mine: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = catalog.stream

    def interrupted(*arguments: Any) -> Any:
        mine.write_text("the dog\ta\tyes\n")
        return stream(*arguments)

    monkeypatch.setattr(catalog, "stream", interrupted)
    with pytest.raises(ValueError, match="train data of mine in en changed"):
        one(Data(mine.parent, mine.parent / "tokens"), part("mine", "en", source="local"), tokenizer, "train")
    assert not (mine.parent / "tokens").exists()


def test_a_damaged_entry_is_made_anew(tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = one(Data(None), part("time-order", "en"), tokenizer)
    one(Data(None, tmp_path), part("time-order", "en"), tokenizer)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-3])
    assert same(one(Data(None, tmp_path), part("time-order", "en"), tokenizer), wanted)
    assert str(entry) in caplog.text
    assert same(one(Data(None, tmp_path), part("time-order", "en"), Forbidden()), wanted)


def test_a_store_that_cannot_be_written_does_not_fail_a_run(
    tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tokens").write_text("")
    data = Data(None, tmp_path / "tokens")
    texts = ReadTexts(part("time-order", "de", "en"), "dev", Limit(6), 32)
    wanted = Data(None).pools(texts, tokenizer, "letters")
    found = data.pools(texts, tokenizer, "letters")
    assert all(same(first.data, second.data) for first, second in zip(found, wanted, strict=True))
    assert sum("in memory" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("task", ["time-order", "time-latest", "time-mentions"])
@pytest.mark.filterwarnings("error")
def test_batches_are_laid_out_from_stored_tokens(task: str, tokenizer: Any, tmp_path: Path) -> None:
    chosen = np.array([4, 0, 2, 2])
    batches = [
        collate([[Selection(0, one(data, part(task, "en"), tokenizer), chosen)]])
        for data in (Data(None), Data(None, tmp_path))
    ]
    assert batches[0].packed.tokens.equal(batches[1].packed.tokens)
    assert batches[0].packed.reads.equal(batches[1].packed.reads)
    ((first,),), ((second,),) = (batch.cells for batch in batches)
    assert first.labels.equal(second.labels) and first.reads.equal(second.reads)
