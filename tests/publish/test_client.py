"""One repository on a hub that loses answers, asks for patience, or has been written to meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapterx.hub import HubError
from adapterx.publish.hub import client
from adapterx.publish.hub.client import Remote, RemoteHead
from tests.support.hub import CUT, Hub, serve
from tests.support.hub_client import talking

TOKEN = "hf_" + "a" * 30
COMMIT = "/commit/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with serve(tmp_path_factory.mktemp("hub")) as hub:
        hub.writers[TOKEN] = "me"
        yield hub


@pytest.fixture
def hub(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("adapterx.publish.hub.waiting._FIRST", 0.01)
    server.failures.clear()
    server.requests.clear()
    with talking(server, tmp_path / "home", TOKEN):
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A card and weights."""
    out = tmp_path / "folder"
    (out / "members").mkdir(parents=True)
    (out / "README.md").write_text("# mine\n")
    (out / "adapter_model.safetensors").write_bytes(b"weights")
    (out / "members" / "adapter_model.safetensors").write_bytes(b"more weights")
    return out


NAMES = ["README.md", "adapter_model.safetensors", "members/adapter_model.safetensors"]


def asked(hub: Hub, what: str, method: str = "POST") -> int:
    return sum(what in request.path and request.method == method for request in hub.requests)


def test_what_differs_is_committed_once(hub: Hub, folder: Path) -> None:
    remote = Remote("me/once")
    assert remote.head() is None
    first = remote.send(folder, NAMES, "first")
    assert first.how == "new" and hub.files("me/once")["README.md"] == b"# mine\n"
    assert remote.send(folder, NAMES, "first").how == "unchanged" and asked(hub, COMMIT) == 1
    (folder / "README.md").write_text("# theirs\n")
    (folder / "members" / "adapter_model.safetensors").unlink()
    second = remote.send(folder, NAMES[:2], "second", gone=[NAMES[2]])
    assert second.how == "changed" and sorted(hub.files("me/once")) == [".gitattributes", *NAMES[:2]]
    assert hub.files("me/once")["README.md"] == b"# theirs\n"
    assert asked(hub, "/preupload/") == 2 and asked(hub, "/api/repos/create") == 1


@pytest.mark.parametrize("done", [False, True], ids=["refused", "answer-lost"])
@pytest.mark.parametrize("status", [503, 429, CUT])
@pytest.mark.parametrize("where", ["/api/repos/create", "/preupload/", COMMIT])
def test_nothing_is_doubled_where_the_hub_fails(hub: Hub, folder: Path, where: str, status: int, done: bool) -> None:
    id = f"me/again-{where.strip('/').rpartition('/')[2]}-{status}-{done}"
    hub.fail(status, where, "POST", count=2, done=done, headers={"Retry-After": "0"})
    Remote(id).send(folder, NAMES, "message")
    assert {name: hub.files(id)[name] for name in NAMES} == {name: (folder / name).read_bytes() for name in NAMES}
    assert hub.commits(id) == 2  # that of the new repository, and ours


def test_contents_are_uploaded_again(hub: Hub, folder: Path) -> None:
    hub.fail(503, "/objects/", "PUT", count=1)
    assert Remote("me/contents").send(folder, NAMES, "message").how == "new"


def test_somebody_else_commits_first(hub: Hub, folder: Path) -> None:
    remote = Remote("me/others")
    remote.send(folder, NAMES, "first")
    (folder / "README.md").write_text("# changed\n")
    heard: list[RemoteHead] = []

    def meddle(request: object) -> None:
        if COMMIT in request.path and not heard:  # type: ignore[attr-defined]
            hub.heard = lambda request: None
            hub.commit("me/others", {**hub.files("me/others"), "notes.txt": b"of others"})

    hub.heard = meddle
    assert remote.send(folder, NAMES, "second", renewed=heard.append).how == "changed"
    assert len(heard) == 1 and "notes.txt" in heard[0].files
    assert hub.files("me/others")["notes.txt"] == b"of others"
    assert hub.files("me/others")["README.md"] == b"# changed\n"


def test_a_change_is_proposed_once(hub: Hub, folder: Path) -> None:
    remote = Remote("me/proposed")
    remote.send(folder, NAMES, "first")
    (folder / "README.md").write_text("# proposed\n")
    hub.fail(CUT, COMMIT, "POST", count=1, done=True)
    sent = remote.send(folder, NAMES, "second (abc)", propose=True)
    assert (sent.how, hub.proposals["me/proposed"]) == ("proposed", ["second (abc)"])
    assert sent.pull_request.endswith("/me/proposed/discussions/1")
    assert hub.files("me/proposed")["README.md"] == b"# mine\n"
    assert hub.files("me/proposed", "refs/pr/1")["README.md"] == b"# proposed\n"


REFUSED = {
    401: "refuses your login for me/refused",
    403: "refuses your login for me/refused",
    409: r"does not take the change of me/refused \(409\)",
    413: r"does not take the change of me/refused \(413\)",
}


@pytest.mark.parametrize("status", REFUSED)
def test_what_the_hub_refuses_is_told(hub: Hub, folder: Path, status: int) -> None:
    hub.fail(status, COMMIT, "POST")
    with pytest.raises(HubError, match=REFUSED[status]) as caught:
        Remote("me/refused").send(folder, NAMES, "message")
    assert TOKEN not in str(caught.value) and asked(hub, COMMIT) == 1


def test_a_token_that_only_reads(hub: Hub, folder: Path, tmp_path: Path) -> None:
    hub.readers.add("hf_reads")
    with talking(hub, tmp_path / "other", "hf_reads"), pytest.raises(HubError, match="refuses your login"):
        Remote("me/read-only").send(folder, NAMES, "message")
    assert not hub.has("me/read-only")


def test_patience_has_an_end(hub: Hub) -> None:
    hub.fail(500, "/api/models/me/never")
    with pytest.raises(HubError, match="HTTP status 500"):
        Remote("me/never").head()
    assert asked(hub, "/api/models/me/never", "GET") == 7


def test_a_collection_holds_each_once(hub: Hub, folder: Path) -> None:
    ids = ["me/one", "me/two"]
    for id in ids:
        Remote(id).send(folder, NAMES[:1], "message")
    hub.fail(503, "/items", "POST", count=1, done=True)
    slug = client.collection("me", "My grid", "words", ids[:1], private=False)
    assert client.collection("me", "My grid", "words", ids, private=False) == slug
    assert [item["id"] for item in hub.collections[slug]["items"]] == ids


def test_who_is_logged_in(hub: Hub, tmp_path: Path) -> None:
    assert client.user() == "me"
    with talking(hub, tmp_path / "nobody"):
        assert client.user() is None


def test_a_repository_is_deleted(hub: Hub, folder: Path) -> None:
    Remote("me/gone").send(folder, NAMES, "message")
    assert Remote("me/gone").delete() and not hub.has("me/gone")
    assert not Remote("me/gone").delete()
