"""Encoded examples by what they were made of, so that nothing is tokenised twice, be it in another process or week."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path

from adapterx import limits
from adapterx.limits import Limit
from adapterx.store import fingerprint
from adapterx.tasks import stored
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds import encoding

logger = logging.getLogger(__name__)


def token_key(content: str, limit: Limit | None, tokenizer: str, max_length: int) -> str:
    """Names what `encoding.encode` makes of examples; equal keys, equal arrays.

    Args:
        content: fingerprint of one language of one split.
        limit: which of its examples; all where None.
        tokenizer: names the tokenizer's content.
    """
    return fingerprint(
        {
            "content": content,
            "limit": None if limit is None else limit.items,
            **({"sample": limits.VERSION} if limit is not None and limit.sample == "random" else {}),
            "tokenizer": tokenizer,
            "max_length": max_length,
            # The library's own: what a tokenizer's content means has changed between its versions.
            "tokenizers": version("tokenizers"),
            "encoding": encoding.VERSION,
            "layout": stored.LAYOUT,
        }
    )


class TokenCache:
    """Files of encoded examples in a directory, which the first entry creates. Any may be deleted at any time.

    Nothing here fails a run: what cannot be read is made anew, what cannot be written stays in memory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._writable = True

    def path(self, key: str) -> Path:
        """Where an entry lies, whether or not it does yet."""
        return self.directory / f"{key}.safetensors"

    def find(self, key: str) -> Encoded | None:
        """The mapped entry; None, with a warning naming the file, where there is one that cannot be read."""
        try:
            return stored.read(self.path(key), key)
        except FileNotFoundError:
            return None
        except (stored.DamagedEntry, OSError) as error:
            logger.warning("ignoring stored tokens: %s", error)
            return None

    def keep(self, key: str, encoded: Encoded) -> Encoded:
        """Store examples and return them mapped; or as they came, with one warning, where they cannot be stored."""
        if not self._writable:
            return encoded
        try:
            stored.write(self.path(key), encoded, key)
        except OSError as error:
            logger.warning("keeping tokens in memory, since they cannot be stored: %s", error)
            self._writable = False
            return encoded
        found = self.find(key)
        return encoded if found is None else found
