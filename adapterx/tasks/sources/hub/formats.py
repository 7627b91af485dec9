"""How a file of a dataset on the Hub is read: parquet, or as text, with the readers of local files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from adapterx.tasks.sources import files
from adapterx.tasks.sources.errors import EmptyFile
from adapterx.tasks.sources.files import Row

Reader = Literal["parquet", "csv", "tsv", "jsonl", "json"]
"""By the ends of names; all but parquet may be compressed (`.gz`)."""
PARQUET = ".parquet"
ENDINGS = (PARQUET, *(f".{name}{packed}" for name in get_args(Reader)[1:] for packed in ("", ".gz")))
"""The ends of the names of all files that can be read."""
_READERS: Mapping[str, Callable[[Path, str], Iterator[tuple[str, Row]]]] = {
    "csv": files.comma_separated,
    "tsv": files.tab_separated,
    "tsv without quotes": files.titled,
    "jsonl": files.json_lines,
    "json": files.json_rows,
}


@dataclass(frozen=True)
class TextFormat:
    """One way to read rows of a text file."""

    name: str
    """Part of identities: the same file read in another way has other rows."""

    def rows(self, path: Path, name: str) -> Iterator[tuple[str, Row]]:
        """Every row with its place, by line; of a JSON array by item. Raises DataError.

        Args:
            name: what messages call the file.
        """
        return _READERS[self.name](path, name)

    def count(self, path: Path, name: str) -> int:
        """Rows of a file, by reading them; 0 of one that lacks even the names of its columns."""
        try:
            return sum(1 for _ in self.rows(path, name))
        except EmptyFile:
            return 0


def ending(path: str) -> str:
    """The end of a file's name, of those that can be read; empty of others."""
    return next((one for one in ENDINGS if path.endswith(one)), "")


def text_format(path: str, reader: Reader | None, quotes: bool) -> TextFormat | None:
    """How a file is read, None where it is parquet.

    Args:
        path: its name.
        reader: what the source says of it; None where its name tells.
        quotes: whether marks around a cell of tab-separated values are none of its text.
    """
    name = reader or ending(path).removesuffix(".gz").removeprefix(".")
    if name == "parquet":
        return None
    return TextFormat("tsv without quotes" if name == "tsv" and not quotes else name)
