"""The card of a repository: metadata and marked blocks that publishing writes, and text around them that it leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from adapterx.publish.hub.errors import PublishError

_HEAD = re.compile(r"\A---\r?\n(.*?)^---\r?\n?", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(
    r"<!-- adapterx:(?P<name>[a-z-]+) begin -->\n(?P<text>.*?)<!-- adapterx:(?P=name) end -->", re.DOTALL
)


def split(card: str) -> tuple[dict[str, Any], str]:
    """Metadata and text of a card. Raises PublishError where its metadata are no YAML mapping."""
    head = _HEAD.match(card)
    if head is None:
        return {}, card
    try:
        found = YAML(typ="safe", pure=True).load(head[1])
    except YAMLError as error:
        raise PublishError(f"README.md: its metadata are not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict):
        raise PublishError("README.md: its metadata are no mapping: mend what stands between its first two lines '---'")
    return found, card[head.end() :]


def block(name: str, text: str) -> str:
    """A block that publishing may replace."""
    return f"<!-- adapterx:{name} begin -->\n{text.strip()}\n<!-- adapterx:{name} end -->"


def names(text: str) -> list[str]:
    """The names of the blocks in a text."""
    return [found["name"] for found in _BLOCK.finditer(text)]


def card(metadata: Mapping[str, Any], text: str) -> str:
    """A whole card."""
    yaml, head = YAML(typ="rt", pure=True), StringIO()
    yaml.width = 100_000
    yaml.allow_unicode = True
    yaml.default_flow_style = False
    yaml.dump(dict(metadata), head)
    return f"---\n{head.getvalue()}---\n{text.lstrip(chr(10))}"


def updated(existing: str, new: str) -> str:
    """A card that is there already with new metadata and blocks.

    Metadata under other keys, and all text outside the blocks, stay as they are. Blocks that the existing card lacks
    are added at its end, in their order.
    """
    kept, text = split(existing)
    metadata, fresh = split(new)
    blocks = {found["name"]: found[0] for found in _BLOCK.finditer(fresh)}
    text = _BLOCK.sub(lambda found: blocks.get(found["name"], found[0]), text)
    there = names(text)
    missing = [one for name, one in blocks.items() if name not in there]
    joined = "\n\n".join([text.rstrip("\n"), *missing]) + "\n" if missing else text
    return card({**kept, **metadata}, joined)
