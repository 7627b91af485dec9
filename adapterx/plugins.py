"""What installed packages add: methods, kinds of task, metrics and data sources, by their entry points.

A package names what it adds in its metadata, under one of the groups `adapterx.methods`, `adapterx.tasks`,
`adapterx.metrics` and `adapterx.sources`. What it computes is no part of this package's versions, so whatever uses it
has the package's name and version in its identity.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import entry_points

from adapterx.errors import AdapterxError
from adapterx.wording import plain


class PluginError(AdapterxError, ValueError):
    """Something of an installed package that cannot be used, worded for the user."""


@dataclass(frozen=True)
class Plugin:
    """What one entry point names."""

    name: str
    loaded: object
    package: str
    """Name and version of the distribution, as in `lora-xs 1.2`: part of the identity of what uses it."""


def plugins(group: str, taken: Collection[str]) -> tuple[Plugin, ...]:
    """Everything that installed packages add to a group, in the order of names.

    Args:
        taken: names that are in use, which no package may give another meaning.

    Raises PluginError for a name that is taken, or claimed twice, and for what cannot be imported.
    """
    found: dict[str, Plugin] = {}
    for point in sorted(entry_points(group=group), key=lambda one: (one.name, one.value)):
        package = "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
        where = f"{package} (entry point {group}: {plain(point.name)})"
        if point.name in taken:
            raise PluginError(f"{where} adds '{plain(point.name)}', which adapterx has itself: uninstall the package")
        if point.name in found:
            raise PluginError(
                f"{where} adds '{plain(point.name)}', which {found[point.name].package} adds too: uninstall one of them"
            )
        try:
            loaded = point.load()
        # Whatever its code runs into concerns the package alone.
        except Exception as error:
            text = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise PluginError(f"{where} cannot be loaded: {plain(text)}; upgrade or uninstall the package") from error
        found[point.name] = Plugin(point.name, loaded, package)
    return tuple(found.values())
