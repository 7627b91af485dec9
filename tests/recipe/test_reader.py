from __future__ import annotations

import math
from pathlib import Path

import pytest

from adapterx.config.document import Scalar, compose, plain, resolve
from adapterx.config.problems import Finding, Position
from adapterx.limits import Limit
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.recipe import Recipe, Sampling, Skip, locate, read
from adapterx.recipe.overrides import without_effect
from adapterx.train_settings import EarlyStopping, PruneSettings
from tests.recipe.conftest import GOOD, Write


def test_shorthands_mean_their_long_forms(write: Write) -> None:
    text = GOOD.replace("cldr}", "cldr, languages: all, sampling: uniform}") + "skip: [{transfers: none, seeds: 1}]\n"
    recipe = read(write(text))
    assert recipe.backbones["small"].model == "embedded/e5-small@6"
    intermediate = recipe.intermediates["en"]
    assert intermediate is not None
    assert intermediate.tasks == ("cldr",)
    assert intermediate.languages == ("all",)
    assert intermediate.sampling == Sampling(temperature=math.inf)
    assert recipe.targets["choice"].task == "choice"
    assert recipe.targets["choice"].train_languages == ("en",)
    assert recipe.skip == (Skip(transfers=("none",), seeds=(1,)),)


def test_a_recipe_survives_json(write: Write) -> None:
    text = GOOD.replace("train: {learning_rate: 1e-4}", "train: {learning_rate: 2e-3, target: {steps: 7}}")
    recipe = read(write(text.replace("cldr}", "cldr, sampling: uniform}")))
    again = Recipe.model_validate_json(recipe.model_dump_json())
    assert again == recipe
    assert again.train.phase("target", "lora", "lora") == recipe.train.phase("target", "lora", "lora")
    assert again.train.phase("target", "lora", "lora").learning_rate == 2e-3


@pytest.mark.parametrize("weights", ["", ", weights: [1, 2]", ", weights: tuned", ", weights: tuned, tuning_limit: 5"])
def test_mixtures_and_mergers_survive_json(weights: str, write: Write) -> None:
    mixture = "{tasks: [a, b], sampling: {weights: {a: 2, b: 0.5}}}"
    text = GOOD.replace("{tasks: cldr}", mixture) + f"transfers: {{t: {{kind: merge{weights}}}}}\n"
    recipe = read(write(text))
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    intermediate = recipe.intermediates["en"]
    assert intermediate is not None
    assert intermediate.sampling.normalised == Sampling(weights={"a": 0.8, "b": 0.2})
    assert hash(intermediate.sampling) == hash(Sampling(weights={"b": 0.5, "a": 2.0}))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("1e5", 1e5),
        ("012", 12),
        ("0o14", 12),
        ("-0.5", -0.5),
        (".5", 0.5),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
    ],
)
def test_scalars_are_yaml_1_2(written: str, value: object) -> None:
    assert resolve(written) == value
    assert type(resolve(written)) is type(value)


def test_norwegian_stays_a_language(write: Write) -> None:
    recipe = read(write(GOOD.replace("[choice]", "{c: {task: choice, languages: [en, no, yes, on]}}")))
    assert recipe.targets["c"].languages == ("en", "no", "yes", "on")


def test_anchors_and_merges(write: Write) -> None:
    text = GOOD.replace("lora: {kind: lora}", "a: &a {kind: lora, rank: 4}\n  b: {<<: *a, alpha: 2.0}\n  c: *a")
    methods = read(write(text)).methods
    assert methods == {"a": Lora(rank=4), "b": Lora(rank=4, alpha=2.0), "c": Lora(rank=4)}


def test_positions_count_from_one() -> None:
    root, duplicates = compose("a:\n  b: [x, 'y']\n", Position("f", 1, 1))
    assert duplicates == []
    assert root is not None
    assert plain(root) == {"a": {"b": ["x", "y"]}}
    node = root.entries["a"].node.entries["b"].node.items[1]  # type: ignore[union-attr]
    assert isinstance(node, Scalar)
    assert (node.position.line, node.position.column) == (2, 10)


