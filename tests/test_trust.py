"""What SECURITY.md and docs/reference/dependencies.md promise of the package and of what it is installed with."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "adapterx").rglob("*.py"))
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "kernels"}
"""What reads objects or fetches code; none of it is imported."""
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def _name(node: ast.expr) -> str:
    """A dotted name, or what of it is one."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []


def _true(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is False)


def findings(tree: ast.AST) -> Iterator[str]:
    """Each place at which a module would run what a file says, by line."""
    for node in ast.walk(tree):
        at = f"line {getattr(node, 'lineno', 0)}"
        yield from (f"{at}: imports {one}" for one in _imported(node) if one.partition(".")[0] in MODULES)
        if isinstance(node, ast.Call):
            called = _name(node.func)
            if called in CALLS:
                yield f"{at}: calls {called}"
            given = {one.arg: one.value for one in node.keywords if one.arg}
            for name in ("trust_remote_code", "allow_pickle", "shell"):
                if name in given and _true(given[name]):
                    yield f"{at}: {name}"
            if "weights_only" in given and not (
                isinstance(given["weights_only"], ast.Constant) and given["weights_only"].value is True
            ):
                yield f"{at}: weights_only"
            if called.endswith("torch.load") and "weights_only" not in given:
                yield f"{at}: torch.load"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from yaml import load",
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=False)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "AutoModel.from_pretrained(x, trust_remote_code=trusted)",
        "numpy.load(path, allow_pickle=True)",
        "subprocess.run(text, shell=True)",
        "def f():\n    from kernels import get_kernel",
        "eval(text)",
    ],
)
def test_what_would_be_found(code: str) -> None:
    assert list(findings(ast.parse(code)))


def test_no_file_can_make_the_package_run_its_code() -> None:
    assert len(SOURCES) > 100
    found = [f"{path.relative_to(ROOT)}, {one}" for path in SOURCES for one in findings(ast.parse(path.read_text()))]
    assert not found, "\n".join(found)


def test_one_module_reads_pickles_and_follows_them_first() -> None:
    """`backbones/pickle_tensors.py`, whose files `pickle_files.outlined` has followed opcode by opcode."""
    called = [path.name for path in SOURCES if "torch.load(" in path.read_text()]
    assert called == ["pickle_tensors.py"]


def test_the_package_that_fetches_kernels_is_not_installed() -> None:
    """CVE-2026-4372 of transformers needs it."""
    assert importlib.util.find_spec("kernels") is None
    assert "kernels" not in {name for name, _ in _pins("constraints.txt")}


def _pins(file: str) -> set[tuple[str, str]]:
    """Names and versions, names as an index writes them."""
    found = _PIN.findall((ROOT / file).read_text())
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_what_is_locked_is_what_is_tested_together(lock: str) -> None:
    """`make lock` after a change of constraints.txt; every locked package has a hash."""
    locked = _pins(lock)
    assert len(locked) > 3 and locked <= _pins("constraints.txt"), sorted(locked - _pins("constraints.txt"))
    assert not {name for name, _ in locked if name.startswith(("torch", "nvidia", "cuda", "triton"))}
    for entry in (ROOT / lock).read_text().split("\n\n")[-1].replace("\\\n", "").splitlines():
        assert entry.startswith("#") or "--hash=sha256:" in entry, entry


def test_every_requirement_is_locked() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["adapterhub"]]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~ ;\[]", one)[0]).lower() for one in wanted}
    # Builds of torch differ from index to index, and those with CUDA bring the triton that they are made for.
    assert names - {name for name, _ in _pins("requirements.lock")} == {"torch", "triton"}
    assert {"torch", "triton"} <= {name for name, _ in _pins("constraints.txt")}
