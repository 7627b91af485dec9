"""Which settings change a stage's identity, and which do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapterx.plan import Plan
from adapterx.plan.identity import with_defaults
from tests.plan.conftest import Planner
from tests.plan.fakes import FakeTasks
from tests.support.present import present

SMALL: dict[str, object] = {
    "backbones": {"small": "e5@6"},
    "methods": {"lora": {"kind": "lora"}},
    "intermediates": {"multi": {"tasks": ["units", "numbers"], "languages": ["en", "de"]}},
    "transfers": ["continue"],
    "targets": {"months": "months"},
    "seeds": [1],
}


def ids(plan: Plan) -> tuple[str, str, str]:
    """Intermediate, target, evaluation."""
    (stages,) = plan.cell_stages.values()
    return present(stages.intermediate), present(stages.target), stages.evaluation


@pytest.fixture
def small(planned: Planner) -> Callable[..., Plan]:
    return lambda **changes: planned(**{**SMALL, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other", "description": "x", "evaluate": {"bootstrap": 500}},
        {"backbones": {"renamed": "e5@6"}},
        {"methods": {"renamed": {"kind": "lora", "rank": 8, "alpha": 16, "target_modules": ["value", "query"]}}},
        {"intermediates": {"renamed": {"tasks": ["numbers", "units"], "languages": ["de", "en"]}}},
        {"targets": {"renamed": {"task": "months", "train_task": "months", "train_languages": "en"}}},
        {"train": {"epochs": 3, "learning_rate": {"lora": 1e-4}, "weight_decay": 0, "limit": None}},
        {"train": {"epochs": 7, "intermediate": {"epochs": 3}, "target": {"epochs": 3}}},
    ],
)
def test_what_cannot_change_a_result(changes: dict[str, object], small: Callable[..., Plan]) -> None:
    assert ids(small(**changes)) == ids(small())


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"seeds": [2]}, (True, True, True)),
        ({"backbones": {"small": "e5@5"}}, (True, True, True)),
        ({"backbones": {"small": {"model": "e5@6", "load": "bfloat16"}}}, (True, True, True)),
        ({"methods": {"lora": {"kind": "lora", "rank": 4}}}, (True, True, True)),
        ({"train": {"learning_rate": 2e-4}}, (True, True, True)),
        ({"train": {"steps": 10}}, (True, True, True)),
        ({"train": {"intermediate": {"batch_size": 8}}}, (True, True, True)),
        ({"train": {"target": {"early_stopping": {"every": 4, "patience": 2}}}}, (False, True, True)),
        ({"intermediates": {"multi": {"tasks": ["units", "numbers"]}}}, (True, True, True)),
        (
            {
                "intermediates": {
                    "multi": {"tasks": ["units", "numbers"], "languages": ["en", "de"], "sampling": "uniform"}
                }
            },
            (True, True, True),
        ),
        ({"transfers": ["stack"]}, (False, True, True)),
        ({"targets": {"months": {"task": "months", "train_languages": "de"}}}, (False, True, True)),
        ({"targets": {"months": {"task": "months", "languages": ["en"]}}}, (False, False, True)),
        ({"evaluate": {"limit": 10}}, (False, False, True)),
    ],
)
def test_what_can(changes: dict[str, object], changed: tuple[bool, ...], small: Callable[..., Plan]) -> None:
    before, after = ids(small()), ids(small(**changes))
    assert tuple(a != b for a, b in zip(before, after, strict=True)) == changed


PRUNE: dict[str, object] = {"learning_rates": [1e-4, 1e-3]}


@pytest.mark.parametrize(
    ("train", "same"),
    [
        ({"prune": {**PRUNE, "rungs": [0.25, 0.5], "keep": 0.5, "limit": None}}, True),
        ({"prune": {"learning_rates": {"lora": [1e-4, 1e-3]}}}, True),
        ({"learning_rate": 5e-4, "intermediate": {"prune": PRUNE}, "target": {"prune": PRUNE}}, True),
        ({"prune": None}, False),
        ({"prune": {"learning_rates": [1e-3, 1e-4]}}, False),  # ties go to the first
        ({"prune": {**PRUNE, "rungs": [0.5]}}, False),
        ({"prune": {**PRUNE, "keep": 0.25}}, False),
        ({"prune": {**PRUNE, "limit": 100}}, False),
    ],
)
def test_the_candidates_and_how_they_are_chosen_are_the_identity(
    train: dict[str, object], same: bool, small: Callable[..., Plan]
) -> None:
    before = ids(small(train={"prune": PRUNE}))
    assert all((a == b) == same for a, b in zip(before, ids(small(train=train)), strict=True))


def test_a_pruned_training_has_no_rate_of_its_own(small: Callable[..., Plan]) -> None:
    plan = small(train={"prune": PRUNE})
    stage = plan.stages[ids(plan)[0]]
    assert stage.settings["train"] == {"prune": {"learning_rates": (1e-4, 1e-3)}}
    full = with_defaults(stage.settings)["train"]
    assert isinstance(full, dict) and "learning_rate" not in full
    assert full["prune"] == {"learning_rates": (1e-4, 1e-3), "rungs": (0.25, 0.5), "keep": 0.5}
    assert "dev" in str(stage.settings["tasks"])


UPPER: dict[str, object] = {"methods": {"lora": {"kind": "lora", "layers": "top-2"}}}


@pytest.mark.parametrize(
    "cache",
    [
        {"where": "none"},
        {"where": "disk"},
        {"where": "disk", "gigabytes": 1},
        {"where": "memory", "precision": "exact"},
        {"where": "none", "precision": "float16"},  # nothing is kept, so nothing is rounded
    ],
)
def test_where_hidden_states_are_kept_says_nothing(cache: dict[str, object], small: Callable[..., Plan]) -> None:
    assert ids(small(**UPPER, prefix_cache=cache)) == ids(small(**UPPER))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_rounding_them_does_where_there_are_any(precision: str, small: Callable[..., Plan]) -> None:
    cache: dict[str, object] = {"prefix_cache": {"precision": precision}}
    before, after = small(**UPPER), small(**UPPER, **cache)
    assert all(a != b for a, b in zip(ids(before), ids(after), strict=True))
    assert {after.stages[id].settings["prefix"] for id in ids(after)} == {precision}
    assert all("prefix" not in before.stages[id].settings for id in ids(before))
    assert ids(small(**cache)) == ids(small()), "with adapters in all layers there are none"


def test_layers_are_part_of_it_and_all_of_them_the_default(small: Callable[..., Plan]) -> None:
    assert ids(small(methods={"lora": {"kind": "lora", "layers": "all"}})) == ids(small())
    upper = small(**UPPER)
    assert all(a != b for a, b in zip(ids(upper), ids(small()), strict=True))
    assert upper.stages[ids(upper)[0]].settings["method"] == {"kind": "lora", "layers": "top-2"}
    chosen = small(methods={"lora": {"kind": "lora", "layers": [5, 3]}})
    assert ids(chosen) == ids(small(methods={"lora": {"kind": "lora", "layers": [3, 5]}}))


def test_new_data_changes_what_reads_it(small: Callable[..., Plan], tasks: FakeTasks) -> None:
    before = ids(small())
    tasks.revision = "2"
    assert all(a != b for a, b in zip(before, ids(small()), strict=True))


def test_sampling_says_nothing_over_a_single_pool(small: Callable[..., Plan]) -> None:
    one = {"tasks": "units", "languages": "en"}
    uniform = small(intermediates={"multi": {**one, "sampling": "uniform"}})
    assert ids(uniform) == ids(small(intermediates={"multi": one}))


def mixture(**weights: float) -> dict[str, object]:
    entry = {"tasks": ["units", "numbers"], "languages": ["en", "de"], "sampling": {"weights": weights}}
    return {"intermediates": {"multi": entry}}


@pytest.mark.parametrize("same", [{"units": 4, "numbers": 2}, {"numbers": 0.1, "units": 0.2}])
def test_weights_count_relative_to_one_another(same: dict[str, float], small: Callable[..., Plan]) -> None:
    plan = small(**mixture(units=2, numbers=1))
    assert ids(small(**mixture(**same))) == ids(plan)
    assert plan.stages[ids(plan)[0]].settings["sampling"] == {"weights": {"numbers": 1 / 3, "units": 2 / 3}}
    assert with_defaults(plan.stages[ids(plan)[0]].settings)["sampling"] == {
        "weights": {"numbers": 1 / 3, "units": 2 / 3}
    }
    for other in (small(), small(**mixture(units=1, numbers=1)), small(**mixture(units=1, numbers=2))):
        assert all(a != b for a, b in zip(ids(other), ids(plan), strict=True))


def test_the_weight_of_a_single_task_says_nothing(small: Callable[..., Plan]) -> None:
    one: dict[str, object] = {"tasks": "units", "languages": ["en", "de"]}
    weighted = small(intermediates={"multi": {**one, "sampling": {"weights": {"units": 3}}}})
    assert ids(weighted) == ids(small(intermediates={"multi": one}))


def test_entries_of_equal_content_share_their_stages(small: Callable[..., Plan]) -> None:
    entry = {"tasks": ["units"]}
    plan = small(intermediates={"a": entry, "b": entry})
    assert len(plan.cells) == 2
    assert len(plan.stages) == 3


def test_defaults_stay_out_and_come_back(small: Callable[..., Plan]) -> None:
    plan = small(methods={"p": {"kind": "bottleneck", "placement": "parallel"}}, train={"steps": 5})
    stage = plan.stages[ids(plan)[1]]
    assert stage.settings["method"] == {"kind": "bottleneck", "placement": "parallel"}
    assert stage.settings["train"] == {"steps": 5}
    full = with_defaults(stage.settings)
    assert full["method"] == {
        "kind": "bottleneck",
        "placement": "parallel",
        "reduction_factor": 2.0,
        "width": None,
        "budget": None,
        "activation": "relu",
        "scaling": 4.0,
        "dropout": 0.0,
        "layers": "all",
        "adapter_drop": 0,
        "invertible": None,
    }
    train = full["train"]
    assert isinstance(train, dict)
    assert (train["steps"], train["batch_size"], "epochs" in train) == (5, 32, False)


def test_the_identity_of_a_plain_recipe_never_moves(small: Callable[..., Plan]) -> None:
    """Pinned: a change here means that every stored result of every user is thrown away."""
    plan = small()
    assert plan.stages[ids(plan)[0]].settings == {
        "backbone": {"key": "key of e5@6"},
        "method": {"kind": "lora"},
        "tasks": {
            "numbers": {"languages": ["de", "en"], "data": "numbers embedded [('train', ('de', 'en'))] 1"},
            "units": {"languages": ["de", "en"], "data": "units embedded [('train', ('de', 'en'))] 1"},
        },
        "train": {},
        "seed": 1,
        "sampling": {},
    }
    assert tuple(id[:16] for id in ids(plan)) == PINNED


def test_first_items_keep_the_ids_of_before_there_was_a_choice(small: Callable[..., Plan]) -> None:
    """Pinned: these results are in users' stores."""
    stopping = {"every": 4, "patience": 2, "limit": 5, "sample": "first"}
    plan = small(train={**FIRST, "early_stopping": stopping}, evaluate={"limit": 7, "sample": "first"})
    assert tuple(id[:16] for id in ids(plan)) == ("8a16bd3f9748f885", "12357f7f9d3a7d35", "ef5fcbbd2ee6c5b3")
    pruned = small(train={"prune": {**PRUNE, "limit": 9, "sample": "first"}})
    assert tuple(id[:16] for id in ids(pruned)) == ("59ab6e9284da2915", "df72126591894789", "22fdb63cce3e9962")


