"""What a kind of task decides: `TaskKind`, of which each kind is one frozen object. Needs no torch.

Whoever handles tasks asks the object. A new kind is a subclass in a module of its own, listed in
`adapterx.tasks.kinds`, or brought by an installed package under the entry point `adapterx.tasks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks import constancy
from adapterx.tasks.answers import LABELS, AnswerType
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import Example
from adapterx.tasks.kinds.preview import ShownExample, ShownSequence
from adapterx.tasks.kinds.shares import most, shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from adapterx.limits import Limit
    from adapterx.tasks.items import Line
    from adapterx.tasks.sources.entry import Entry
    from adapterx.tasks.sources.rows import Cells, Reading

E = TypeVar("E", bound=Example)
Scores = Sequence[NDArray[np.float32]]
"""Of each example what its head says: (lines of the example, scores in a line)."""


@dataclass(frozen=True)
class HeadTensor:
    """One trainable tensor of a head."""

    name: str
    """`dense.weight`, say."""
    shape: tuple[int, ...]
    start: Literal["normal", "zeros", "ones"] = "normal"
    """What it holds before training; normal has a standard deviation of 0.02."""
    decays: bool = True
    """Whether weight decay applies to it."""


class Targets(Protocol):
    """What the rows that a head reads are to say; all are tensors.

    reads    (n,)       rows of each example
    labels   (labels,)  int64
    weights  (labels,)  share of each label in the loss
    windows  (s,)       rows of each sequence
    """

    @property
    def reads(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def weights(self) -> Tensor: ...
    @property
    def windows(self) -> Tensor: ...


class TaskKind(ABC, Generic[E]):
    """A kind of task with labels for answers; what differs elsewhere, a subclass says.

    Words: a row is one line of a file of examples; a read is a token at which the head looks; a unit is what one label
    is about, be it an example or a word.
    """

    __slots__ = ()

    name: ClassVar[str]
    """What a task's YAML, stored records and exported heads call it under `format`."""
    example: ClassVar[type[Any]]
    """The frozen type of its examples."""
    answers: ClassVar[tuple[AnswerType, ...]] = (LABELS,)
    """The types of its answers. Metrics of these types score it."""
    required: ClassVar[tuple[str, ...]]
    """Fields for which the YAML of a task must name columns."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Fields for which it may."""
    readers: ClassVar[tuple[str, ...]] = ()
    """Readers of local files that no other kind can use."""
    labelled: ClassVar[bool] = True
    """Whether answers are among labels that the YAML lists."""
    scored: ClassVar[bool] = True
    """Whether answers are scored; text to learn from has none."""
    trained: ClassVar[bool] = True
    """Whether something can be trained on it."""
    searched: ClassVar[bool] = False
    """Whether queries are to find candidates: it has sources of its own, and is evaluated without a head."""
    tags: ClassVar[bool] = False
    """Whether each word has a label."""
    passages: ClassVar[bool] = False
    """Whether questions ask about passages: answers may be missing or misplaced, ids name one question everywhere."""
    questions: ClassVar[bool] = False
    """Whether examples can be made of the questions of SQuAD's JSON."""
    drawn: ClassVar[bool] = False
    """Whether what is to be learnt is drawn anew at each step, so that nothing of an example can be kept."""
    coupled: ClassVar[bool] = False
    """Whether the loss of an example rests on the others of its batch, as that of `contrastive` does: a batch that is
    cut into parts is then computed twice."""
    unpaired: ClassVar[str] = "its examples are of one text"
    """Why the two texts of an example cannot be in two languages; empty where they can."""
    alone: ClassVar[bool] = False
    """Whether cells' heads are computed one by one: `losses` is not asked."""
    whole_vocabulary: ClassVar[bool] = False
    """Whether learning it reads the embeddings of all tokens, not of those in its texts alone."""
    per_read: ClassVar[bool] = False
    """Whether each read has a line of scores of its own."""
    dense: ClassVar[bool] = True
    """Whether the head has a dense layer with tanh before its output layer."""
    portable: ClassVar[bool] = True
    """Whether its heads are exported, and answer new items."""
    hub_type: ClassVar[str] = ""
    """What AdapterHub calls such a head."""
    classifier: ClassVar[Mapping[str, str]] = {}
    """Layers of such a head in the models of `transformers`, by their names here; empty where they have none."""
    peft_type: ClassVar[str] = ""
    """What `peft` calls such a model, as `task_type`; empty where `classifier` is."""
    pipeline: ClassVar[str] = ""
    """What the Hub calls such a task."""
    reading: ClassVar[Literal["sequence", "words", "choices", "span"]] = "sequence"
    """What one line of scores is of, for those who load a head elsewhere: a text or a pair of texts; each word; each of
    several choices; the start and the end of an answer in a passage."""
    legend: ClassVar[str] = "«…» is where the head reads"
    """What `adapterx tasks show` says of the marks."""

    # Reading

    def check_splits(self, source: str, splits: Iterable[str]) -> None:
        """Refuse splits that the kind cannot have. Raises ValueError, naming the source of the YAML or the split."""

    @abstractmethod
    def read(self, id: str, cells: Cells) -> Entry:
        """What a row says: an example, or why it is left out. Raises DataError naming the row and the column."""

    def read_all(
        self, reading: Reading, name: str, place: str, row: Mapping[Any, Any], given: tuple[str, str] | None
    ) -> Iterable[Entry]:
        """Everything that one row of a local file says; arguments as of `Reading.entry`."""
        return (reading.entry(name, place, row, given),)

    def side_by_side(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """The examples of rows that name all that belongs to an example, in their order."""
        return entries

    def counts(self, example: E) -> bool:
        """Whether an example is an item that is asked about."""
        return True

    def paired(self, first: E, second: E) -> E | None:
        """An item whose first text is as one language has it and whose second as another; None where the two are not
        alike in all but their language. Not asked where the kind is `unpaired`.
        """
        raise NotImplementedError(f"{self.name} pairs no languages")

    def prefixed(self, example: E, query: str, candidate: str) -> E:
        """An example of retrieval with words before what searches and before what is found."""
        raise NotImplementedError(f"{self.name} has no queries")

    def limited(self, examples: Iterable[E], limit: Limit) -> Iterator[E]:
        """The examples that a limit keeps."""
        from adapterx.limits import smallest

        if limit.sample == "first":
            return islice(examples, limit.items)
        return iter(smallest(examples, limit.items, lambda one: one.id))

    @abstractmethod
    def encode(self, examples: Sequence[E], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
        """Token ids, and the places to read, of examples; no sequence is longer than `max_length` tokens."""

    # The head

    def size(self, labels: int, vocabulary: int) -> int:
        """What `Head.labels` counts, for a task of so many labels on an encoder with so many tokens."""
        return labels

    def outputs(self, size: int) -> int:
        """Scores in a line of the output layer."""
        return size

    def tensors(self, hidden: int, size: int) -> tuple[HeadTensor, ...]:
        """The head's tensors, for an encoder of this width."""
        outputs = self.outputs(size)
        last = (
            HeadTensor("output.weight", (outputs, hidden)),
            HeadTensor("output.bias", (outputs,), "zeros", decays=False),
        )
        if not self.dense:
            return last
        return (
            HeadTensor("dense.weight", (hidden, hidden)),
            HeadTensor("dense.bias", (hidden,), "zeros", decays=False),
            *last,
        )

    def scores(self, prefix: str, tensors: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """(R, o) scores of (R, d) rows that are read. `tensors`: of one cell, whose names begin with `prefix`."""
        from adapterx.tasks.kinds import layers

        return layers.scores(prefix, tensors, rows, self.dense)

    def units(self, scores: Tensor, reads: Tensor) -> Tensor:
        """(U, classes): a line for each label, of (R, o) scores; `reads` (n,) are the rows of each example."""
        return scores

    def loss(self, scores: Tensor, targets: Targets) -> Tensor:
        """The loss of (R, o) scores, summed over the labels with the weight of each: here cross-entropy.

        Equal weights that sum to 1 give the mean, as the heads of Hugging Face compute it.
        """
        from adapterx.tasks.kinds import layers

        return layers.labels_loss(self.units(scores, targets.reads), targets.labels, targets.weights)

    def total(
        self,
        prefix: str,
        tensors: Mapping[str, Tensor],
        rows: Tensor,
        targets: Targets,
        unembed: Callable[[Tensor], Tensor],
        embeddings: Tensor,
    ) -> Tensor:
        """The loss of the (R, d) rows that a cell's head reads.

        Args:
            unembed: undoes what the cell's adapters did to embeddings.
            embeddings: (V, d) of the encoder's tokens.
        """
        return self.loss(self.scores(prefix, tensors, rows), targets)

    def losses(
        self, prefix: str, tensors: Mapping[str, Tensor], rows: Tensor, labels: Tensor, weights: Tensor, reads: int
    ) -> Tensor:
        """(K,) losses of K cells at once; not asked where heads are computed `alone`.

        Args:
            tensors: (K, …), those of every cell.
            rows: (K, R, d) read rows.
            labels: (K, U) gold, U at least R / reads; what lies beyond a cell's own labels has weight 0.
            weights: (K, U).
            reads: rows per label.
        """
        from adapterx.tasks.kinds import layers

        scores = layers.batched_scores(prefix, tensors, rows, self.dense)
        return layers.batched_labels_loss(scores[:, : scores.shape[1] // reads], labels, weights)

    # Answers

    def gold(self, data: Encoded) -> list[Any]:
        """Of each example what is right."""
        return np.split(data.labels, data.example_labels[1:-1])

    def decode(self, data: Encoded, scores: Scores, unanswerable: bool) -> tuple[list[Any], list[NDArray[np.float32]]]:
        """Of each example the answer, and the scores that are stored beside it.

        Args:
            unanswerable: whether there may be no answer.
        """
        return [example.argmax(axis=1).astype(np.int64) for example in scores], list(scores)

    def columns(self, gold: Sequence[Any], prediction: Sequence[Any]) -> dict[str, Any]:
        """The columns `gold` and `prediction` of stored predictions, as pyarrow's arrays: here lists of labels."""
        from adapterx.tasks.kinds.columns import label_lists

        return {"gold": label_lists(gold), "prediction": label_lists(prediction)}

    def prior_loss(self, labels: NDArray[np.int64]) -> float | None:
        """The loss of the best guess that asks no text, in nats of labels; None where guessing has no such loss."""
        return constancy.entropy(np.unique(labels, return_counts=True)[1]) if self.labelled else None

    # Cost, in a plan

    def sequences(self, labels: int) -> int:
        """Token sequences of an example, of a task with so many labels."""
        return 1

    def tokens(self, typical: int, max_length: int, labels: int) -> int:
        """Tokens of an example whose sequences have a typical length before they are cut."""
        return min(max_length, typical) * self.sequences(labels)

    def read_share(self, length: int) -> float:
        """Share of the tokens of a sequence of this length at which the head looks."""
        return 1 / max(1, length)

    def extra_operations(self, hidden: int, vocabulary: int) -> int:
        """Operations per token that come on top of the encoder's."""
        return 0

    def head_numbers(self, hidden: int, outputs: int, reads: int) -> tuple[int, int]:
        """Numbers that a cell's head and loss keep for the backward pass, and hold at once beside them on that way.

        Args:
            outputs: scores of a line of the output layer.
            reads: rows that the head reads in a step.
        """
        return reads * ((hidden if self.dense else 0) + 2 * outputs), reads * 2 * outputs

    # New items

    item_fields: ClassVar[tuple[str, ...]] = ()
    """Fields of a new item that is to be answered."""

    def item(self, id: str, line: Line, labels: Sequence[str]) -> E:
        """A new item. Raises ItemError naming line and field."""
        raise NotImplementedError(f"{self.name} answers no new items")

    def own_scores(self, example: E, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The part of an example's scores that is about it; lines of a batch may be longer than its own."""
        return scores

    def said(
        self, data: Encoded, scores: Scores, labels: Sequence[str], unanswerable: bool
    ) -> Iterator[dict[str, Any]]:
        """The answers to new items, for JSON: `label`, and `scores`, the probability of each label."""
        for example in scores:
            named = shares(example[0], labels)
            yield {"label": most(named), "scores": named}

    # Translation

    untranslated: ClassVar[str] = "the kind of task does not say how an item is put into other words"
    """Why items are not translated; empty where `reworded`, unless there are passages, and `row` are there."""

    def reworded(self, example: E, texts: Sequence[str]) -> E:
        """The item with other texts in place of its `texts`, in their order, and with the same answer."""
        raise NotImplementedError(f"{self.name}: {self.untranslated}")

    def row(self, example: E, labels: Sequence[str]) -> dict[str, Any]:
        """The item as a row of JSON: `id`, and a value for each of the kind's fields that it has."""
        raise NotImplementedError(f"{self.name}: {self.untranslated}")

    # The tasks command

    def preview(self, examples: Iterable[E], count: int) -> list[E]:
        """The examples that `adapterx tasks show` shows, for so many items."""
        return list(islice(examples, count))

    def shown(self, data: Encoded, number: int, labels: Sequence[str]) -> ShownExample:
        """One encoded example with its marks."""
        own = data.labels[slice(*data.example_labels[number : number + 2].tolist())].tolist()
        answer = labels[own[0]] if labels and len(own) == 1 else ""
        return ShownExample(answer, self._shown_sequences(data, number))

    def _shown_sequences(self, data: Encoded, number: int) -> tuple[ShownSequence, ...]:
        """The sequences of an example, marked where the head reads."""
        reads = data.read_tokens[slice(*data.example_reads[number : number + 2].tolist())].tolist()
        first, last = data.example_sequences[number : number + 2].tolist()
        found = []
        for place in range(first, last):
            tokens = range(*data.sequence_offsets[place : place + 2].tolist())
            found.append(ShownSequence(tokens, {token: "" for token in reads if token in tokens}))
        return tuple(found)

    # Files of other libraries

    def hub_config(self, labels: int) -> dict[str, Any]:
        """What AdapterHub's head_config.json says of such a head beside layers and labels; also what it has to say."""
        return {"num_labels": self.outputs(labels)}

    def is_hub_head(self, config: Mapping[str, Any]) -> bool:
        """Whether a head_config.json of AdapterHub's describes such a head."""
        return self.portable and config.get("head_type") == self.hub_type

    hub_count: ClassVar[str] = "num_labels"
    """The key of head_config.json that counts labels."""

    def is_classifier(self, outputs: int) -> bool:
        """Whether a head with the layers of `classifier` and so many outputs is one of this kind."""
        return bool(self.classifier)

    by_label: ClassVar[bool] = True
    """Whether the outputs follow the order of the labels."""

    def is_stored_head(self, labels: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether a stored training's head looks like one of this kind.

        Asked of evaluations by versions that did not store which kind they are of, when there were four with a head.
        """
        return False
