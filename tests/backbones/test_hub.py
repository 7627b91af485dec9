"""Backbones from the Hub, fetched by the real client from a server on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from adapterx.backbones.load import load
from adapterx.backbones.spec import Backbone
from tests.backbones.checkpoints import save
from tests.backbones.pickles import pickled
from tests.models import encoder
from tests.support.hub import Hub, serve

MODEL = "someone/small"
SECRET = "hf_secretsecretsecret"  # noqa: S105  opens nothing but the server here
ANOTHER, EXPIRED = "hf_anotheranother", "hf_expiredexpired"
FETCHED = {"config.json", "tokenizer.json", "model.safetensors"}

DESCRIBE = """
import sys
from adapterx.backbones.describe import describe
from adapterx.backbones.spec import Backbone
try:
    print(describe(Backbone(model=sys.argv[1], revision=sys.argv[2] or None)).key)
except ValueError as error:
    print(f"{type(error).__name__}: {error}")
"""
LOAD = """
import sys
from adapterx.backbones.load import load
from adapterx.backbones.spec import Backbone
try:
    loaded = load(Backbone(model=sys.argv[1], revision=sys.argv[2] or None))
    print(loaded.info.key, loaded.tokenizer_key, sum(p.double().sum().item() for p in loaded.model.parameters()))
