"""The documentation is true to the files, the command line and the schemas that it names."""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from adapterx import cli
from adapterx.config import keys
from adapterx.recipe import Recipe, read
from adapterx.tasks.catalog import find
from adapterx.tasks.spec import TaskSpec
from tests.support import markdown
from tests.support.command import ROOT

DOCS = ROOT / "docs"
FRONT = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md")
PAGES = [markdown.read(path) for path in (*(ROOT / name for name in FRONT), *sorted(DOCS.rglob("*.md")))]
FIGURE = ROOT / "reports" / "quickstart" / "gap.svg"
ELSEWHERE = {"--require-hashes", "--index-url"}
"""Options of pip that the pages name by themselves."""
_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-n)\b")
_COMMAND = re.compile(r"(?<![\w./-])adapterx (?:tasks show|[a-z][a-z-]*)(?= |$)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.path.relative_to(ROOT)))


@every_page
def test_relative_links_lead_somewhere(page: markdown.Page) -> None:
    broken = []
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        to = (page.path.parent / name).resolve() if name else page.path
        if not to.exists():
            broken.append(f"{link}: no such file")
        elif anchor and (to.suffix != ".md" or anchor not in markdown.read(to).anchors):
            broken.append(f"{link}: no such heading")
    assert not broken, "\n".join(broken)


def test_every_page_is_reached_from_the_index() -> None:
    seen, waiting = set[Path](), [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.suffix == ".md" and page.is_relative_to(DOCS):
            seen.add(page)
            links = (link.partition("#")[0] for link in markdown.read(page).links)
            waiting += [(page.parent / link).resolve() for link in links if link and ":" not in link]
    assert sorted(seen) == sorted(DOCS.rglob("*.md"))


def test_pages_that_sources_name_exist() -> None:
    sources = [path for folder in ("adapterx", "tools", "tests", "recipes") for path in (ROOT / folder).rglob("*")]
    named: dict[str, Path] = {}
    for path in [ROOT / "Makefile", *(one for one in sources if one.suffix in {".py", ".yaml", ".j2", ".toml"})]:
        found = re.findall(r"(?<![\w/])docs/[\w./-]*\w", path.read_text(encoding="utf-8"))
        named |= dict.fromkeys(found, path)
    assert len(named) > 3
    missing = [f"{path.relative_to(ROOT)}: {name}" for name, path in named.items() if not (ROOT / name).exists()]
    assert not missing, "\n".join(missing)


@lru_cache
def options() -> Mapping[str, frozenset[str]]:
    """The options of each command, `tasks show` among them."""

    def below(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, frozenset[str]]]:
        yield name, frozenset(option for action in parser._actions for option in action.option_strings)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for sub, parsed in action.choices.items():
                    yield from below(parsed, f"{name} {sub}")

    return dict(below(cli._parser(), "adapterx"))


def mistaken(text: str) -> list[str]:
    """What a command line, or several under each other, names that its command does not know.

    A line that is indented, or follows a backslash, goes on with the command before.
    """
    command, wrong = "", []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.startswith(" "):
            command = ""
        parts = re.split(r"\s\|\s", line.partition(" #")[0])
        for part in parts:
            if found := _COMMAND.search(part):
                command = found[0]
            if command and command not in options():
                wrong.append(f"{command}: no such command")
            elif command:
                wrong += [f"{command}: {one}" for one in _OPTION.findall(part) if one not in options()[command]]
    return wrong


@every_page
def test_commands_and_options_exist(page: markdown.Page) -> None:
    shown = [*page.code, *(block.text for block in page.blocks if block.language in ("", "sh"))]
    wrong = [one for text in shown for one in mistaken(text)]
    known = frozenset[str]().union(*options().values(), ELSEWHERE)
    alone = (re.match(r"--[a-z-]+", text) for text in page.code)
    wrong += [found[0] for found in alone if found and found[0] not in known]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    [
        "adapterx trian r.yaml",
        "adapterx run r.yaml --jobs 3",
        "adapterx plan r\n  --seed 3",
        "echo x | adapterx tasks -x --y",
    ],
)
def test_what_would_be_found(line: str) -> None:
    assert mistaken(line)


