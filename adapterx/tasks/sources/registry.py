"""The kinds of source that a task's YAML can name; needs no torch.

A kind of this package is a module or a folder here and a line below; one of another package is an entry point of the
group `adapterx.sources`, which names a subclass of `SourceSpec`.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, get_args, get_origin

from pydantic import Field

from adapterx.plugins import Plugin, PluginError, plugins
from adapterx.tasks.sources.base import SourceSpec
from adapterx.tasks.sources.datasets.spec import DatasetsSource
from adapterx.tasks.sources.embedded import EmbeddedSource
from adapterx.tasks.sources.hub.spec import HubSource
from adapterx.tasks.sources.local.spec import LocalSource
from adapterx.tasks.sources.search.spec import SearchSource
from adapterx.tasks.sources.sentences import SentencesSource

_OWN: tuple[type[SourceSpec], ...] = (
    EmbeddedSource,
    LocalSource,
    HubSource,
    DatasetsSource,
    SearchSource,
    SentencesSource,
)
"""The kinds of this package, in the order in which messages list them."""


def _kind(spec: type[SourceSpec]) -> str:
    """The one value of the setting `kind`; empty where it may have others."""
    annotation = spec.model_fields["kind"].annotation
    values = get_args(annotation) if get_origin(annotation) is Literal else ()
    return str(values[0]) if len(values) == 1 else ""


def _spec(plugin: Plugin) -> type[SourceSpec]:
    """The kind of source of an entry point; PluginError for anything else."""
    spec = plugin.loaded
    if not (isinstance(spec, type) and issubclass(spec, SourceSpec)) or _kind(spec) != plugin.name:
        raise PluginError(
            f"{plugin.package} adds the kind of source '{plugin.name}', which is no subclass of"
            f' adapterx.tasks.sources.base.SourceSpec with `kind: Literal["{plugin.name}"]`: upgrade or uninstall'
            " the package"
        )
    return spec


_ADDED = plugins("adapterx.sources", [_kind(spec) for spec in _OWN])
KINDS: dict[str, type[SourceSpec]] = {_kind(one): one for one in (*_OWN, *map(_spec, _ADDED))}
"""All kinds of source by their names."""
PACKAGES: dict[str, str] = {plugin.name: plugin.package for plugin in _ADDED}
"""Name and version of the package, of the kinds that another package adds."""

if TYPE_CHECKING:
    Source: TypeAlias = SourceSpec
else:
    Source = Annotated[reduce(or_, KINDS.values()), Field(discriminator="kind")]
