"""`adapterx translate` goes on where it was, and what is made of what it has written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from adapterx.tasks import data
from adapterx.tasks.catalog import find
from tests.backbones.checkpoints import save
from tests.support import markdown
from tests.support.command import ROOT, adapterx, start
from tests.translate import tasks
from tests.translate.engines import command as program
from tests.translate.tasks import provenance, read, translate, well

DE = ("--to", "de")


# Going on


def test_a_program_that_fails_loses_nothing(here: Path) -> None:
    noted = here / "noted"
    failed = translate(here, "single", *DE, "--split", "train", "--out", "out", "--batch", "4",
                       engine=program(here, "dies", noted))  # fmt: skip
    assert failed.returncode == 2 and "ended with exit code 7" in failed.stderr
    # The rest of its first batch is lost.
    assert "what was translated is kept in out (2 texts by this call): run the same command to go on" in failed.stderr
    assert not (here / "out" / "train-de.jsonl").exists()
    asked = [json.loads(line)["text"] for line in noted.read_text().splitlines()]
    noted.unlink()
    # The program is mended, and its command stays the same.
    mended = (here / "program.py").read_text().replace('how == "dies"', 'how == "dies no more"')
    (here / "program.py").write_text(mended)
    engine = f"command:{sys.executable} {here / 'program.py'} dies {noted}"
    well(translate(here, "single", *DE, "--split", "train", "--out", "out", "--batch", "4", engine=engine))
    again = [json.loads(line)["text"] for line in noted.read_text().splitlines()]
    assert asked[:2] == ["the dog barks 0", "the dog barks 1"]
    assert again == [f"the dog barks {number}" for number in range(2, 6)]
    assert len(read(here / "out" / "train-de.jsonl")) == 6


def test_a_second_call_asks_the_engine_nothing_and_languages_and_splits_may_be_added(here: Path) -> None:
    noted = here / "noted"
    engine = program(here, "plain", noted)
    well(translate(here, "single", *DE, "--split", "train", "--out", "out", engine=engine))
    files = {path.name: path.read_bytes() for path in (here / "out").glob("train-*")}
    assert len(noted.read_text().splitlines()) == 6
    well(translate(here, "single", *DE, "--split", "train", "--out", "out", engine=engine))
    assert len(noted.read_text().splitlines()) == 6
    assert {path.name: path.read_bytes() for path in (here / "out").glob("train-*")} == files
    well(translate(here, "single", "--to", "de,sw", "--out", "out", engine=engine))
    assert len(noted.read_text().splitlines()) == 6 + 4 + 6 + 4


def test_the_directory_of_another_engine_or_of_other_data_is_refused_by_name(here: Path) -> None:
    arguments = (*DE, "--split", "train", "--out", "out")
    well(translate(here, "single", *arguments))
    other = translate(here, "single", *arguments, engine=program(here))
    assert other.returncode == 2
    assert (
        "en-de.jsonl holds translations of another engine: engine is 'dictionary' there and 'command' now"
        in other.stderr
    )
    (here / "words.json").write_text(json.dumps({"dog": "Köter"}))
    assert "words is '" in translate(here, "single", *arguments).stderr
    other = translate(here, "pairs", *arguments)
    assert "out/journal holds translations of other data: task is 'single' there and 'pairs' now" in other.stderr
    rows = here / "data" / "single-train.tsv"
    rows.write_text(rows.read_text() + "the dog\tgood\n")
    other = translate(here, "single", *arguments)
    assert other.returncode == 2 and "of other data: splits.train is" in other.stderr


def _begun(here: Path) -> subprocess.Popen[str]:
    """A call whose program answers two texts and keeps silent then, in a process of its own."""
    noted = here / "noted"
    engine = program(here, "silent", noted)
    started = start(
        *("translate", here / "single.yaml", "--engine", engine, *DE, "--split", "train", "--batch", "1"),
        *("--out", here / "out"),
    )
    for _ in range(600):
        if noted.exists() and len(noted.read_text().splitlines()) == 3:
            break
        time.sleep(0.05)
    return started


def _translated(here: Path) -> list[str]:
    return [row["text"] for row in read(here / "out" / "journal" / "en-de.jsonl")[1:]]


def test_ctrl_c_keeps_what_was_translated(here: Path) -> None:
    started = _begun(here)
    started.send_signal(signal.SIGINT)
    told, _ = started.communicate(timeout=30)
    assert started.returncode == 130
    kept = f"what was translated is kept in {here / 'out'} (2 texts by this call)"
    assert f"interrupted; {kept}; run again to go on" in told
    assert _translated(here) == ["the dog barks 0 [en>de]", "the dog barks 1 [en>de]"]
    assert not (here / "out" / "train-de.jsonl").exists()


def test_a_killed_call_goes_on_where_it_was(here: Path) -> None:
    started = _begun(here)
    started.kill()
    started.communicate(timeout=30)
    assert len(_translated(here)) == 2
    path, noted = here / "program.py", here / "noted"
    path.write_text(path.read_text().replace('how == "silent"', 'how == "silent no more"'))
    noted.unlink()
    engine = f"command:{sys.executable} {path} silent {noted}"
    arguments = (*DE, "--split", "train", "--batch", "1", "--out", here / "out")
    well(translate(here, here / "single.yaml", *arguments, engine=engine))
    assert len(noted.read_text().splitlines()) == 4 and len(_translated(here)) == 6
    assert len(read(here / "out" / "train-de.jsonl")) == 6


# Programs, and what follows


def test_a_dictionary_needs_no_torch(here: Path) -> None:
    code = (
        "import sys; from adapterx.cli import main\n"
        f"main(['translate', '{here / 'single.yaml'}', '--to', 'de', '--engine', 'dictionary:{here / 'words.json'}',"
        f" '--out', '{here / 'out'}'])\n"
        "print(sorted({'torch', 'transformers'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_page_shows_what_comes_out(tmp_path: Path) -> None:
    page = markdown.read(ROOT / "docs" / "how-to" / "translate.md")
    (first, told, recipe), lines = page.blocks[:3], page.blocks[0].text.splitlines()
    subprocess.run(["/bin/sh", "-c", lines[0]], cwd=tmp_path, check=True)
    done = well(adapterx(*lines[1].split()[1:], cwd=tmp_path))
    assert [line.rstrip() for line in done.stdout.splitlines()] == told.text.splitlines()
    assert first.language == "sh" and lines[2:] == [
        "cd made",
        "adapterx tasks show place-match-translated --language de -n 2",
    ]
    (tmp_path / "made" / "arms.yaml").write_text(recipe.text)
    plan = json.loads(well(adapterx("plan", "arms.yaml", "--json", cwd=tmp_path / "made")).stdout)
    assert len(plan["cells"]) == 4 and not any(cell["refused"] for cell in plan["cells"])


def test_programs_are_told_in_json(here: Path) -> None:
    told = json.loads(well(translate(here, "questions", *DE, "--split", "dev", "--out", "out", "--json")).stdout)
    assert told["task"] == "out/questions-translated.yaml" and told["adapterx_translate"] == 1
    assert told["counts"]["de"]["dev"]["written"] == 4 and told["counts"]["de"]["dev"]["spans"]["marked"] == 3
    assert told["engine"]["directions"]["en-de"]["file"] == "words.json"
    failed = translate(here, "single", *DE, "--out", "data", "--json")
    assert failed.returncode == 2
    assert json.loads(failed.stdout) == {
        "error": {"type": "TranslationError", "message": failed.stderr.rstrip("\n"), "where": "data", "hint": None}
    }


def test_what_provenance_says(here: Path) -> None:
    well(translate(here, "single", *DE, "--limit", "3", "--sample", "first", "--out", "out"))
    told = provenance(here / "out")
    spec = find("single", here)
    assert told["data"] == {
        "task": "single",
        "source": "local",
        "language": "en",
        "splits": {split: data.fingerprint(spec, "local", {split: ["en"]}) for split in ("train", "dev")},
        "format": "pair-classification",
    }
    assert told["arguments"]["limit"] == {"items": 3, "sample": "first"}
    assert told["counts"]["de"]["train"] == {
        "items": 3,
        "written": 3,
        "untranslatable": 0,
        "left_out": 0,
        "texts": 3,
        "unchanged": 0,
        "other_script": 0,
    }
    assert told["started"] <= told["finished"] and told["adapterx"]


def test_copies_and_other_scripts_are_counted(here: Path) -> None:
    (here / "words.json").write_text(json.dumps({"dog": "пёс", "barks": "лает"}))
    rows = here / "data" / "single-train.tsv"
    rows.write_text("the dog\tgood\nthe cat\tbad\nthe dog\tbad\ndog barks\tgood\n")
    well(translate(here, "single", *DE, "--split", "train", "--out", "out"))
    count = provenance(here / "out")["counts"]["de"]["train"]
    assert (count["texts"], count["unchanged"], count["other_script"]) == (3, 1, 1)


def test_files_below_the_data_directory_are_named_as_seen_from_it(here: Path) -> None:
    well(translate(here, "single", *DE, "--split", "train", "--out", "data/made"))
    assert "paths: made/train-{language}.jsonl" in (here / "data/made/single-translated.yaml").read_text()
    assert len(data.load(find("single-translated", here / "data/made"), "translated", "de", "train")) == 6


RECIPE = """\
adapterx: 1
name: arms
backbones: {small: embedded/e5-small@2}
methods: {lora: {kind: lora, rank: 2}}
intermediates:
  none: null
  english: {tasks: single-translated, languages: [en]}
  german: {tasks: single-translated, languages: [de]}
