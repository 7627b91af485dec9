"""What a pickle of tensors would make, followed opcode by opcode: nothing is made or run, torch is not imported.

`torch.save` writes a dictionary of tensors with few opcodes and fewer names (protocol 2; torch's own reader of such
files is `torch/_weights_only_unpickler.py`). All else is refused by name before torch opens the file: code, objects of
any class, and calls that torch lets pass although a few of their bytes fill the memory, such as `bytearray(10**12)` or
copies of dictionaries. What is followed here takes memory in proportion to the pickle's length.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from adapterx.reading import MEGABYTE, UnreadableFile
from adapterx.wording import plain, shown

LARGEST_PICKLE = 4 * MEGABYTE
"""Bytes of opcodes that are followed: those of ten billion parameters take about two hundred thousand."""
LONGEST_NAME = 200
"""Characters of a tensor's name; an encoder's longest have about sixty."""
_MOST_DIMENSIONS = 8
_MOST_ATTRIBUTES = 16
"""Of a dictionary: `state_dict` has one, `_metadata`."""

_FORMATS = {
    "DoubleStorage": ("F64", 8),
    "FloatStorage": ("F32", 4),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
    "ComplexDoubleStorage": ("C128", 16),
    "ComplexFloatStorage": ("C64", 8),
    "QInt8Storage": ("quantised I8", 1),
    "QUInt8Storage": ("quantised U8", 1),
    "QInt32Storage": ("quantised I32", 4),
}
"""torch's class of stored numbers: safetensors' name of the number format, and its bytes."""
_ORDERED, _TENSOR, _PARAMETER = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
)
"""What may be called."""
_OTHER_TENSORS = {
    "torch._utils _rebuild_qtensor": "a quantised tensor",
    "torch._utils _rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils _rebuild_nested_tensor": "a nested tensor",
    "torch._utils _rebuild_meta_tensor_no_storage": "a tensor without numbers (of the device meta)",
    "torch._utils _rebuild_tensor_v3": "a tensor of a number format that no encoder is stored in",
    "torch._tensor _rebuild_from_type_v2": "a tensor of a class of its own",
}


@dataclass(frozen=True)
class StorageOutline:
    """Numbers that lie end to end in a file; tensors are views of them."""

    key: str
    kind: str
    """safetensors' name of the number format."""
    number_bytes: int
    count: int

    @property
    def bytes(self) -> int:
        return self.count * self.number_bytes


@dataclass(frozen=True)
class TensorOutline:
    """A tensor as a pickle describes it, within the bounds of its storage."""

    storage: StorageOutline
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.storage.number_bytes


@dataclass(frozen=True)
class _Callable:
    """A name that stands for something to be called: the module, a space, the name."""

    name: str


@dataclass(frozen=True)
class _StorageClass:
    kind: str
    number_bytes: int


class PickleOutline:
    """Follows one pickle of a stream, which is left at its end.

    Raises UnreadableFile for what is no dictionary of tensors, or something as plain, and for what is damaged.

    Attributes:
        result: what the pickle would make; dictionaries and tuples are themselves.
        storages: by key, all that its tensors are views of.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.storages: dict[str, StorageOutline] = {}
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        try:
            self.result = self._follow(stream)
        except UnreadableFile:
            raise
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError):
            raise UnreadableFile("holds a damaged pickle: fetch it again") from None

    def _follow(self, stream: BinaryIO) -> Any:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                break
            step = _STEPS.get(opcode.name)
            if step is None:
                raise UnreadableFile(f"holds objects that are no tensors (the pickle's opcode {opcode.name})")
            step(self, argument)
        (result,) = self._stack
        return result

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _global(self, name: str) -> None:
        module, _, last = name.partition(" ")
        if module == "torch" and last in _FORMATS:
            self._push(_StorageClass(*_FORMATS[last]))
        elif name in (_ORDERED, _TENSOR, _PARAMETER):
            self._push(_Callable(name))
        elif name in _OTHER_TENSORS:
            raise UnreadableFile(f"holds {_OTHER_TENSORS[name]}, and plain ones are needed: take the original weights")
        else:
            raise UnreadableFile(
                f"names {plain(f'{module}.{last}')}, which is code and no tensor, so nothing of the file is read: "
                "save the model's state_dict() alone, with torch.save or save_pretrained"
            )

    def _persistent(self, _: object) -> None:
        """A storage: ("storage", class, key, device, count), and None in files of the old kind."""
        word, kind, key, _device, count, *view = self._stack.pop()
        known = isinstance(kind, _StorageClass) and isinstance(key, str) and type(count) is int and count >= 0
        if word != "storage" or not known or view not in ([], [None]):
            raise UnreadableFile("holds stored numbers that are not as torch.save writes them")
        storage = StorageOutline(key, kind.kind, kind.number_bytes, count)
        if self.storages.setdefault(key, storage) != storage:
            raise UnreadableFile(f"describes the stored numbers {shown(key)} in two ways")
        self._push(storage)

    def _reduce(self, _: object) -> None:
        arguments = self._stack.pop()
        called = self._stack.pop()
        if not isinstance(called, _Callable) or not isinstance(arguments, tuple):
            raise UnreadableFile("calls what cannot be called")
        self._push(_CALLS[called.name](*arguments))

    def _build(self, _: object) -> None:
        """Attributes of a dictionary, which nobody reads: `state_dict` has some."""
        attributes = self._stack.pop()
        if not isinstance(self._stack[-1], dict) or not isinstance(attributes, dict):
            raise UnreadableFile("gives attributes to something that is no dictionary")
        if len(attributes) > _MOST_ATTRIBUTES:
            raise UnreadableFile(f"gives a dictionary {len(attributes)} attributes")

    def _mark(self, _: object) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        self._stack[len(self._stack) - count :] = [tuple(self._stack[len(self._stack) - count :])]

    def _set(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], dict) or len(items) % 2:
            raise TypeError
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | None):
                raise UnreadableFile("has a dictionary whose keys are no names")
            if key in self._stack[-1]:
                raise UnreadableFile(f"names {shown(key)} twice")
            self._stack[-1][key] = value

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise TypeError
        self._stack[-1].extend(items)


def _made_dictionary() -> dict[Any, Any]:
    """An OrderedDict begins empty: the entries follow."""
    return {}


def _made_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, _gradient: Any, hooks: Any, metadata: Any = None
) -> TensorOutline:
    """The arguments of torch's `_rebuild_tensor_v2`; offset and strides count numbers."""
    if not isinstance(storage, StorageOutline) or hooks != {} or metadata:
        raise UnreadableFile("holds a tensor that is not as torch.save writes it")
    if not all(_counts(numbers) for numbers in (shape, strides, (offset,))) or len(shape) != len(strides):
        raise UnreadableFile(f"holds a tensor whose shape is {shown(shape)} and whose strides are {shown(strides)}")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    count = math.prod(shape)
    if count > storage.count or (count and last >= storage.count) or offset > storage.count:
        raise UnreadableFile(
            f"holds a tensor of shape {shown(shape)} over {storage.count} stored numbers, so it is not whole, or made "
            "to be larger than it is"
        )
    return TensorOutline(storage, shape)