def test_bottleneck_defaults_follow_the_placement() -> None:
    assert Bottleneck() == Bottleneck(placement="sequential", reduction_factor=16.0, activation="relu", scaling=1.0)
    assert Bottleneck(placement="double") == Bottleneck(placement="double", reduction_factor=16.0, activation="swish")
    parallel = Bottleneck(placement="parallel", activation="gelu")
    assert (parallel.reduction_factor, parallel.scaling, parallel.activation) == (2.0, 4.0, "gelu")


@pytest.mark.parametrize(
    ("train", "epochs", "steps"),
    [
        ("{}", 3.0, None),
        ("{epochs: 5}", 5.0, None),
        ("{steps: 50}", None, 50),
        ("{epochs: 5, target: {steps: 10}}", None, 10),
        ("{steps: 50, target: {epochs: 2}}", 2.0, None),
        ("{steps: 50, target: {batch_size: 4}}", None, 50),
        ("{steps: 50, intermediate: {epochs: 1}}", None, 50),
    ],
)
def test_each_phase_has_one_duration(train: str, epochs: float | None, steps: int | None, write: Write) -> None:
    recipe = read(write(GOOD.replace("train: {learning_rate: 1e-4}", f"train: {train}")))
    settings = recipe.train.phase("target", "lora", "lora")
    assert (settings.epochs, settings.steps) == (epochs, steps)


def test_a_phase_overrides_single_settings_even_with_null(write: Write) -> None:
    train = "{early_stopping: {every: 5, patience: 2}, limit: 9, target: {early_stopping: null, batch_size: 8}}"
    recipe = read(write(GOOD.replace("{learning_rate: 1e-4}", train)))
    target = recipe.train.phase("target", "lora", "lora")
    assert (target.early_stopping, target.limit, target.batch_size) == (None, Limit(9), 8)
    intermediate = recipe.train.phase("intermediate", "lora", "lora")
    assert (intermediate.early_stopping, intermediate.batch_size) == (EarlyStopping(every=5, patience=2), 32)


@pytest.mark.parametrize(
    ("train", "rates"),
    [
        ("{}", (1e-4,)),
        ("{PRUNE}", (1e-4, 1e-3)),
        ("{learning_rate: null, PRUNE}", (1e-4, 1e-3)),
        ("{PRUNE, target: {learning_rate: 5e-4}}", (5e-4,)),
        ("{PRUNE, target: {prune: null}}", (1e-4,)),
        ("{PRUNE, target: {batch_size: 4}}", (1e-4, 1e-3)),
        ("{PRUNE, target: {learning_rate: null}}", (1e-4, 1e-3)),
        ("{learning_rate: 5e-4, target: {PRUNE}}", (1e-4, 1e-3)),
        ("{learning_rate: 5e-4, intermediate: {PRUNE}}", (5e-4,)),
        ("{learning_rate: 5e-4, target: {prune: null}}", (5e-4,)),
        ("{prune: {learning_rates: {lora: [1e-4, 2e-4], bottleneck: [1, 2]}}}", (1e-4, 2e-4)),
        ("{prune: {learning_rates: {lora: 3e-4, bottleneck: [1, 2]}}}", (3e-4,)),
        ("{prune: {learning_rates: {lora: [1e-4, 2e-4], bottleneck: 1}}}", (1e-4, 2e-4)),
    ],
)
def test_each_phase_has_one_learning_rate_or_candidates(train: str, rates: tuple[float, ...], write: Write) -> None:
    train = train.replace("PRUNE", "prune: {learning_rates: [1e-4, 1e-3]}")
    recipe = read(write(GOOD.replace("{learning_rate: 1e-4}", train)))
    settings = recipe.train.phase("target", "lora", "lora")
    assert (settings.learning_rate is None) == (settings.prune is not None)
    assert tuple(one.learning_rate for one in settings.candidates) == rates
    assert all(one.prune is None for one in settings.candidates)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("count", "rungs", "keep", "going_on", "trainings"),
    [
        (3, (0.25, 0.5), 0.5, (2, 1), 0.75 + 0.5 + 0.5),
        (4, (0.25, 0.5), 0.5, (2, 1), 1.0 + 0.5 + 0.5),
        (9, (0.1, 0.4), 1 / 3, (3, 1), 0.9 + 0.9 + 0.6),
        (10, (0.5,), 0.7, (7,), 5.0 + 3.5),
        (3, (0.5,), 0.9, (2,), 1.5 + 1.0),
        (2, (0.2, 0.4, 0.6), 0.01, (1, 1, 1), 0.4 + 0.8),
    ],
)
def test_every_rung_drops_at_least_one_and_keeps_at_least_one(
    count: int, rungs: tuple[float, ...], keep: float, going_on: tuple[int, ...], trainings: float
) -> None:
    settings = PruneSettings(tuple(float(rate + 1) for rate in range(count)), rungs, keep, None)
    assert settings.going_on == going_on
    assert settings.trainings == pytest.approx(trainings)


