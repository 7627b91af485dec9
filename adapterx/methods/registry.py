"""The methods a recipe can name: what is trained beside the frozen backbone; needs no torch.

A method of this package is a folder here and a line below; one of another package is an entry point of the group
`adapterx.methods`, which names a subclass of `MethodSpec`.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from adapterx.methods.base import Arithmetic, MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.full.spec import Full
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.library.spec import AdaptersMethod, PeftMethod
from adapterx.methods.lora.spec import Lora
from adapterx.methods.probe.spec import Probe
from adapterx.plugins import Plugin, PluginError, plugins

_OWN: tuple[type[MethodSpec], ...] = (Lora, Bottleneck, Ia3, Full, Probe, PeftMethod, AdaptersMethod)
"""The methods of this package, in the order in which messages list them."""


def _kind(spec: type[MethodSpec]) -> str:
    return str(spec.model_fields["kind"].default)


def _spec(plugin: Plugin) -> type[MethodSpec]:
    """The method of an entry point; PluginError for anything else."""
    spec = plugin.loaded
    if not (isinstance(spec, type) and issubclass(spec, MethodSpec)) or _kind(spec) != plugin.name:
        raise PluginError(
            f"{plugin.package} adds the method '{plugin.name}', which is no subclass of"
            " adapterx.methods.base.MethodSpec with that `kind`: upgrade or uninstall the package"
        )
    return spec


_ADDED = plugins("adapterx.methods", [_kind(spec) for spec in _OWN])
KINDS: dict[str, type[MethodSpec]] = {_kind(one): one for one in (*_OWN, *map(_spec, _ADDED))}
"""All methods by the names of their kinds."""
PACKAGES: dict[str, str] = {plugin.name: plugin.package for plugin in _ADDED}
"""Name and version of the package, of the kinds that another package adds."""
UNTRAINED: MethodSpec = Probe()
"""What stands for the method where a backbone is evaluated as it is: it adapts nothing."""
ARITHMETIC: dict[str, Arithmetic] = {one.name: one for spec in KINDS.values() for one in spec.merges}
"""Every way of merging that some method has, in the order of the methods."""


def by_kind(value: Any) -> Any:
    """A mapping without a kind that has a method's own key, as in `{peft: {…}}`, is of that kind."""
    if isinstance(value, dict) and "kind" not in value:
        return next(({"kind": name, **value} for name in KINDS if name in value), value)
    return value


if TYPE_CHECKING:
    Method: TypeAlias = MethodSpec
else:
    Method = Annotated[
        Annotated[reduce(or_, KINDS.values()), Field(discriminator="kind")],
        BeforeValidator(by_kind),
    ]
