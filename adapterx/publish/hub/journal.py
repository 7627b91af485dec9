"""The journal of a publication: what became of each repository, so that an interrupted one goes on where it was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from adapterx.publish.hub.errors import PublishError
from adapterx.reading import UnreadableFile, read_json
from adapterx.store import write_json
from adapterx.wording import plain

NAME = "journal.json"
_LARGEST = 50_000_000
_VERSION = 1


@dataclass(frozen=True)
class JournalEntry:
    """One repository."""

    stage: str = ""
    """Id of the stage that its scores are of."""
    checked: str = ""
    """Digest of the folder that its library has last answered with as it should."""
    uploaded: str = ""
    """Digest of the folder that is on the Hub."""
    commit: str = ""
    pull_request: str = ""
    files: tuple[str, ...] = ()
    """Names of the uploaded files."""


@dataclass
class Journal:
    """All repositories of one run or directory, written after each change."""

    path: Path
    entries: dict[str, JournalEntry] = field(default_factory=dict)
    collection: str = ""
    """Its slug."""

    @classmethod
    def of(cls, folders: Path) -> Journal:
        """The journal beside the folders; empty where there is none. PublishError for one that cannot be read."""
        path = folders / NAME
        try:
            content = read_json(path, _LARGEST)
        except FileNotFoundError:
            return cls(path)
        except UnreadableFile as error:
            raise PublishError(f"{path} {error}: delete it, and nothing but time is lost") from None
        try:
            return cls(path, {id: _entry(one) for id, one in content["repositories"].items()}, content["collection"])
        except (KeyError, TypeError, AttributeError) as error:
            raise PublishError(
                f"{path} is not what publishing writes ({plain(str(error))}): delete it, and nothing but time is lost"
            ) from None

    def entry(self, id: str) -> JournalEntry:
        """What is known of a repository."""
        return self.entries.get(id, JournalEntry())

    def note(self, id: str, **changes: Any) -> None:
        """Change what is known of a repository."""
        self.entries[id] = replace(self.entry(id), **changes)
        self.save()

    def forget(self, id: str) -> None:
        """Forget a repository that has been deleted."""
        self.entries.pop(id, None)
        self.save()

    def save(self) -> None:
        """Write it, whole or not at all."""
        entries = {id: {**asdict(one), "files": list(one.files)} for id, one in sorted(self.entries.items())}
        write_json(self.path, {"adapterx": _VERSION, "repositories": entries, "collection": self.collection})


def _entry(content: dict[str, Any]) -> JournalEntry:
    return JournalEntry(**{**content, "files": tuple(content["files"])})
