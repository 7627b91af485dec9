from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from adapterx import __version__, cli
from adapterx.plan.contamination import uncompared
from adapterx.plan.looks import unseen
from tests.plan.fakes import FakeBackbones, FakeTasks
from tests.recipe.conftest import GOOD

RECIPE = GOOD.replace("cldr", "units").replace("[choice]", "[months, numbers]")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe over the fake catalog, in the working directory; the store is the default one."""
    monkeypatch.setattr(cli.common, "catalog", FakeTasks)
    monkeypatch.setattr(cli.common, "describer", FakeBackbones)
    monkeypatch.setattr(cli.common, "questions", lambda *_: (uncompared, unseen))
    monkeypatch.delenv("ADAPTERX_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adapterx", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, adapterx.cli\ntry: adapterx.cli.main(['-h'])\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded & {"torch", "transformers", "pydantic", "numpy", "rich", "ruamel", "babel", "matplotlib"} == set()
    assert "plan" in done.stdout


def test_version() -> None:
    assert command("--version").stdout == f"adapterx {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paln"], "invalid choice: 'paln'"),
        (["plan"], "the following arguments are required: RECIPE"),
        (["plan", "r.yaml", "--sotre", "x"], "unrecognized arguments: --sotre"),
        (["watch", "a", "b"], "unrecognized arguments: b"),
        (["plan", "nowhere.yaml"], "nowhere.yaml: no such file"),
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str], message: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def _defect(*_: object) -> None:
    token = os.environ["HF_TOKEN"]
    raise ZeroDivisionError(f"nobody foresaw this\nnor {token}")


def test_a_defect_ends_with_one_line_and_a_log_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary1234567890")
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path))
    monkeypatch.setattr(cli.report, "run", _defect)
    assert cli.main(["report", "r"]) == 70
    (line,) = capsys.readouterr().err.splitlines()
    (log,) = (tmp_path / "logs").iterdir()
    assert f"ZeroDivisionError: nobody foresaw this nor <HF_TOKEN> (the traceback is in {log}" in line
    written = log.read_text()
    assert "Traceback (most recent call last)" in written
    assert "command: report r" in written
    assert "hf_canary" not in line + written


def test_a_defect_is_told_where_no_log_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setenv("HF_TOKEN", "x")
    monkeypatch.setattr(cli.report, "run", _defect)
    assert cli.main(["report", "r"]) == 70
    assert "its log could not be written" in capsys.readouterr().err


def test_debug_lets_a_traceback_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "x")
    monkeypatch.setattr(cli.report, "run", _defect)
    for arguments in (["--debug", "report", "r"], ["report", "r", "--debug"]):
        with pytest.raises(ZeroDivisionError):
            cli.main(arguments)


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "COMMAND" in capsys.readouterr().out


def test_plan_shows_the_table(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(recipe)]) == 0
    shown = capsys.readouterr()
    assert "gap: 4 cells → 5 trainings (1 intermediate, 4 target) and 4 evaluations" in shown.out
    assert "small.lora.en.continue.months.seed1" in shown.out
    assert shown.err == ""


def test_overrides_may_stand_on_both_sides_of_options(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", str(recipe), "seeds=[1,2,3]", "--json", "--store", "s", "name=other", "methods.lora.rank=4"]
    assert cli.main(arguments) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["recipe"] == "other"
    assert len(plan["cells"]) == 12
    assert {stage["settings"]["method"]["rank"] for stage in plan["stages"] if stage["kind"] == "target"} == {4}


def test_an_unknown_task_is_told_with_its_place(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(recipe), "targets.x.task=mnths", "intermediates.en.tasks=[unts]"]) == 2
    assert cli.main(["plan", str(recipe), "targets={x: {task: mnths}}", "intermediates.en.tasks=[unts]"]) == 2
    assert capsys.readouterr().err.split("\n") == [
        "targets.x.task=mnths:1:1: targets: has no 'x' (known: months, numbers)",
        "targets={x: {task: mnths}}:1:20: targets.x.task: no task 'mnths' (did you mean 'months'?)",
        "intermediates.en.tasks=[unts]:1:25: intermediates.en.tasks.0: no task 'unts' (did you mean 'units'?)",
        "",
    ]


def test_a_plan_of_refusals_only_is_a_mistake(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(recipe), "backbones.small=missing"]) == 2
    assert "missing/config.json: no such file" in capsys.readouterr().out


def test_a_store_that_cannot_be_read(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert cli.main(["plan", str(recipe), "--store", "file"]) == 2
    assert "Not a directory" in capsys.readouterr().err


def test_the_store_comes_from_option_environment_or_here(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    roots = []
    local = types.ModuleType("adapterx.executors.local")
    local.run = lambda plan, store, **_: roots.append(str(store.root)) or 0  # type: ignore[attr-defined, func-returns-value]
    local.Effort = lambda *_: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "adapterx.executors.local", local)
    monkeypatch.setattr("adapterx.executors.local", local, raising=False)
    cli.main(["run", str(recipe)])
    monkeypatch.setenv("ADAPTERX_STORE", "elsewhere")
    cli.main(["run", str(recipe)])
    cli.main(["run", str(recipe), "--store", "given"])
    assert roots == ["adapterx-store", "elsewhere", "given"]


def test_a_thousand_cells(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(recipe), f"seeds={list(range(250))}"]) == 0
    assert "1,000 cells" in capsys.readouterr().out


@pytest.mark.parametrize("named", ["gap", "r.yaml", "adapterx-store/runs/gap"])
def test_report_finds_the_run(
    named: str, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = recipe.parent / "adapterx-store" / "runs" / "gap"
    directory.mkdir(parents=True)
    (directory / "run.json").write_text("{}")
    report = types.ModuleType("adapterx.report")
    report.build = lambda store, run, beside: (store.root, run)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "adapterx.report", report)
    monkeypatch.setattr("adapterx.report", report, raising=False)
    assert cli.main(["report", named]) == 0
    assert capsys.readouterr().out == f"{(directory.parent.parent, directory)}\n"


def test_report_of_an_unknown_run(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = recipe.parent / "adapterx-store" / "runs" / "gap"
    directory.mkdir(parents=True)
    (directory / "run.json").write_text("{}")
    assert cli.main(["report", "gop"]) == 2
    assert capsys.readouterr().err == "no run 'gop' in adapterx-store (did you mean 'gap'?)\n"
    assert cli.main(["report", "lost.yaml"]) == 2
    assert "lost.yaml: no such file" in capsys.readouterr().err
