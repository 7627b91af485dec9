"""Which modules a configuration of `peft` means, as `peft.tuners.tuners_utils.check_target_module_exists` decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterx.backbones.modules import MODULE_PATH, Module
from adapterx.files.errors import FormatError
from adapterx.files.patterns import Pattern, PatternError
from adapterx.files.settings import texts
from adapterx.wording import shown

Target = tuple[int, Module]
"""A linear layer: the encoder's layer that it is in, and which of its modules."""


def name_of(target: Target) -> str:
    """What the encoder calls a linear layer."""
    layer, module = target
    return f"encoder.layer.{layer}.{MODULE_PATH[module]}"


def targets(path: Path, config: Mapping[str, Any], depth: int, stem: str) -> tuple[Target, ...]:
    """The linear layers that a configuration means; FormatError where there are none.

    Args:
        stem: what the names of the encoder's modules begin with in the model that was adapted.
    """
    is_target = _targets(path, config, depth)
    every: list[Target] = [(layer, module) for layer in range(depth) for module in MODULE_PATH]
    found = tuple(one for one in every if is_target(f"{stem}{name_of(one)}", one[0]))
    if not found:
        raise FormatError(
            f"{path}: target_modules {shown(config.get('target_modules'))} name no linear layer of the encoder"
        )
    return found


def matched(path: Path, config: Mapping[str, Any], depth: int, stem: str) -> tuple[tuple[Module, ...], tuple[int, ...]]:
    """The modules and layers that a configuration means, each module in each layer; arguments as of `targets`."""
    found = targets(path, config, depth, stem)
    modules, layers = spanned(found)
    if len(found) != len(layers) * len(modules):
        raise FormatError(f"{path}: target_modules differ from layer to layer; adapterx has the same in every layer")
    return modules, layers


def spanned(found: Sequence[Target]) -> tuple[tuple[Module, ...], tuple[int, ...]]:
    """The modules and the layers that occur."""
    modules: tuple[Module, ...] = tuple(sorted({module for _, module in found}))
    return modules, tuple(sorted({layer for layer, _ in found}))


def _targets(path: Path, config: Mapping[str, Any], depth: int) -> Callable[[str, int], bool]:
    """Whether the library adapts a module, by its name and layer.

    A name of a list that is a module's whole name means it in whichever layer it is; of expressions and of endings
    `layers_to_transform` chooses the layers only where it is given, and of expressions never.
    """
    targets, excluded = config.get("target_modules"), config.get("exclude_modules")
    if not targets:
        raise FormatError(f"{path}: target_modules is {shown(targets)}; it should name the adapted modules")
    meant = naming(path, "target_modules", targets)
    left_out = naming(path, "exclude_modules", excluded) if excluded not in (None, [], "") else None
    by_layer = _chosen_layers(path, config, depth)
    in_full = frozenset(targets) if isinstance(targets, list) else frozenset()

    def is_target(key: str, layer: int) -> bool:
        if (left_out is not None and left_out(key)) or not meant(key):
            return False
        return isinstance(targets, str) or key in in_full or by_layer is None or layer in by_layer

    return is_target


def _chosen_layers(path: Path, config: Mapping[str, Any], depth: int) -> frozenset[int] | None:
    """What `layers_to_transform` and `layers_pattern` choose; None for all layers."""
    chosen, patterns = config.get("layers_to_transform"), config.get("layers_pattern")
    layers = [chosen] if type(chosen) is int else chosen
    if layers is not None and not (isinstance(layers, list) and all(type(layer) is int for layer in layers)):
        raise FormatError(f"{path}: layers_to_transform is {shown(chosen)}; it should be a list of whole numbers")
    names = texts([] if patterns in (None, "") else [patterns] if isinstance(patterns, str) else patterns)
    if names is None or not all(name.replace("_", "a").isalnum() for name in names):
        raise FormatError(f"{path}: layers_pattern is {shown(patterns)}; it should be a name, or a list of names")
    if not layers:
        return None
    if max(layers) >= depth:
        raise FormatError(f"{path}: layers_to_transform {shown(chosen)} do not fit an encoder of {depth} layers")
    return frozenset(layers) if "layer" in (names or ["layer"]) else frozenset()


def naming(path: Path, setting: str, given: object) -> Callable[[str], bool]:
    """Whether a setting means a module: a list of names and of what follows a dot in them, or a regular expression."""
    if isinstance(given, str):
        return _expression(path, setting, given)
    names = texts(given)
    if names is None:
        raise FormatError(
            f"{path}: {setting} is {shown(given)}; it should be a list of module names, or a regular expression"
        )
    known = frozenset(names)
    return lambda key: any(ending in known for ending in _endings(key))


def _expression(path: Path, setting: str, given: str) -> Callable[[str], bool]:
    if setting == "target_modules" and given.lower() == "all-linear":
        return lambda key: True

    def refused(error: PatternError) -> FormatError:
        return FormatError(f"{path}: {setting} {shown(given)} {error}")

    try:
        pattern = Pattern(given)
    except PatternError as error:
        raise refused(error) from None

    def matches(key: str) -> bool:
        try:
            return pattern.fullmatch(key)
        except PatternError as error:
            raise refused(error) from None

    return matches


def _endings(key: str) -> Iterator[str]:
    """`a.b.c`, `b.c`, `c`."""
    yield key
    while "." in key:
        key = key.partition(".")[2]
        yield key