except ValueError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the company it keeps on the Hub: pickles, code, other formats, other folders."""
    directory = save(tmp_path_factory.mktemp("checkpoint") / "model")
    (directory / "onnx").mkdir()
    for name in ("pytorch_model.bin", "modeling.py", "README.md", "adapter.safetensors", "onnx/model.safetensors"):
        (directory / name).write_bytes(b"not wanted")
    return directory


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serve(tmp_path / "hub") as running:
        yield running


told_lines: list[str] = []
"""Lines on the error stream of the last process."""


def client(
    hub: Hub, code: str, model: str = MODEL, revision: str = "", token: str | None = None, told: int = 0, **more: str
) -> str:
    """What a fresh process prints; no more than `told` lines come out on its error stream, and no token anywhere."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= hub.environment(hub.root.parent / "a home", token) | more
    answer = subprocess.run(
        [sys.executable, "-c", code, model, revision],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert token is None or token not in answer.stdout + answer.stderr
    told_lines[:] = answer.stderr.splitlines()
    assert len(told_lines) <= told, answer.stderr
    return answer.stdout.strip()


def test_a_branch_means_its_commit_of_the_moment(hub: Hub, checkpoint: Path) -> None:
    first = hub.commit_directory(MODEL, checkpoint)
    assert client(hub, DESCRIBE) == f"hub:{MODEL}@{first}"
    second = hub.commit_directory(MODEL, checkpoint)
    other = hub.commit_directory(MODEL, checkpoint, branch="refs/pr/1")
    assert len({first, second, other}) == 3
    assert client(hub, DESCRIBE) == f"hub:{MODEL}@{second}"
    assert client(hub, DESCRIBE, revision="refs/pr/1") == f"hub:{MODEL}@{other}"
    assert client(hub, DESCRIBE, revision=first) == f"hub:{MODEL}@{first}"
    assert hub.fetched() == {"config.json"}


@pytest.mark.slow
def test_loading_fetches_what_it_needs_and_a_pinned_commit_only_once(tmp_path: Path, checkpoint: Path) -> None:
    with serve(tmp_path / "hub") as hub:
        commit = hub.commit_directory(MODEL, checkpoint)
        first = client(hub, LOAD)
        assert hub.fetched() == FETCHED
    local = load(Backbone(model=str(checkpoint)))
    total = sum(parameter.double().sum().item() for parameter in local.model.parameters())
    assert first == f"hub:{MODEL}@{commit} {local.tokenizer_key} {total}"
    # The server is down now.
    assert client(hub, LOAD, revision=commit) == first
    assert client(hub, LOAD, told=1) == first
    words = (
        f"{MODEL} is read from the local Hub cache, at commit {commit}, which 'main' meant when it was last asked for"
    )
    assert told_lines == [f"the Hub cannot be reached: {words}"]
    assert client(hub, LOAD, told=1, HF_HUB_OFFLINE="1") == first
    assert told_lines == [f"HF_HUB_OFFLINE is set: {words}"]
    unknown = client(hub, DESCRIBE, revision="v1")
    assert unknown.startswith(
        f"UnavailableError: there is no directory '{MODEL}' here, which commit 'v1' of {MODEL} means is not"
    )
    assert "the Hub cannot be reached: name a commit that is in the cache with `revision: COMMIT`" in unknown
    assert unknown.endswith(commit)


@pytest.mark.slow
def test_a_plan_without_its_weights_says_so_when_the_hub_is_gone(tmp_path: Path, checkpoint: Path) -> None:
    with serve(tmp_path / "hub") as hub:
        commit = hub.commit_directory(MODEL, checkpoint)
        key = client(hub, DESCRIBE, revision=commit)
    assert client(hub, DESCRIBE, revision=commit) == key
    assert client(hub, LOAD, revision=commit) == (
        f"UnavailableError: {MODEL} at {commit[:12]} is not whole in the local Hub cache, and the Hub cannot be reached"
    )


@pytest.mark.slow
def test_a_download_cut_short_is_completed(hub: Hub, checkpoint: Path, tmp_path: Path) -> None:
    encoder("xlm-roberta").save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    (tmp_path / "shards" / "tokenizer.json").write_bytes((checkpoint / "tokenizer.json").read_bytes())
    shards = {path.name for path in (tmp_path / "shards").glob("model*")}
    assert len(shards) > 2
    commit = hub.commit_directory(MODEL, tmp_path / "shards")
    last = max(name for name in shards if name.endswith(".safetensors"))
    hub.fail(403, last, method="HEAD")
    assert client(hub, LOAD, revision=commit).startswith(f"HubError: the Hub refuses your login for {MODEL} (403)")
    hub.failures.clear()
    hub.requests.clear()
    assert client(hub, LOAD, revision=commit).startswith(f"hub:{MODEL}@{commit} ")
    fetched = {request.path.rsplit("/", 1)[1] for request in hub.requests if request.method == "GET"}
    assert fetched == {commit, last}


@pytest.mark.parametrize(
    ("model", "revision", "words"),
    [
        ("someone/smal", "", "there is neither a directory 'someone/smal' here nor a model of that name on the Hub"),
        ("small", "", "there is neither a directory 'small' here nor a model of that name on the Hub"),
        (MODEL, "v9", f"{MODEL} has no revision 'v9' on the Hub: give a branch, a tag or a commit"),
        (MODEL, "f" * 40, f"{MODEL} has no revision '{'f' * 40}' on the Hub"),
        (
            MODEL,
            "other-weights",
            f"{MODEL} on the Hub has no model.safetensors but model.pt: save the model again",
        ),
        (MODEL, "slow", f"{MODEL} on the Hub has no tokenizer.json; save its fast tokenizer"),
        (MODEL, "other", f"{MODEL} is of architecture 'bert'; adapterx runs xlm-roberta and xlm-roberta-xl encoders"),
    ],
)
def test_what_is_not_there_is_refused_in_words(
    hub: Hub, checkpoint: Path, model: str, revision: str, words: str
) -> None:
    files: dict[str, bytes | Path] = {name: checkpoint / name for name in (*FETCHED, "pytorch_model.bin")}
    hub.commit(MODEL, files)
    others = {"config.json": files["config.json"], "tokenizer.json": files["tokenizer.json"], "model.pt": b"x"}
    hub.commit(MODEL, others, "other-weights")
    hub.commit(MODEL, {name: files[name] for name in files if name != "tokenizer.json"}, "slow")
    hub.commit(MODEL, {**files, "config.json": b'{"model_type": "bert"}'}, "other")
    assert client(hub, DESCRIBE, model, revision).partition(": ")[2].startswith(words)
    assert hub.fetched() <= {"config.json"}


@pytest.mark.slow
def test_pickles_are_fetched_only_where_there_are_no_safetensors(tmp_path: Path, checkpoint: Path) -> None:
    pickles = pickled(tmp_path / "model", shards=2)
    cache = str(tmp_path / "cache")
    with serve(tmp_path / "hub") as hub:
        commit = hub.commit_directory(MODEL, pickles)
        assert client(hub, DESCRIBE) == f"hub:{MODEL}@{commit}"
        assert hub.fetched() == {"config.json"}
        first = client(hub, LOAD, told=1, ADAPTERX_CACHE=cache)
        assert "has pickled weights only" in told_lines[0]
        assert hub.fetched() == {"config.json", "tokenizer.json"} | {path.name for path in pickles.glob("pytorch_*")}
        both = hub.commit_directory(MODEL, checkpoint)
        hub.requests.clear()
        assert client(hub, LOAD, ADAPTERX_CACHE=cache).startswith(f"hub:{MODEL}@{both} ")
        assert hub.fetched() == FETCHED
    # The server is down now: what is fetched serves, whether or not its conversion is still there.
    assert client(hub, LOAD, revision=commit, ADAPTERX_CACHE=cache) == first
    assert client(hub, LOAD, revision=commit, told=1, ADAPTERX_CACHE=f"{cache} of another") == first


def test_private_repositories_ask_for_a_login(hub: Hub, checkpoint: Path) -> None:
    commit = hub.commit_directory(MODEL, checkpoint)
    hub.private[MODEL] = SECRET
    stranger = client(hub, DESCRIBE)
    assert stranger.startswith("HubError: there is neither a directory")
    assert "if the model is private, log in with `hf auth login`" in stranger
    hub.private["someone/else"] = ANOTHER
    assert client(hub, DESCRIBE, token=ANOTHER) == stranger
    expired = client(hub, DESCRIBE, token=EXPIRED)
    assert expired.startswith(f"HubError: the Hub refuses your login for {MODEL} (401): renew it with `hf auth login`")
    assert client(hub, DESCRIBE, token=SECRET) == f"hub:{MODEL}@{commit}"


@pytest.mark.parametrize("status", [429, 503])
def test_an_ailing_hub_is_not_the_users_fault(status: int, hub: Hub, checkpoint: Path) -> None:
    commit = hub.commit_directory(MODEL, checkpoint)
    hub.fail(status, f"/api/models/{MODEL}", count=1)
    refused = client(hub, DESCRIBE)
    assert f"and the Hub gives no answer now (HTTP status {status}" in refused
    assert "once it is downloaded, a commit that is pinned with `revision: COMMIT`" in refused
    key = f"hub:{MODEL}@{commit}"
    assert client(hub, DESCRIBE) == key
    hub.fail(status, MODEL)
    assert client(hub, DESCRIBE, told=1) == key
    assert f"HTTP status {status}" in told_lines[0] and f"at commit {commit}" in told_lines[0]


def ask(hub: Hub, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(hub.endpoint + path, method=method, headers=headers)  # noqa: S310  our own server
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_the_server_serves_parts_and_keeps_to_its_repositories(hub: Hub) -> None:
    commit = hub.commit(MODEL, {"a/b.txt": b"0123456789"})
    (hub.root / "secret").write_text("secret")
    path = f"/{MODEL}/resolve/main/a/b.txt"
    status, headers, body = ask(hub, path, "HEAD")
    assert (status, headers["X-Repo-Commit"], headers["Content-Length"], body) == (200, commit, "10", b"")
    status, headers, body = ask(hub, path, Range="bytes=4-6")
    assert (status, headers["Content-Range"], body) == (206, "bytes 4-6/10", b"456")
    assert ask(hub, path, Range="bytes=7-")[::2] == (206, b"789")
    assert ask(hub, path, Range="bytes=10-")[0] == 416
    assert ask(hub, f"/{MODEL}/resolve/main/..%2F..%2F..%2Fsecret")[0] == 404
    assert ask(hub, f"/{MODEL}/resolve/main/a")[0] == 404
    assert ask(hub, "/unknown")[0] == 404
    logged: list[Any] = [(request.method, request.status, request.range) for request in hub.requests[:3]]
    assert logged == [("HEAD", 200, None), ("GET", 206, "bytes=4-6"), ("GET", 206, "bytes=7-")]
