"""How many files of adapterx name each method, transfer, kind of task, source and precision, outside its own.

    python -m tools.touch_count [--out FILE]

A file names a kind where it imports its class, asks `isinstance` of it or mentions the class at all, or holds its name
as a text that is compared, looked up or listed. Documentation and texts that are messages do not count: only texts that
are the name and nothing else. What a new kind of the same sort would have to touch is about as many files.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "adapterx"


@dataclass(frozen=True)
class Kind:
    """Something of which there may be more one day."""

    names: tuple[str, ...]
    """The texts by which recipes and stored files call it."""
    classes: tuple[str, ...]
    """The classes that stand for it."""
    own: tuple[str, ...]
    """Files and folders under the package that are about it alone."""


KINDS: Mapping[str, Mapping[str, Kind]] = {
    "method": {
        "lora": Kind(("lora",), ("Lora", "LoraAdapters"), ("methods/lora",)),
        # A fusion is attention over bottlenecks: what mixes them knows them.
        "bottleneck": Kind(
            ("bottleneck",), ("Bottleneck", "BottleneckAdapters"), ("methods/bottleneck", "methods/fusion")
        ),
        "ia3": Kind(("ia3",), ("Ia3", "Ia3Adapters"), ("methods/ia3",)),
        "full": Kind(("full",), ("Full",), ("methods/full",)),
        # As texts `head`, `peft` and `adapters` name other things too: parts of a state, libraries, their packages.
        "head": Kind((), ("Probe",), ("methods/probe",)),
        "library": Kind((), ("PeftMethod", "AdaptersMethod", "LibraryMethod"), ("reference", "methods/library")),
    },
    "transfer": {
        "continue": Kind(("continue",), ("Continue",), ("transfers/continue_.py",)),
        "stack": Kind(("stack",), ("Stack",), ("transfers/stack.py",)),
        # As texts `fuse` is a command too, and `merge` the key of a random stream.
        "fuse": Kind((), ("Fuse",), ("transfers/fuse.py",)),
        "merge": Kind((), ("Merge",), ("transfers/merge.py",)),
    },
    "kind of task": {
        "pair-classification": Kind(
            ("pair-classification",), ("PairExample",), ("tasks/kinds/pair_classification.py",)
        ),
        "tagging": Kind(("tagging",), ("TaggingExample",), ("tasks/kinds/tagging.py",)),
        "multiple-choice": Kind(("multiple-choice",), ("ChoiceExample",), ("tasks/kinds/multiple_choice.py",)),
        "regression": Kind(("regression",), ("ScoredPair",), ("tasks/kinds/regression.py",)),
        "extractive-qa": Kind(("extractive-qa",), ("QAExample",), ("tasks/kinds/extractive_qa",)),
        "masked-lm": Kind(("masked-lm",), ("TextExample",), ("tasks/kinds/masked_lm",)),
        "retrieval": Kind(("retrieval",), ("RetrievalExample",), ("tasks/kinds/retrieval.py",)),
    },
    "source": {
        "embedded": Kind(("embedded",), ("EmbeddedSource",), ("tasks/sources/embedded.py",)),
        "local": Kind(("local",), ("LocalSource", "Files"), ("tasks/sources/local",)),
        "hub": Kind(("hub",), ("HubSource", "HubRows"), ("tasks/sources/hub",)),
        # As a text `datasets` names the library too.
        "datasets": Kind((), ("DatasetsSource", "DatasetsRows"), ("tasks/sources/datasets",)),
        # As a text `search` names what a stage of retrieval is told too.
        "search": Kind((), ("SearchSource", "Sides"), ("tasks/sources/search",)),
        "sentences": Kind(("sentences",), ("SentencesSource",), ("tasks/sources/sentences.py",)),
    },
    "precision": {
        "float32": Kind(("float32",), ("Float32",), ("backbones/precisions/float32.py",)),
        # The prefix cache rounds to it too (`recipe.schema.Rounding`).
        "bfloat16": Kind(("bfloat16",), ("BFloat16",), ("backbones/precisions/bfloat16.py",)),
    },
}


def _foreign(node: ast.Attribute) -> bool:
    """Whether a name is one of a library's own, of which AdapterHub's has a `Stack` and a `Fuse`."""
    return isinstance(node.value, ast.Name) and node.value.id == "library"


def named(tree: ast.AST, kind: Kind) -> bool:
    """Whether a file names a kind."""
    return any(
        (isinstance(node, ast.Constant) and node.value in kind.names)
        or (isinstance(node, ast.Name) and node.id in kind.classes)
        or (isinstance(node, ast.Attribute) and node.attr in kind.classes and not _foreign(node))
        or (isinstance(node, ast.alias) and node.name.rpartition(".")[2] in kind.classes)
        for node in ast.walk(tree)
    )


REGISTRIES = (
    "methods/registry.py",
    "transfers/registry.py",
    "tasks/sources/registry.py",
    "backbones/precisions/__init__.py",
)
"""Where a new kind has a line of its own."""


def outside(kind: Kind, trees: Mapping[str, ast.AST]) -> list[str]:
    """The files that name a kind and are not its own."""
    return [
        path
        for path, tree in trees.items()
        if path not in REGISTRIES
        and not any(path == own or path.startswith(f"{own}/") for own in kind.own)
        and named(tree, kind)
    ]


def trees() -> dict[str, ast.AST]:
    """The files of the package, by their path below it."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def lines() -> Iterator[str]:
    """The page."""
    found = trees()
    yield "# Files that name each kind, outside its own"
    yield ""
    yield f"By `python -m tools.touch_count`, of {len(found)} files."
    for what, kinds in KINDS.items():
        yield ""
        yield f"| {what} | files | which |"
        yield "|---|---:|---|"
        for name, kind in kinds.items():
            files = outside(kind, found)
            yield f"| {name} | {len(files)} | {', '.join(f'`{path}`' for path in files)} |"


def main() -> None:
    """Print the page, or write it to a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    page = "\n".join(lines()) + "\n"
    if args.out is None:
        sys.stdout.write(page)
    else:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
