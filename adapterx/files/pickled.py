"""Pickled weights of an adapter, as `torch.save` writes them: their tensors alone, read without running code.

The opcodes are followed first (`backbones.pickle_files`), which tells every name and shape. torch opens the file, with
`weights_only=True`, when the first tensor is asked for: by then the shapes are seen to be those of the adapter.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx.backbones.pickle_files import opened
from adapterx.backbones.pickle_tensors import loaded
from adapterx.reading import UnreadableFile

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)
ENDING = ".bin"


class PickledTensors:
    """A file of pickled tensors. Raises FileNotFoundError, and UnreadableFile for what holds anything else.

    `aliases` are the names of tensors that stand in the file under an earlier name too.
    """

    def __init__(self, path: Path) -> None:
        self._file = opened(path)
        tensors = self._file.tensors
        if any(one.bytes > one.storage.bytes for one in tensors.values()):
            raise UnreadableFile("describes more numbers than it holds")
        self.shapes: Mapping[str, tuple[int, ...]] = {name: one.shape for name, one in tensors.items()}
        first = {(one.storage.key, one.shape): name for name, one in reversed(list(tensors.items()))}
        self.aliases: Collection[str] = tensors.keys() - first.values()

    def tensor(self, name: str) -> Tensor:
        """A tensor in its own number format."""
        return self._loaded[name].detach()

    @cached_property
    def _loaded(self) -> Mapping[str, Tensor]:
        _tell(self._file.path)
        return loaded(self._file)


@lru_cache(maxsize=256)
def _tell(path: Path) -> None:
    """A warning, once for each file in a process."""
    logger.warning("%s is pickled: its tensors alone are read, without running code", path)
