"""Examples as text, before any tokenizer has seen them, as far as all kinds of task have them in common."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Split: TypeAlias = Literal["train", "dev", "test"]


class Example(Protocol):
    """One item of a task; `adapterx.tasks.kinds` has a frozen type for each kind."""

    @property
    def id(self) -> str:
        """Names the underlying item, so in a parallel task it is the same in every language."""
        ...

    @property
    def labels(self) -> tuple[int, ...]:
        """The gold answer as places among the task's labels; none where answers are no labels."""
        ...

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that the item says, its answer apart."""
        ...
