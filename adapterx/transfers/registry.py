"""The transfers a recipe can name; a new one is a module here and a line below."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from adapterx.transfers.base import TransferSpec
from adapterx.transfers.continue_ import Continue
from adapterx.transfers.fuse import Fuse
from adapterx.transfers.merge import Merge
from adapterx.transfers.stack import Stack

_ALL: tuple[type[TransferSpec], ...] = (Continue, Stack, Fuse, Merge)
TRANSFERS: dict[str, type[TransferSpec]] = {str(one.model_fields["kind"].default): one for one in _ALL}
"""All of them by the names of their kinds, in the order in which messages list them."""
DEFAULT: TransferSpec = Continue()
"""What a recipe without transfers has."""

if TYPE_CHECKING:
    Transfer: TypeAlias = TransferSpec
else:
    Transfer = Annotated[reduce(or_, _ALL), Field(discriminator="kind")]