def test_a_random_sample_brings_its_version(small: Callable[..., Plan]) -> None:
    """Pinned: another sample under the same id would be another result under the name of this one."""
    stopping = {"every": 4, "patience": 2, "limit": 5}
    plan = small(train={"limit": 10, "early_stopping": stopping}, evaluate={"limit": 7})
    trained, _, scored = (plan.stages[id] for id in ids(plan))
    assert trained.settings["train"] == {
        "limit": 10,
        "sample": "hashed-1",
        "early_stopping": {**stopping, "sample": "hashed-1"},
    }
    assert (scored.settings["limit"], scored.settings["sample"]) == (7, "hashed-1")
    pruned = small(train={"prune": {**PRUNE, "limit": 9}})
    prune = pruned.stages[ids(pruned)[0]].settings["train"]
    assert prune == {"prune": {"learning_rates": (1e-4, 1e-3), "limit": 9, "sample": "hashed-1"}}
    assert tuple(id[:16] for id in (*ids(plan), *ids(pruned))) == SAMPLED
    named = {"limit": 10, "sample": "random", "early_stopping": {**stopping, "sample": "random"}}
    assert ids(small(train=named, evaluate={"limit": 7, "sample": "random"})) == ids(plan)


@pytest.mark.parametrize("where", ["train", "evaluate"])
def test_without_a_limit_there_is_no_sample(where: str, small: Callable[..., Plan]) -> None:
    assert ids(small(**{where: {"sample": "first"}})) == ids(small())


def test_a_stage_says_which_items_its_limit_kept(small: Callable[..., Plan]) -> None:
    stopping = {"every": 4, "patience": 2, "limit": 5, "sample": "first"}
    plan = small(train={**FIRST, "early_stopping": stopping}, evaluate={"limit": 7, "sample": "first"})
    trained, _, scored = (with_defaults(plan.stages[id].settings) for id in ids(plan))
    assert scored["sample"] == "first"
    train = trained["train"]
    assert isinstance(train, dict) and isinstance(train["early_stopping"], dict)
    assert train["sample"] == train["early_stopping"]["sample"] == "first"


FIRST: dict[str, object] = {"limit": 10, "sample": "first"}
SAMPLED = (
    *("eacc865d0288697a", "f772a6c694d19203", "18057fe22222718b"),
    *("562b6e3a2fbfc9ba", "6772bb3dd9e5c45f", "2b02853f85c86a18"),
)
PINNED = ("3121bcdf6858348c", "2d7454e6b742afa1", "acb8b5ff11ad95c2")
