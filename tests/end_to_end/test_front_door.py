"""The README's commands and the shipped recipes, through the real command line."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from pydantic import BaseModel

from adapterx.backbones.spec import Backbone
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.recipe import Compare, Evaluate, Intermediate, Recipe, Sampling, Target, read
from adapterx.recipe.training import Train
from adapterx.tasks.catalog import names
from adapterx.train_settings import EarlyStopping
from tests.support.command import ROOT, adapterx, environment
from tests.support.marks import everyday

ON_THE_HUB = ("xstilts", "xtreme-baselines", "scaling-gap", "hybrid-retrieval")
"""Recipes that `test_xtreme_recipes.py` plans, with a hub."""
OF_FILES = {"local-xtreme": "xnli", "scaling-gap-small": "udpos", "hybrid-retrieval-small": "mlqa_dev"}
"""Recipes that read benchmarks' own files, and a directory of them."""
RECIPES = sorted(path for path in (ROOT / "recipes").rglob("*.y*ml") if path.stem not in ON_THE_HUB)
DATA = Path(os.environ.get("ADAPTERX_DATA") or ROOT.parent / "shared" / "data")
README = (ROOT / "README.md").read_text()
REFERENCE = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "reference").glob("*.md")))
FAST = ["train.intermediate.steps=2", "train.target.steps=2", "evaluate.limit=3", "evaluate.bootstrap=100"]


def commands(text: str) -> list[list[str]]:
    """The lines of a page's shell blocks, comments dropped."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize(
    "path", everyday(RECIPES, [path for path in RECIPES if path.stem not in OF_FILES]), ids=lambda path: path.stem
)
def test_every_shipped_recipe_can_be_planned(path: Path, tmp_path: Path) -> None:
    if path.stem in OF_FILES and not (DATA / OF_FILES[path.stem]).is_dir():
        pytest.skip(f"no benchmark files in {DATA}")
    plan = adapterx("plan", path, "--store", tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "refused" not in plan.stdout
    assert read(path).name == path.stem


@pytest.mark.slow
def test_the_readmes_adapterx_commands_run_as_written(tmp_path: Path) -> None:
    shown = [command[1:] for command in commands(README) if command[0] == "adapterx"]
    assert [command[0] for command in shown] == ["plan", "run", "run", "report", "doctor"]
    outputs = []
    for command in shown:
        shorter = FAST if command[0] in ("plan", "run") else []
        done = adapterx(*command, *shorter, "--store", tmp_path)
        # Two steps teach nothing, so a cell may well answer one label to everything: that is exit code 1.
        assert done.returncode in (0, 1), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        outputs.append(done.stdout)
    assert "to train" in outputs[0]
    assert "trained 30 stages, evaluated 18" in outputs[1]
    assert "trained 10 stages, evaluated 6" in outputs[2]
    page = Path(outputs[3].strip())
    assert page.is_file() and page.parent.parent == tmp_path / "runs" / "quickstart"


def test_make_does_what_the_readme_writes_out() -> None:
    written = [" ".join(command) for command in commands(README)]
    for target, command in {
        "quickstart": ".venv/bin/adapterx run recipes/quickstart.yaml",
        "test": ".venv/bin/python -m pytest -n 3 --dist loadfile",
    }.items():
        dry = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
        assert command in dry.stdout
        assert command in written
        assert f"make {target}" in written
    installed = [line.partition("pip install ")[2] for line in written if "pip install" in line]
    made = re.findall(r"^\t\$\(PIP\) (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert installed == [" ".join(shlex.split(line)) for line in made] and len(made) == 4


def test_the_quickstart_in_the_readme_is_the_one_that_ships(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    shown = tmp_path / "shown.yaml"
    shown.write_text(block)
    whole = read(ROOT / "recipes" / "quickstart.yaml").model_dump()
    given = read(shown).model_dump(exclude_unset=True)
    for key, value in given.items():
        if key in ("backbones", "methods", "intermediates", "targets"):
            assert whole[key].keys() == value.keys()
            continue
        assert whole[key] == (whole[key] | value if isinstance(value, dict) else value), key
    read(shown)


@pytest.mark.parametrize(
    "model",
    [Recipe, Backbone, Intermediate, Target, Sampling, Evaluate, Compare, Train, EarlyStopping, Lora, Bottleneck],
    ids=lambda model: model.__name__,
)
def test_the_reference_names_every_key(model: type[BaseModel]) -> None:
    missing = [name for name in model.model_fields if not re.search(rf"[`{{, ]{name}[`:, ]", REFERENCE)]
    assert not missing


def test_the_reference_names_every_task() -> None:
    assert [name for name in names() if f"`{name}`" not in REFERENCE] == []


@pytest.mark.slow
def test_the_references_own_task_works(tmp_path: Path) -> None:
    (block,) = (one for one in re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL) if "name: reviews" in one)
    (tmp_path / "reviews.yaml").write_text(block)
    data = tmp_path / "data" / "reviews"
    data.mkdir(parents=True)
    for name in ("train-en", "dev-en", "test-en", "test-de"):
        (data / f"{name}.tsv").write_text(
            "".join(f"{name} review {n}\t{('negative', 'positive')[n % 2]}\n" for n in range(8))
        )
    (tmp_path / "mine.yaml").write_text(
        "adapterx: 1\nname: mine\nbackbones: {tiny: embedded/e5-small@1}\nmethods: {lora: {kind: lora}}\n"
        "targets: [reviews]\ntrain: {steps: 2, batch_size: 4}\n"
    )
    env = environment(ADAPTERX_DATA=str(tmp_path / "data"))
    plan = adapterx("plan", tmp_path / "mine.yaml", "--store", tmp_path / "store", env=env)
    assert plan.returncode == 0 and "refused" not in plan.stdout, plan.stdout + plan.stderr
    run = adapterx("run", tmp_path / "mine.yaml", "--store", tmp_path / "store", env=env)
    assert "trained 1 stages, evaluated 1" in run.stdout, run.stdout + run.stderr
