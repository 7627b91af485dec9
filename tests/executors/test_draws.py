"""How often each pool of a training is drawn, and which of them take turns."""

from __future__ import annotations

from typing import Any

import pytest

from adapterx.engine.cell import Pool, TaskData
from adapterx.executors.draws import probabilities, turns
from adapterx.methods.head import Head
from adapterx.plan import Training
from adapterx.recipe import Sampling
from adapterx.recipe.batches import Batches
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.metrics import Accuracy
from adapterx.tasks.sampling import pool_probabilities
from adapterx.train_settings import TrainSettings
from tests.cells import encoded
from tests.engine.texts import text

PAIRED = Batches(monolingual=0.5)


def task(name: str, sizes: dict[str, int], paired: bool = False) -> TaskData:
    """A task with so many examples by language, pairs of languages after them."""
    if name == "text":
        pools = tuple(Pool(code, text(examples=size)) for code, size in sizes.items())
        return TaskData(Head(name, "masked-lm", 100), None, pools)
    data = {code: encoded("pair-classification", examples=size) for code, size in sizes.items()}
    alone, pairs = (tuple(Pool(code, one, paired=of) for code, one in data.items()) for of in (False, True))
    return TaskData(Head(name, "pair-classification", 3), Accuracy(), (*alone, *(pairs if paired else ())))


def work(tasks: list[TaskData], **changes: Any) -> Training:
    """A training of them for 100 steps of 8 examples."""
    parts = [
        TaskPart(one.head.task, one.head.format, (), "own", tuple(pool.language for pool in one.train), "", 9)
        for one in tasks
    ]
    settings = TrainSettings(learning_rate=1e-3, batch_size=8, steps=100)
    return Training(
        **{"tasks": tuple(parts), "sampling": Sampling(), "train": settings, "seed": 1, "transfer": None, **changes}
    )


def test_text_among_the_tasks_is_a_pool_like_any_other() -> None:
    """As stored trainings drew it before there were steps of text."""
    tasks = [task("nli", {"de": 20, "en": 60}), task("text", {"en": 20})]
    assert probabilities(tasks, work(tasks)).tolist() == pool_probabilities([20, 60, 20]).tolist()
    weights = Sampling(weights={"nli": 1.0, "text": 3.0})
    assert probabilities(tasks, work(tasks, sampling=weights)).tolist() == pytest.approx([1 / 16, 3 / 16, 3 / 4])
    assert turns(tasks, probabilities(tasks, work(tasks)), work(tasks)) is None


def test_text_with_steps_of_its_own_takes_nothing_from_the_tasks() -> None:
    tasks = [task("nli", {"de": 20, "en": 60}), task("text", {"en": 10, "fi": 30})]
    beside = work(tasks, text_share=0.25, sampling=Sampling(weights={"nli": 1.0}))
    drawn = probabilities(tasks, beside)
    assert drawn.tolist() == pytest.approx([0.25, 0.75, 0.25, 0.75])
    found = turns(tasks, drawn, beside)
    assert found is not None and (found.groups, found.counted) == (((0, 1),), (0, 1))
    assert (found.text, found.text_share) == ((2, 3), 0.25)


def test_a_batch_of_one_language_is_of_all_tasks_in_it() -> None:
    tasks = [task("nli", {"de": 20, "en": 60}, paired=True), task("pairs", {"en": 20, "fr": 100}, paired=True)]
    hybrid = work(tasks, batches=PAIRED)
    drawn = probabilities(tasks, hybrid)
    assert drawn.tolist() == pytest.approx([0.1, 0.3, 0.1, 0.3, 0.1, 0.5, 0.1, 0.5])
    found = turns(tasks, drawn, hybrid)
    assert found is not None and found.groups == ((0,), (1, 4), (5,), (2, 3, 6, 7))
    assert found.shares == pytest.approx((0.05, 0.2, 0.25, 0.5)) and found.counted == (0, 1, 4, 5)


def test_languages_may_be_drawn_alike() -> None:
    tasks = [task("nli", {"de": 20, "en": 60}, paired=True)]
    alike = work(tasks, batches=Batches(monolingual=0.5, languages="uniform"))
    drawn = probabilities(tasks, alike)
    found = turns(tasks, drawn, alike)
    assert drawn.tolist() == [1.0] * 4 and found is not None
    assert found.shares == pytest.approx((0.25, 0.25, 0.5))


def test_a_training_that_never_pairs_has_no_pairs() -> None:
    tasks = [task("nli", {"de": 20, "en": 60})]
    alone = work(tasks, batches=Batches(monolingual=1.0))
    found = turns(tasks, probabilities(tasks, alone), alone)
    assert found is not None and found.groups == ((0,), (1,)) and found.shares == pytest.approx((0.25, 0.75))


def test_unimax_goes_by_the_examples_that_are_drawn() -> None:
    tasks = [task("nli", {"de": 20, "en": 900})]
    # 800 examples in all: the small pool may be passed over four times, the other has the rest.
    assert probabilities(tasks, work(tasks, sampling=Sampling(unimax=4.0))).tolist() == pytest.approx([0.1, 0.9])
