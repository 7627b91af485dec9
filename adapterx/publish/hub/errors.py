"""What is refused in publishing, in words."""

from __future__ import annotations

from adapterx.errors import AdapterxError


class PublishError(AdapterxError, ValueError):
    """Something that cannot be published as asked, worded for the user."""
