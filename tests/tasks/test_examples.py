from __future__ import annotations

import pytest

from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample


def test_every_format_gives_its_gold_answer_as_labels() -> None:
    assert PairExample("a", "x", None, 2).labels == (2,)
    assert TaggingExample("a", ("x", "y"), (0, 3)).labels == (0, 3)
    assert ChoiceExample("a", "x", ("p", "q"), 1).labels == (1,)


def test_a_tag_per_word_or_an_error() -> None:
    with pytest.raises(ValueError, match="2 words and 1 tags"):
        TaggingExample("a", ("x", "y"), (0,))
    with pytest.raises(ValueError, match="0 words"):
        TaggingExample("a", (), ())


def test_the_right_choice_is_one_of_the_choices() -> None:
    with pytest.raises(ValueError, match="label 2 among 2 choices"):
        ChoiceExample("a", "x", ("p", "q"), 2)