def test_a_method_name_wins_over_its_kind(write: Write) -> None:
    text = GOOD.replace("lora: {kind: lora}", "small: {kind: lora}\n  large: {kind: lora, rank: 64}")
    recipe = read(write(text.replace("1e-4", "{lora: 1e-4, large: 5e-5}")))
    assert recipe.train.phase("target", "small", "lora").learning_rate == 1e-4
    assert recipe.train.phase("target", "large", "lora").learning_rate == 5e-5


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs=2", ("train", "epochs", 2.0)),
        ("train.learning_rate={lora: 5e-4}", ("train", "learning_rate", {"lora": 5e-4})),
        (
            "train.early_stopping={every: 4, patience: 1}",
            ("train", "early_stopping", EarlyStopping(every=4, patience=1)),
        ),
        ("seeds=[1,2]", ("seeds", (1, 2))),
        ("description=a = b", ("description", "a = b")),
        ("description=1e5", ("description", "1e5")),
        ("name=123", ("name", "123")),
        ("evaluate.limit=", ("evaluate", "limit", None)),
        ("methods.lora.rank=4", ("methods", "lora", "rank", 4)),
        ("methods.wide={kind: lora, rank: 64}", ("methods", "wide", "rank", 64)),
        ("backbones.small.revision=1234567", ("backbones", "small", "revision", "1234567")),
        ("backbones.small.load=bfloat16", ("backbones", "small", "load", "bfloat16")),
        ("targets.choice.languages=no", ("targets", "choice", "languages", ("no",))),
    ],
)
def test_overrides_are_typed_by_the_schema(override: str, expected: tuple[object, ...], write: Write) -> None:
    *path, value = expected
    found: object = read(write(GOOD), [override])
    for part in path:
        found = found[part] if isinstance(found, dict) else getattr(found, str(part))
    assert found == value


def test_a_later_override_wins_and_reaches_into_lists(write: Write) -> None:
    path = write(GOOD + "seeds: [1, 2]\n")
    assert read(path, ["seeds.1=7"]).seeds == (1, 7)
    assert read(path, ["train.epochs=1", "train.epochs=2"]).train.epochs == 2.0


def test_findings_of_later_rooms_get_their_places(write: Write) -> None:
    path = write(GOOD)
    findings = [Finding(("targets", "choice", "task"), "no task 'choice'"), Finding(("seeds",), "x")]
    lines = str(locate(path, ["seeds=[4]"], findings)).replace(f"{path}", "r").split("\n")
    assert lines == ["r:7:11: targets.0: no task 'choice'", "seeds=[4]:1:7: seeds: x"]


def test_both_suffixes_read_alike(tmp_path: Path) -> None:
    for name in ("a.yaml", "a.yml"):
        (tmp_path / name).write_text("\ufeff" + GOOD, encoding="utf-8")
    assert read(tmp_path / "a.yaml") == read(str(tmp_path / "a.yml"))


def test_overrides_that_change_nothing_are_told(write: Write) -> None:
    recipe = read(write(GOOD), ["train.intermediate.steps=3", "train.target.epochs=1", "train.target.batch_size=8"])
    given = ["train.steps=10", "train.batch_size=4", "train.target.steps=5", "seeds=[1]"]
    (told,) = without_effect(recipe.train, given)
    assert told.startswith("train.steps=10 changes nothing: train.intermediate and train.target have")
