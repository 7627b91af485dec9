"""The tensors of a pickled file, once its opcodes have been followed (`pickle_files`)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from adapterx.backbones.pickle_files import PickledFile
from adapterx.faults import is_out_of_memory
from adapterx.reading import UnreadableFile
from adapterx.wording import shown

if TYPE_CHECKING:
    from torch import Tensor


def loaded(file: PickledFile) -> Mapping[str, Tensor]:
    """The tensors by name, mapped into memory where the file can be.

    Raises UnreadableFile where torch reads something else than was found, and what the system raises. torch's own
    messages are not passed on: they advise to read the file with its code.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(file.path, map_location="cpu", weights_only=True, mmap=file.mapped)
    except OSError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UnreadableFile("is not as torch.save writes it: fetch it again") from None
    for name, outline in file.tensors.items():
        tensor = found.get(name) if isinstance(found, dict) else None
        if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != outline.shape:
            raise UnreadableFile(f"means one thing to torch and another to its own directory: {shown(name)}")
    return found  # type: ignore[no-any-return]