targets: {sight: {task: other}, places: {task: place-match}}
train: {steps: 1, batch_size: 4, max_length: 16}
evaluate: {}
"""


def test_the_written_task_is_shown(here: Path) -> None:
    backbone = save(here / "backbone")
    well(translate(here, "questions", *DE, "--out", "out"))
    shown = well(
        tasks.command(
            here / "out",
            *("tasks", "show", "questions-translated", "--language", "de", "-n", "1", "--backbone", backbone),
        )
    ).stdout
    assert "questions-translated · extractive-qa · de · train (translated) · 4 examples" in shown
    assert "dog-barks-12345678  Der Hund" in shown


def test_the_written_task_is_planned_and_known_as_what_it_translates(here: Path) -> None:
    well(translate(here, "single", *DE, "--out", "out"))
    (here / "other.yaml").write_text(
        (here / "single.yaml")
        .read_text()
        .replace("name: single", "name: other\nsame_task: [single]")
        .replace("dev: {paths: single-dev.tsv}, test: {paths: single-dev.tsv}", "test: {paths: other.tsv}")
    )
    tasks.rows("other.tsv", [f"a bird {number} sings of it\tgood" for number in range(4)], here / "data")
    # The YAML may lie beside any recipe: it names its files in full.
    (here / "out" / "single-translated.yaml").rename(here / "single-translated.yaml")
    (here / "arms.yaml").write_text(RECIPE)
    plan = json.loads(well(tasks.command(here, "plan", "arms.yaml", "--json")).stdout)
    assert [cell["refused"] for cell in plan["cells"]] == [None] * 6
    # `other` asks what `single` asks, whose translation is what the intermediate learns.
    same = {(one["cell"]["intermediate"], one["cell"]["target"]): one["target_training"] for one in plan["cells"]}
    assert same[("german", "sight")] and not same[("german", "places")] and not same[("none", "sight")]
    learnt = [stage["settings"]["tasks"] for stage in plan["stages"] if stage["kind"] == "intermediate"]
    assert [one["single-translated"]["languages"] for one in learnt] == [["en"], ["de"]]


def test_what_a_translation_is_made_of_is_not_tested_after_it(here: Path) -> None:
    """The items' source is declared, so that a translation of what is scored is refused as the items would be."""
    well(translate(here, "single", *DE, "--split", "train", "--out", "out"))
    (here / "other.yaml").write_text(
        (here / "single.yaml").read_text().replace("name: single", "name: other\nderived_from: {test: {single: train}}")
    )
    (here / "out" / "single-translated.yaml").rename(here / "single-translated.yaml")
    (here / "arms.yaml").write_text(RECIPE)
    plan = json.loads(tasks.command(here, "plan", "arms.yaml", "--json").stdout)
    refused = {(one["cell"]["intermediate"], one["cell"]["target"]): one["refused"] for one in plan["cells"]}
    assert "both hold items of single's train split" in refused["german", "sight"]
    assert refused["german", "places"] is None
