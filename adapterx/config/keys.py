"""The keys that a schema knows at each place, read from its types, and what other programs call them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

from adapterx.config.problems import Location, did_you_mean

Pattern = tuple[str, ...]
"""A location as pydantic gives it, with `*` for names of the user's and places in a list."""

_ELSEWHERE = {
    "r": "rank",
    "lora_r": "rank",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "modules": "target_modules",
    "layers_to_transform": "layers",
    "non_linearity": "activation",
    "bottleneck_size": "width",
    "bottleneck_dim": "width",
    "adapter_size": "width",
    "lr": "learning_rate",
    "lrs": "learning_rates",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "max_steps": "steps",
    "num_train_steps": "steps",
    "per_device_train_batch_size": "batch_size",
    "train_batch_size": "batch_size",
    "max_seq_length": "max_length",
    "max_seq_len": "max_length",
    "cutoff_len": "max_length",
    "warmup": "warmup_ratio",
    "clip_grad_norm": "max_grad_norm",
    "gradient_clipping": "max_grad_norm",
    "eval_steps": "every",
    "early_stopping_patience": "patience",
    "max_samples": "limit",
    "max_train_samples": "limit",
    "max_eval_samples": "limit",
    "model_name_or_path": "model",
    "checkpoint": "model",
    "path": "model",
    "dtype": "load",
    "torch_dtype": "load",
    "lang": "languages",
    "langs": "languages",
    "dataset": "task",
    "datasets": "tasks",
    "models": "backbones",
    "encoders": "backbones",
    "adapters": "methods",
    "training": "train",
    "evaluation": "evaluate",
    "exclude": "skip",
    "classes": "labels",
    "type": "kind",
}
"""Keys of other programs, and what they are called here; told where ours is known at the same place."""

_KINDS_ELSEWHERE = {
    "pfeiffer": "{kind: bottleneck}",
    "seq_bn": "{kind: bottleneck}",
    "adapter": "{kind: bottleneck}",
    "sequential": "{kind: bottleneck}",
    "houlsby": "{kind: bottleneck, placement: double}",
    "double_seq_bn": "{kind: bottleneck, placement: double}",
    "double": "{kind: bottleneck, placement: double}",
    "par_bn": "{kind: bottleneck, placement: parallel}",
    "parallel": "{kind: bottleneck, placement: parallel}",
    "seq_bn_inv": "{kind: bottleneck, invertible: nice}",
    "madx": "{kind: bottleneck, invertible: nice}",
    "rslora": "{kind: lora, use_rslora: true}",
    "dora": "{peft: {peft_type: DORA}}",
    "vera": "{peft: {peft_type: VERA}}",
    "compacter": "{adapters: compacter}",
    "prefix_tuning": "{adapters: prefix_tuning}",
    "prefix": "{adapters: prefix_tuning}",
    "mam": "{adapters: mam}",
    "unipelt": "{adapters: unipelt}",
    "probe": "{kind: head}",
    "linear_probe": "{kind: head}",
    "finetune": "{kind: full}",
    "fine_tuning": "{kind: full}",
    "full_finetuning": "{kind: full}",
    "ft": "{kind: full}",
}
"""Names of methods in papers and libraries, and how a recipe writes them."""


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a mapping by their keys, which are their names but where a key is a word of Python's."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def known(schema: type[BaseModel], location: Location) -> list[str]:
    """The keys of the mapping at a location, [] where there is none of a fixed shape."""
    found = [fields(model) for pattern, model in _places(schema) if _matches(pattern, location)]
    return list(dict.fromkeys(name for keys in found for name in keys))


def kinds(schema: type[BaseModel], location: Location) -> list[str]:
    """The values of `kind` that tell the alternatives at a location apart."""
    found = [(pattern[-1], model) for pattern, model in _places(schema) if _matches(pattern[:-1], location)]
    return [tag for tag, model in found if "kind" in model.model_fields]


def untagged(schema: type[BaseModel], location: Location) -> Location:
    """A location without the tag that pydantic names in it, where the alternative has a key of the same name."""
    for end in range(1, len(location) + 1):
        tag = str(location[end - 1])
        if any(_matches(pattern, location[:end]) and tag in fields(model) for pattern, model in _tagged(schema)):
            return (*location[: end - 1], *location[end:])
    return location


def _tagged(schema: type[BaseModel]) -> Iterator[tuple[Pattern, type[BaseModel]]]:
    """The alternatives that bear a tag."""
    places = _places(schema)
    keys = {(*pattern, name) for pattern, model in places for name in fields(model)}
    return ((pattern, model) for pattern, model in places if pattern and pattern[-1] != "*" and pattern not in keys)


def _matches(pattern: Pattern, location: Location) -> bool:
    return len(pattern) == len(location) and all(
        part in ("*", str(given)) for part, given in zip(pattern, location, strict=True)
    )


def hint(schema: type[BaseModel], location: Location, key: str) -> str:
    """What to say of an unknown key: what it is called here, the nearest key, those there are, or where it belongs."""
    keys = known(schema, location)
    if (ours := _ELSEWHERE.get(key.lower())) in keys:
        return f"here it is called '{ours}'"
    if found := did_you_mean(key, keys):
        return found
    owners = [pattern for pattern, model in _places(schema) if key in fields(model)]
    if not owners:
        return ""
    highest = min(owners, key=len)
    return f"it is a key of {'.'.join(highest)}"


def method_hint(kind: object, known: Iterable[str]) -> str:
    """What to say of an unknown kind of method."""
    written = _KINDS_ELSEWHERE.get(str(kind).lower().replace("-", "_"))
    return f"write {written}" if written else did_you_mean(kind, known)


@lru_cache(maxsize=8)
def _places(schema: type[BaseModel]) -> tuple[tuple[Pattern, type[BaseModel]], ...]:
    """Every mapping of fixed keys in a schema with its pattern; alternatives that are told apart by a tag bear it."""
    return tuple(_walk(schema, ()))


def _walk(annotation: Any, pattern: Pattern) -> Iterator[tuple[Pattern, type[BaseModel]]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _walk(arguments[0], pattern)
    elif origin in (Union, types.UnionType):
        for one in arguments:
            tag = _tag(one) if len([other for other in arguments if other is not types.NoneType]) > 1 else None
            yield from _walk(one, pattern if tag is None else (*pattern, tag))
    elif origin is dict:
        yield from _walk(arguments[1], (*pattern, "*"))
    elif origin in (tuple, list):
        for one in dict.fromkeys(argument for argument in arguments if argument is not Ellipsis):
            yield from _walk(one, (*pattern, "*"))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield pattern, annotation
        for name, field in fields(annotation).items():
            yield from _walk(field.annotation, (*pattern, name))


def _tag(annotation: Any) -> str | None:
    """What pydantic calls an alternative in its locations: its tag, or the value of its `kind`."""
    if get_origin(annotation) is Annotated:
        return next((one.tag for one in annotation.__metadata__ if isinstance(one, Tag)), None)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and "kind" in annotation.model_fields:
        kind = annotation.model_fields["kind"].annotation
        if get_origin(kind) is Literal:
            return str(get_args(kind)[0])
    return None
