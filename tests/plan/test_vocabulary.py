"""Whose embeddings stages need, what a plan counts for them and says of them; ids know nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx.plan import Plan, bundles
from adapterx.plan.export import to_json
from adapterx.plan.states import states
from adapterx.plan.vocabulary import counted, needs_all, reads_some, weights
from tests.plan.conftest import Planner
from tests.plan.test_pinned import CASES, ids
from tests.plan.test_pinned import planned as pinned
from tests.plan.test_render import shown

USED: dict[str, object] = {"backbones": {"small": {"model": "e5@6", "vocabulary": "used"}}}
LANGUAGES = CASES["language adapters"]


def words(plan: Plan) -> str:
    return " ".join(shown(plan, width=200).split())


@pytest.mark.parametrize("name", [name for name, changes in CASES.items() if "backbones" not in changes])
def test_it_is_no_part_of_an_id(name: str) -> None:
    assert ids(pinned({**CASES[name], **USED})) == ids(pinned(CASES[name]))


def test_what_reads_all_embeddings_keeps_all_and_says_why(planned: Planner) -> None:
    plan = pinned({**LANGUAGES, **USED})
    whole = {stage.label for stage in plan.stages.values() if needs_all(stage)}
    assert whole == {f"small.bottleneck.languages.{code}.seed1" for code in ("en", "fi")}
    assert "2 of them (intermediate small.bottleneck.languages" in words(plan)
    assert "with the embeddings of all tokens, as masked language modelling compares its guesses" in words(plan)
    full = planned(**USED, methods={"full": {"kind": "full"}}, transfers=["continue"])
    assert all(needs_all(stage).startswith("full fine-tuning") for stage in full.stages.values())
    reference = planned(**USED, lane="reference", methods={"lora": {"kind": "lora"}})
    assert all("the libraries' own models" in needs_all(stage) for stage in reference.stages.values())
    for all_tokens in (full, reference):
        assert "embeddings of the tokens that are read" not in words(all_tokens)
    assert not any(map(reads_some, pinned(LANGUAGES).stages.values())), "nobody asked for it"
    assert "vocabulary:" not in words(pinned(LANGUAGES))


@pytest.mark.parametrize(
    # In float32 the whole table is no memory of the program's own: it is mapped from its file.
    ("load", "spared"),
    [("float32", -1_002 * 4), ("bfloat16", 249_000 * 2), ("int8-rows", 249_000 * 2), ("nf4", 249_000 * 2)],
)
def test_memory_is_less_by_the_rows_that_are_not_there(load: str, spared: int) -> None:
    backbone = {"model": "e5@6", "load": load, "vocabulary": "used"}
    before = pinned({**LANGUAGES, "backbones": {"small": backbone}})
    (key,) = {weights(stage) for stage in before.stages.values()}
    after = counted(before, {key: 1_002})
    for stage in before.stages.values():
        one, other = stage.cost.memory.weights, after.stages[stage.id].cost.memory.weights
        assert one.bytes - other.bytes == (0 if needs_all(stage) else 384 * spared)
    assert counted(before, {}).stages == before.stages


def test_a_plan_says_how_many_tokens_are_read_or_that_it_does_not_know(planned: Planner) -> None:
    plan = planned(backbones={"small": {"model": "e5@6", "load": "bfloat16", "vocabulary": "used"}})
    text = "until then memory counts those of all 250,002, 192 MB"
    assert text in words(plan) and text in str(to_json(plan, states(plan, None))["vocabulary"])
    (key,) = {weights(stage) for stage in plan.stages.values()}
    text = "small has the embeddings of 31,402 of its 250,002 tokens, the ones that are read; 168 MB less"
    plan = counted(plan, {key: 31_402})
    assert text in words(plan) and to_json(plan, states(plan, None))["vocabulary"] == [text]


def test_a_plan_says_where_nothing_is_saved(planned: Planner) -> None:
    """In the checkpoint's own format a CPU maps the whole table from its file."""
    plan = planned(**USED)
    (key,) = {weights(stage) for stage in plan.stages.values()}
    text = "in float32 on a CPU that saves nothing but pages of its file, which the system can drop"
    for one in (plan, counted(plan, {key: 31_402})):
        assert text in words(one) and " less" not in words(one)


def test_stages_that_need_all_go_in_bundles_of_their_own(planned: Planner, tmp_path: Path) -> None:
    """As does a backbone that is given twice, with all tokens and with those that are read."""
    twice: dict[str, object] = {"backbones": {"a": "e5@6", **{"b": {"model": "e5@6", "vocabulary": "used"}}}}
    skip = [{"backbones": "a", "seeds": 1}, {"backbones": "b", "seeds": 2}]
    mixed = {"text": {"tasks": ["text"]}, "both": {"tasks": ["units", "numbers"]}}
    for plan in (
        planned(**twice, skip=skip),
        planned(**USED, intermediates=mixed, methods={"seq": {"kind": "bottleneck"}}),
    ):
        groups = [{reads_some(plan.stages[id]) for id in bundle} for bundle in bundles(plan, list(plan.stages))]
        assert all(len(kinds) == 1 for kinds in groups) and {True} in groups and {False} in groups
