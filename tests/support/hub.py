"""A small hub of models and datasets on this machine, for the real Hub client to talk to.

The id of a dataset begins with `datasets/`, as in its address. A repository is a directory:
`<root>/<id>/<commit>/<files>`, with `<root>/<id>/refs.json` naming the commit of each branch. The client reads
HF_ENDPOINT at import, so it has to run in a process of its own, started with the variables of
`Hub.environment`. `_Handler.routes` and `_Handler.writes` list the routes: methods, a pattern, and a function of the
handler; those that change something are in `hub_writes`,
those that list files in `hub_trees`.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from tests.support import hub_trees, hub_writes

MAIN = "main"


@dataclass(frozen=True)
class Request:
    """One request as it arrived, with the status it was answered with."""

    method: str
    path: str
    status: int
    range: str | None


CUT = 0
"""The status of a failure that answers nothing, and closes the connection."""


@dataclass
class Failure:
    """Answer the next `count` requests of this method whose path matches `pattern` with `status`."""

    method: str
    pattern: str
    status: int
    count: int
    done: bool = False
    """Whether what is asked for is done first, so that its answer alone gets lost."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Hub:
    """The repositories under `root`, and what was asked of them."""

    root: Path
    requests: list[Request] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    private: dict[str, str] = field(default_factory=dict)
    """Token that opens each private repository."""
    gated: set[str] = field(default_factory=set)
    """Repositories whose conditions nobody has accepted."""
    writers: dict[str, str] = field(default_factory=dict)
    """The account of each token that may write."""
    readers: set[str] = field(default_factory=set)
    """Tokens that may read alone."""
    objects: dict[str, bytes] = field(default_factory=dict)
    """What was uploaded apart from git, by its SHA-256."""
    proposals: dict[str, list[str]] = field(default_factory=dict)
    """By repository the titles of its pull requests."""
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By slug."""
    heard: Callable[[Request], None] = lambda request: None
    """Hears of every request before it is answered."""
    endpoint: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    """Held while a repository changes."""

    def commit(self, model: str, files: Mapping[str, bytes | Path], branch: str = MAIN) -> str:
        """Add a commit of exactly these files to a branch, and return its name."""
        content = {name: data if isinstance(data, bytes) else data.read_bytes() for name, data in files.items()}
        refs = self._refs(model)
        digest = hashlib.sha1(f"{branch} {refs.get(branch)}".encode(), usedforsecurity=False)
        for name in sorted(content):
            digest.update(name.encode() + b"\0" + hashlib.sha256(content[name]).digest())
        commit = digest.hexdigest()
        for name, data in content.items():
            path = self.root / model / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (self.root / model / "refs.json").write_text(json.dumps({**refs, branch: commit}))
        return commit

    def commit_directory(self, model: str, directory: Path, branch: str = MAIN) -> str:
        """Add a commit of the files of a directory."""
        files = {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}
        return self.commit(model, files, branch)

    def fail(
        self,
        status: int,
        pattern: str,
        method: str = "GET",
        count: int = 1_000_000,
        *,
        done: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Inject an answer: `count` requests whose path has a match of `pattern` get this status, or none (`CUT`).

        Args:
            done: whether what they ask for is done all the same.
        """
        self.failures.append(Failure(method, pattern, status, count, done, headers or {}))

    def files(self, model: str, revision: str = MAIN) -> dict[str, bytes]:
        """The files of a branch or commit; none where there is no such thing."""
        directory = self.resolve(model, revision)
        found = [] if directory is None else [path for path in directory.rglob("*") if path.is_file()]
        return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found if directory}

    def commits(self, model: str) -> int:
        """How many commits a repository has, those of pull requests among them."""
        return sum(path.is_dir() for path in (self.root / model).iterdir())

    def resolve(self, model: str, revision: str) -> Path | None:
        """The directory of a branch or commit."""
        directory = self.root / model / self._refs(model).get(revision, revision)
        return directory if directory.is_dir() else None

    def has(self, model: str) -> bool:
        """Whether there is such a repository."""
        return bool(self._refs(model))

    def fetched(self) -> set[str]:
        """Names of the files whose content or metadata was asked for."""
        paths = [re.fullmatch(r"/.+/resolve/[^/]+/(.+)", request.path) for request in self.requests]
        return {path[1] for path in paths if path}

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """Variables for a client process that knows no hub but this one."""
        variables = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        return variables | ({"HF_TOKEN": token} if token else {})

    def _refs(self, model: str) -> dict[str, str]:
        try:
            refs: dict[str, str] = json.loads((self.root / model / "refs.json").read_text())
        except OSError:
            return {}
        return refs