def _counts(numbers: object) -> bool:
    """Whether these are a few whole numbers from 0 on that the machine can count with."""
    return (
        isinstance(numbers, tuple)
        and len(numbers) <= _MOST_DIMENSIONS
        and all(type(one) is int and 0 <= one < 2**62 for one in numbers)
    )


def _made_parameter(tensor: Any, _gradient: Any, hooks: Any) -> TensorOutline:
    if not isinstance(tensor, TensorOutline) or hooks != {}:
        raise UnreadableFile("holds a parameter that is not as torch.save writes it")
    return tensor


_CALLS: Mapping[str, Callable[..., Any]] = {
    _ORDERED: _made_dictionary,
    _TENSOR: _made_tensor,
    _PARAMETER: _made_parameter,
}
Step = Callable[[PickleOutline, Any], None]
_STEPS: Mapping[str, Step] = {
    "PROTO": lambda it, _: None,
    "GLOBAL": PickleOutline._global,
    "BINPERSID": PickleOutline._persistent,
    "REDUCE": PickleOutline._reduce,
    "BUILD": PickleOutline._build,
    "MARK": PickleOutline._mark,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), PickleOutline._put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda it, place: it._push(it._memo[place])),
    "EMPTY_TUPLE": lambda it, _: it._push(()),
    "EMPTY_LIST": lambda it, _: it._push([]),
    "EMPTY_DICT": lambda it, _: it._push({}),
    "TUPLE": lambda it, _: it._push(tuple(it._marked())),
    "TUPLE1": lambda it, _: it._tuple(1),
    "TUPLE2": lambda it, _: it._tuple(2),
    "TUPLE3": lambda it, _: it._tuple(3),
    "APPEND": lambda it, _: it._extend([it._stack.pop()]),
    "APPENDS": lambda it, _: it._extend(it._marked()),
    "SETITEM": lambda it, _: it._set([it._stack.pop(-2), it._stack.pop()]),
    "SETITEMS": lambda it, _: it._set(it._marked()),
    "NONE": lambda it, _: it._push(None),
    "NEWTRUE": lambda it, _: it._push(True),
    "NEWFALSE": lambda it, _: it._push(False),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"), PickleOutline._push
    ),
}
"""What torch's reader knows too, less what dictionaries of tensors do without."""


def tensors(found: Any) -> dict[str, TensorOutline]:
    """The tensors of a dictionary by name. Raises UnreadableFile for anything else, saying what was found."""
    if not isinstance(found, dict):
        raise UnreadableFile(f"holds {_kind(found)}, and no dictionary of tensors")
    for name, value in found.items():
        if not isinstance(value, TensorOutline):
            raise UnreadableFile(_nested(found, name, value))
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
            raise UnreadableFile(f"names a tensor {shown(name)}, and no encoder's tensor has such a name")
    return found


def _kind(value: object) -> str:
    if isinstance(value, TensorOutline):
        return "a tensor"
    named: Mapping[type, str] = {dict: "a dictionary", list: "a list", tuple: "a tuple", str: "a text"}
    return named.get(type(value)) or shown(value)


def _nested(found: Mapping[Any, Any], name: object, value: object) -> str:
    entries = ", ".join(shown(one, 30) for one in list(found)[:3])
    inner = next((key for key, one in found.items() if isinstance(one, dict)), None)
    way = "save the model's state_dict() alone"
    if inner is not None:
        way = f"save what is under {shown(inner, 30)} alone, if it is the model's state_dict()"
    return (
        f"holds {_kind(value)} under {shown(name, 30)}, and no tensor (its entries are {entries}"
        f"{', …' if len(found) > 3 else ''}): {way}"
    )
