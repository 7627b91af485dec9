"""Masked language modelling: text to learn a language from; some of its tokens are hidden, and to be guessed.

`texts` encodes, `head` has the head and its loss (with torch); what is hidden is drawn by `adapterx.engine.masking`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds.base import HeadTensor, Targets, TaskKind

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.sources.rows import Cells

_GUESSED, _GUESSES = 0.15, 256
"""Tokens that are guessed, of all tokens, and at once."""


@dataclass(frozen=True, slots=True)
class TextExample:
    """A text, which is its own answer."""

    id: str
    text: str

    @property
    def labels(self) -> tuple[int, ...]:
        """None: what is to be guessed is drawn whenever the text is seen."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The text."""
        return (self.text,)


class MaskedLM(TaskKind[TextExample]):
    """The tokens that stood where others stand now."""

    __slots__ = ()

    name = "masked-lm"
    example = TextExample
    answers = ()
    required = ("text",)
    readers = ("text",)
    labelled = False
    scored = False
    drawn = True
    unpaired = "running text has no second text"
    alone = True  # the scores of one cell's rows over a whole vocabulary are plenty
    whole_vocabulary = True  # guesses are compared with every token, and any may stand where one is hidden
    portable = False
    untranslated = "text to learn a language from is what its speakers wrote, not a translation"

    def check_splits(self, source: str, splits: Iterable[str]) -> None:
        """Text is learnt from alone."""
        if others := {*splits} - {"train"}:
            raise ValueError(f"{min(others)}: text to learn from has a train split alone")

    def read(self, id: str, cells: Cells) -> TextExample:
        """The text of a row."""
        return TextExample(id, cells.text(cells.columns["text"]))

    def encode(self, examples: Sequence[TextExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
        """Encode texts without reads and labels; a long one becomes several examples."""
        from adapterx.tasks.kinds.masked_lm import texts

        return texts.encode(examples, tokenizer, max_length)

    def size(self, labels: int, vocabulary: int) -> int:
        """The tokens of the vocabulary."""
        return vocabulary

    def tensors(self, hidden: int, size: int) -> tuple[HeadTensor, ...]:
        """Dense layer, norm, and a bias per token; the embeddings stay the encoder's."""
        return (
            HeadTensor("dense.weight", (hidden, hidden)),
            HeadTensor("dense.bias", (hidden,), "zeros", decays=False),
            HeadTensor("norm.weight", (hidden,), "ones", decays=False),
            HeadTensor("norm.bias", (hidden,), "zeros", decays=False),
            HeadTensor("output.bias", (size,), "zeros", decays=False),
        )

    def total(
        self,
        prefix: str,
        tensors: Mapping[str, Tensor],
        rows: Tensor,
        targets: Targets,
        unembed: Callable[[Tensor], Tensor],
        embeddings: Tensor,
    ) -> Tensor:
        """Cross-entropy over the vocabulary. What adapters did to embeddings is undone before they are compared."""
        from adapterx.tasks.kinds.masked_lm import head

        states = unembed(head.transform(prefix, tensors, rows))
        return head.loss(states, embeddings, tensors[f"{prefix}output.bias"], targets.labels, targets.weights)

    def read_share(self, length: int) -> float:
        """Those that are masked, in expectation."""
        return _GUESSED

    def extra_operations(self, hidden: int, vocabulary: int) -> int:
        """Guesses are compared with every token of the vocabulary, there and back."""
        return int(_GUESSED * 4 * hidden * vocabulary)

    def head_numbers(self, hidden: int, outputs: int, reads: int) -> tuple[int, int]:
        """Scores of a block of guesses over the vocabulary, with and without its bias, their softmax, and gradients of
        both. Several blocks are computed again one by one; of a single one the softmax is kept.
        """
        block = min(_GUESSES, reads)
        if reads > block:
            return 4 * reads * hidden, 5 * block * outputs
        return 4 * reads * hidden + block * outputs, 4 * block * outputs