@contextmanager
def serve(root: Path) -> Iterator[Hub]:
    """A hub that answers at `Hub.endpoint` until the block ends."""
    hub = Hub(root)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Turns requests into answers. Every answer states its length, so connections stay open as the client likes."""

    protocol_version = "HTTP/1.1"
    hub: ClassVar[Hub]
    _content: bytes = b""
    _failure: Failure | None = None

    def model_info(self, model: str, revision: str | None = None) -> None:
        """Commit and file names of a revision."""
        directory = self._revision(model, revision or MAIN)
        if directory is None:
            return
        files = {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}
        detailed = "blobs" in urlsplit(self.path).query
        id = model.removeprefix("datasets/")
        facts = {
            "_id": id,
            "id": id,
            "modelId": id,
            "sha": directory.name,
            "private": model in self.hub.private,
            "siblings": [
                {"rfilename": name, **(_blob(path) if detailed else {})} for name, path in sorted(files.items())
            ],
        }
        self._answer(200, json.dumps(facts).encode(), {"Content-Type": "application/json"})

    def file(self, model: str, revision: str, name: str) -> None:
        """One file, or the part of it that a Range header asks for."""
        directory = self._revision(model, revision)
        if directory is None:
            return
        path = directory / name
        commit = {"X-Repo-Commit": directory.name}
        if not path.resolve().is_relative_to(directory.resolve()) or not path.is_file():
            self._refuse(404, "EntryNotFound", "Entry not found", commit)
            return
        content = path.read_bytes()
        headers = {**commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            self._answer(200, content, headers)
            return
        start, stop = int(asked[1]), min(int(asked[2] or len(content) - 1) + 1, len(content))
        if start >= stop:
            self._answer(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._answer(206, content[start:stop], headers)

    _MODEL = r"(?P<model>[\w.-]+(?:/[\w.-]+)?)"
    _DATASET = r"(?P<model>datasets/[\w.-]+(?:/[\w.-]+)?)"
    _SLUG = r"(?P<slug>[\w.-]+/[\w.-]+)"
    writes: ClassVar[tuple[tuple[tuple[str, ...], str, Callable[..., None]], ...]] = (
        (("GET",), r"/api/whoami-v2", hub_writes.whoami),
        (("POST",), r"/api/repos/create", hub_writes.create),
        (("DELETE",), r"/api/repos/delete", hub_writes.delete),
        (("POST",), r"/api/validate-yaml", hub_writes.validate_yaml),
        (("POST",), rf"/api/models/{_MODEL}/preupload/(?P<revision>.+)", hub_writes.preupload),
        (("POST",), rf"/{_MODEL}\.git/info/lfs/objects/batch", hub_writes.lfs_batch),
        (("PUT",), r"/objects/(?P<oid>[0-9a-f]{64})", hub_writes.put_object),
        (("POST",), r"/verify", hub_writes.verify),
        (("POST",), rf"/api/models/{_MODEL}/commit/(?P<revision>.+)", hub_writes.commit),
        (("GET",), rf"/api/models/{_MODEL}/discussions", hub_writes.discussions),
        (("POST",), r"/api/collections", hub_writes.create_collection),
        (("GET",), rf"/api/collections/{_SLUG}", hub_writes.get_collection),
        (("POST",), rf"/api/collections/{_SLUG}/items", hub_writes.add_item),
    )
    routes: ClassVar[tuple[tuple[tuple[str, ...], str, Callable[..., None]], ...]] = (
        (("GET",), rf"/api/{_DATASET}/revision/(?P<revision>.+)", model_info),
        (("GET",), rf"/api/{_DATASET}", model_info),
        (("GET",), rf"/api/{_DATASET}/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?", hub_trees.tree),
        (("POST",), rf"/api/{_DATASET}/paths-info/(?P<revision>.+)", hub_trees.paths_info),
        (("GET",), rf"/api/models/{_MODEL}/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?", hub_trees.tree),
        (("GET", "HEAD"), rf"/{_DATASET}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", file),
        (("GET",), rf"/api/models/{_MODEL}/revision/(?P<revision>.+)", model_info),
        (("GET",), rf"/api/models/{_MODEL}", model_info),
        (("GET", "HEAD"), rf"/{_MODEL}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", file),
    )

    def handle_request(self) -> None:
        """Dispatch a request of any method, unless a failure was injected for it."""
        target = unquote(urlsplit(self.path).path)
        self._content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._content = self._chunks()
        self.hub.heard(Request(self.command, target, 0, None))
        self._failure = self._injected(target)
        if self._failure is not None and not self._failure.done:
            self._fail(self._failure)
            return
        for methods, pattern, answer in self.writes:
            match = re.fullmatch(pattern, target)
            if self.command in methods and match:
                with self.hub.writing:
                    answer(self, **match.groupdict())
                return
        for methods, pattern, answer in self.routes:
            match = re.fullmatch(pattern, target)
            if self.command in methods and match:
                if self._may_see(match["model"]):
                    answer(self, **match.groupdict())
                return
        self._refuse(404, None, "no such route")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    @property
    def token(self) -> str:
        """Of whoever asks; empty of nobody."""
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def body(self) -> bytes:
        """What came with the request."""
        return self._content

    def json(self) -> Any:
        """The same as JSON."""
        return json.loads(self._content)

    def writer(self) -> str | None:
        """Whose token it is, if it may write; else refuses."""
        if self.token in self.hub.readers:
            self.refuse(403, None, "You have read access but not the required permissions for this operation")
        elif self.token not in self.hub.writers:
            self.refuse(401, None, "Invalid username or password.")
        return self.hub.writers.get(self.token)

    def answer_json(self, content: Any, status: int = 200) -> None:
        """Answer with JSON."""
        self._answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, code: str | None, message: str) -> None:
        """Answer with an error."""
        self._refuse(status, code, message)

    def _chunks(self) -> bytes:
        """The content of a request that comes in pieces."""
        found = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _fail(self, failure: Failure) -> None:
        if failure.status == CUT:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._failure = None
        self._refuse(failure.status, None, "injected failure", failure.headers)

    def _injected(self, target: str) -> Failure | None:
        with self.hub.lock:
            for failure in self.hub.failures:
                if failure.count and failure.method == self.command and re.search(failure.pattern, target):
                    failure.count -= 1
                    return failure
        return None

    def _may_see(self, model: str) -> bool:
        """Check the token; a private repository looks like a missing one, as on the Hub."""
        given = self.token
        known = {*self.hub.private.values(), *self.hub.writers, *self.hub.readers}
        if given and given not in known:
            self._refuse(401, None, "Invalid credentials in Authorization header")
        elif not self.hub.has(model) or self.hub.private.get(model, given) != given:
            self._refuse(404 if given else 401, "RepoNotFound", "Repository not found")
        elif model in self.hub.gated:
            self._refuse(403, "GatedRepo", "Access to this repository is restricted")
        else:
            return True
        return False

    def _revision(self, model: str, revision: str) -> Path | None:
        directory = self.hub.resolve(model, revision)
        if directory is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return directory

    def _refuse(self, status: int, code: str | None, message: str, extra: Mapping[str, str] | None = None) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(extra or {})}
        self._answer(status, json.dumps({"error": message}).encode(), headers)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        if self._failure is not None:  # done, and its answer gets lost
            self._fail(self._failure)
            return
        path = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.requests.append(Request(self.command, path, status, self.headers.get("Range")))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: `Hub.requests` is the log."""


def _blob(path: Path) -> dict[str, Any]:
    """A file as the Hub lists it, with more of one that is stored apart from git."""
    content = path.read_bytes()
    if not path.name.endswith(hub_writes.APART):
        return {"size": len(content), "blobId": hub_writes.oid(path.name, content)}
    pointer = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    stored = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return {"size": len(content), "blobId": pointer, "lfs": stored}
