"""What the small hub of `hub` answers to those who write: repositories, uploads, commits, proposals, collections."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from tests.support.hub import _Handler

APART = (".safetensors", ".bin", ".parquet")
"""Files that are stored apart from git, by the ends of their names."""


def whoami(self: _Handler) -> None:
    """Whose token it is."""
    name = self.hub.writers.get(self.token)
    if name is None:
        self.refuse(401, None, "Invalid credentials")
        return
    self.answer_json({"name": name, "type": "user", "orgs": [], "auth": {"accessToken": {"role": "write"}}})


def create(self: _Handler) -> None:
    """Make a repository, with what the Hub puts into a new one."""
    asked = self.json()
    owner = self.writer()
    if owner is None:
        return
    id = f"{asked.get('organization') or owner}/{asked['name']}"
    if self.hub.has(id):
        self.answer_json({"error": "You already created this model repo", "url": f"{self.hub.endpoint}/{id}"}, 409)
        return
    self.hub.commit(id, {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
    if asked.get("private"):
        self.hub.private[id] = self.token
    self.answer_json({"url": f"{self.hub.endpoint}/{id}", "name": id})


def delete(self: _Handler) -> None:
    """Delete a repository."""
    asked = self.json()
    owner = self.writer()
    if owner is None:
        return
    id = f"{asked.get('organization') or owner}/{asked['name']}"
    if not self.hub.has(id):
        self.refuse(404, "RepoNotFound", "Repository not found")
        return
    shutil.rmtree(self.hub.root / id)
    self.answer_json({})


def validate_yaml(self: _Handler) -> None:
    """Find nothing wrong with a card's metadata; the client checks them itself."""
    self.json()
    self.answer_json({"errors": [], "warnings": []})


def preupload(self: _Handler, model: str, revision: str) -> None:
    """Say how each file is to be uploaded, and what is there under its name."""
    asked = self.json()
    if self.writer() is None:
        return
    there = self.hub.files(model, revision)
    files = [
        {
            "path": one["path"],
            "uploadMode": "lfs" if one["path"].endswith(APART) else "regular",
            "shouldIgnore": False,
            "oid": oid(one["path"], there[one["path"]]) if one["path"] in there else None,
        }
        for one in asked["files"]
    ]
    self.answer_json({"files": files})


def oid(name: str, content: bytes) -> str:
    """What the Hub calls a content: git's SHA-1, or the SHA-256 of what is stored apart."""
    if name.endswith(APART):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def lfs_batch(self: _Handler, model: str) -> None:
    """Say where each content is to be put that is not there."""
    asked = self.json()
    if self.writer() is None:
        return
    objects: list[dict[str, Any]] = []
    for one in asked["objects"]:
        found = {"oid": one["oid"], "size": one["size"]}
        if one["oid"] not in self.hub.objects:
            href = {"href": f"{self.hub.endpoint}/objects/{one['oid']}"}
            found["actions"] = {"upload": href, "verify": {"href": f"{self.hub.endpoint}/verify"}}
        objects.append(found)
    self.answer_json({"transfer": "basic", "objects": objects})


def put_object(self: _Handler, oid: str) -> None:
    """Take a content."""
    content = self.body()
    if hashlib.sha256(content).hexdigest() != oid:
        self.refuse(400, None, "the content has another SHA-256")
        return
    self.hub.objects[oid] = content
    self.answer_json({})


def verify(self: _Handler) -> None:
    """Say that a content has come whole."""
    known = self.json()["oid"] in self.hub.objects
    self.answer_json({}) if known else self.refuse(404, None, "no such object")


def commit(self: _Handler, model: str, revision: str) -> None:
    """Make a commit, or open a pull request, unless another one has come first."""
    lines = [json.loads(line) for line in self.body().decode().splitlines()]
    if self.writer() is None:
        return
    header = next(line["value"] for line in lines if line["key"] == "header")
    head = self.hub.resolve(model, revision)
    parent = header.get("parentCommit")
    if parent is not None and (head is None or head.name != parent):
        self.refuse(412, None, "A commit has happened since. Please refresh and try again.")
        return
    files = self.hub.files(model, revision)
    for line in lines:
        value = line["value"]
        if line["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            files[value["path"]] = self.hub.objects[value["oid"]]
        elif line["key"] == "deletedFile":
            files.pop(value["path"], None)
    branch, address = revision, None
    if parse_qs(urlsplit(self.path).query).get("create_pr"):
        titles = self.hub.proposals.setdefault(model, [])
        titles.append(header["summary"])
        branch = f"refs/pr/{len(titles)}"
        address = f"{self.hub.endpoint}/{model}/discussions/{len(titles)}"
    made = self.hub.commit(model, files, branch)
    url = f"{self.hub.endpoint}/{model}/commit/{made}"
    self.answer_json({"success": True, "commitUrl": url, "commitOid": made, "pullRequestUrl": address})


def discussions(self: _Handler, model: str) -> None:
    """The pull requests of a repository, all of them open."""
    found = [
        {
            "title": title,
            "num": number,
            "author": {"name": "me"},
            "createdAt": "2026-01-01T00:00:00.000Z",
            "status": "open",
            "repo": {"name": model, "type": "model"},
            "isPullRequest": True,
        }
        for number, title in enumerate(self.hub.proposals.get(model, []), start=1)
    ]
    self.answer_json({"discussions": found, "count": len(found), "start": 0})


def create_collection(self: _Handler) -> None:
    """Make a collection, unless its owner has one of that title."""
    asked = self.json()
    if self.writer() is None:
        return
    slug = f"{asked['namespace']}/{asked['title'].lower().replace(' ', '-')}-0123456789abcdef01234567"
    if slug in self.hub.collections:
        self.answer_json({"error": "exists", "slug": slug}, 409)
        return
    self.hub.collections[slug] = {
        "slug": slug,
        "title": asked["title"],
        "owner": {"name": asked["namespace"]},
        "items": [],
        "lastUpdated": "2026-01-01T00:00:00.000Z",
        "position": 0,
        "private": bool(asked.get("private")),
        "theme": "blue",
        "upvotes": 0,
        "description": asked.get("description"),
    }
    self.answer_json(self.hub.collections[slug])


def get_collection(self: _Handler, slug: str) -> None:
    """A collection with its items."""
    found = self.hub.collections.get(slug)
    self.refuse(404, None, "no such collection") if found is None else self.answer_json(found)


def add_item(self: _Handler, slug: str) -> None:
    """Put a repository into a collection, once."""
    item = self.json()["item"]
    items = self.hub.collections[slug]["items"]
    if any(one["id"] == item["id"] for one in items):
        self.refuse(409, None, "already there")
        return
    items.append({"_id": str(len(items)), "id": item["id"], "type": item["type"], "position": len(items)})
    self.answer_json(self.hub.collections[slug])
