"""A small hub of models and datasets on this machine, for the real Hub client to talk to.

The id of a dataset begins with `datasets/`, as in its address. A repository is a directory:
`<root>/<id>/<commit>/<files>`, with `<root>/<id>/refs.json` naming the commit of each branch. The client reads
HF_ENDPOINT at import, so it has to run in a process of its own, started with the variables of
`Hub.environment`. `_Handler.routes` lists the routes: methods, a pattern, and a function of the handler.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

MAIN = "main"


@dataclass(frozen=True)
class Request:
    """One request as it arrived, with the status it was answered with."""

    method: str
    path: str
    status: int
    range: str | None


@dataclass
class Failure:
    """Answer the next `count` requests of this method whose path matches `pattern` with `status`."""

    method: str
    pattern: str
    status: int
    count: int


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
    endpoint: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

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

    def fail(self, status: int, pattern: str, method: str = "GET", count: int = 1_000_000) -> None:
        """Inject an answer: `count` requests whose path has a match of `pattern` get this status."""
        self.failures.append(Failure(method, pattern, status, count))

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
    routes: ClassVar[tuple[tuple[tuple[str, ...], str, Callable[..., None]], ...]] = (
        (("GET",), rf"/api/{_DATASET}/revision/(?P<revision>.+)", model_info),
        (("GET", "HEAD"), rf"/{_DATASET}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", file),
        (("GET",), rf"/api/models/{_MODEL}/revision/(?P<revision>.+)", model_info),
        (("GET",), rf"/api/models/{_MODEL}", model_info),
        (("GET", "HEAD"), rf"/{_MODEL}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", file),
    )

    def handle_request(self) -> None:
        """Dispatch a request of any method, unless a failure was injected for it."""
        target = unquote(urlsplit(self.path).path)
        if status := self._injected(target):
            self._refuse(status, None, "injected failure")
            return
        for methods, pattern, answer in self.routes:
            match = re.fullmatch(pattern, target)
            if self.command in methods and match:
                if self._may_see(match["model"]):
                    answer(self, **match.groupdict())
                return
        self._refuse(404, None, "no such route")

    do_GET = do_HEAD = handle_request

    def _injected(self, target: str) -> int | None:
        with self.hub.lock:
            for failure in self.hub.failures:
                if failure.count and failure.method == self.command and re.search(failure.pattern, target):
                    failure.count -= 1
                    return failure.status
        return None

    def _may_see(self, model: str) -> bool:
        """Check the token; a private repository looks like a missing one, as on the Hub."""
        given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if given and given not in self.hub.private.values():
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
    """A file as the Hub lists one that is stored apart from git."""
    content = path.read_bytes()
    pointer = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    stored = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return {"size": len(content), "blobId": pointer, "lfs": stored}