def yaml_blocks() -> list[tuple[str, str]]:
    """Page and text of every YAML block."""
    return [
        (str(page.path.relative_to(ROOT)), block.text)
        for page in PAGES
        for block in page.blocks
        if block.language == "yaml"
    ]


WHOLE = [(page, text) for page, text in yaml_blocks() if text.startswith("adapterx: 1\n")]


@pytest.mark.parametrize(("page", "text"), WHOLE, ids=[page for page, _ in WHOLE])
def test_whole_recipes_and_tasks_can_be_read(page: str, text: str, tmp_path: Path) -> None:
    name = re.findall(r"^name: (\S+)$", text, re.MULTILINE)[0]
    path = tmp_path / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    if re.search(r"^format:", text, re.MULTILINE):
        assert find(name, tmp_path).name == name
    else:
        assert read(path).name == name


PARTS = [(page, text) for page, text in yaml_blocks() if not text.startswith("adapterx: 1\n")]


@pytest.mark.parametrize(("page", "text"), PARTS, ids=[page for page, _ in PARTS])
def test_keys_of_parts_are_known(page: str, text: str) -> None:
    """A part of a recipe or of a task has keys that the schema has somewhere."""
    part = YAML(typ="safe").load(text)
    known = {key for schema in (Recipe, TaskSpec) for model in models(schema) for key in fields(model)}
    assert set(part) <= known, sorted(set(part) - known)


def models(schema: type[BaseModel]) -> set[type[BaseModel]]:
    """A schema's models, at every depth."""
    return {model for _, model in keys._places(schema)}


def fields(model: type[BaseModel]) -> list[str]:
    """The keys of a model."""
    return list(keys.fields(model))


@pytest.mark.parametrize("schema", [Recipe, TaskSpec], ids=lambda schema: schema.__name__)
def test_the_reference_names_every_key(schema: type[BaseModel]) -> None:
    """Every key of every model, at every depth, stands in some code of the reference."""
    pages = [page for page in PAGES if page.path.parent == DOCS / "reference"]
    code = " ".join(one for page in pages for one in (*page.code, *(block.text for block in page.blocks)))
    words = set(re.findall(r"\w+", code))
    missing = {f"{model.__name__}.{key}" for model in models(schema) for key in fields(model) if key not in words}
    assert not missing, sorted(missing)


def figure() -> str:
    """Figure 1 of the quickstart's report as a file of its own: white behind it, for dark pages."""
    page = (ROOT / "reports" / "quickstart" / "index.html").read_text(encoding="utf-8")
    (drawn,) = re.findall(r'<figure id="gap">.*?(<svg .*?</svg>)', page, re.DOTALL)
    opened = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="533" height="367" font-family="DejaVu Sans, Arial, sans-serif" '
    )
    head, _, rest = drawn.replace("<svg ", opened, 1).partition(">")
    return f'{head}><rect width="100%" height="100%" fill="#ffffff"/>{rest}\n'


def test_the_readmes_figure_is_that_of_the_report() -> None:
    if os.environ.get("ADAPTERX_WRITE_DOCS") == "1":
        FIGURE.write_text(figure(), encoding="utf-8")
    assert FIGURE.read_text(encoding="utf-8") == figure(), "run this test with ADAPTERX_WRITE_DOCS=1"


def test_the_citation_is_of_this_version() -> None:
    cited = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cited["cff-version"] == "1.2.0" and cited["title"] == project["name"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])


def test_the_hooks_are_the_checks_of_make() -> None:
    """Each runs a tool of the environment, so a commit needs no network."""
    (local,) = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local" and {hook["language"] for hook in local["hooks"]} == {"system"}
    (made,) = re.findall(r"^check: .*\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    hooks = [hook["entry"].replace(" --force-exclude", "") for hook in local["hooks"]]
    assert hooks == [one.replace("$(BIN)/", "").removesuffix(" .") for one in made.split(" && ")]
