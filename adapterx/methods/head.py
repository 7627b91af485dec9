"""Prediction heads: what turns the rows the encoder was asked for into scores and a loss.

Architectures after XLM-R's own heads and AdapterHub's: dense, tanh, output for whole sequences (classification and
multiple choice), one linear layer for tagging and extractive QA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from adapterx.methods import masked_lm
from adapterx.methods.parameters import Parameter, normal, zeros
from adapterx.tasks.kinds.encoding import Format
from adapterx.tasks.kinds.extractive_qa import loss as extractive_qa

LINEAR: tuple[Format, ...] = ("tagging", "extractive-qa")
"""Formats whose head is the output layer alone."""


@dataclass(frozen=True)
class Head:
    """The head of one task.

    Tensors are named `head.<task>.dense.{weight,bias}` and `head.<task>.output.{weight,bias}`.
    """

    task: str
    format: Format
    labels: int
    """Classes of a classification or tagging task; multiple choice scores each choice with one output.

    Extractive QA has no classes but two outputs: how well a token begins an answer, and how well it ends one.
    Of masked language modelling, the tokens of the vocabulary; such a head's tensors and loss are `masked_lm`'s.
    """

    def parameters(self, hidden: int) -> list[Parameter]:
        """The head's tensors for an encoder of this width."""
        if self.format == "masked-lm":
            return masked_lm.parameters(self.prefix, hidden, self.labels)
        outputs = {"multiple-choice": 1, "extractive-qa": extractive_qa.OUTPUTS}.get(self.format, self.labels)
        found = []
        if self.format not in LINEAR:
            found.append(Parameter(f"{self.prefix}dense.weight", (hidden, hidden), normal(0.02)))
            found.append(Parameter(f"{self.prefix}dense.bias", (hidden,), zeros, decays=False))
        found.append(Parameter(f"{self.prefix}output.weight", (outputs, hidden), normal(0.02)))
        found.append(Parameter(f"{self.prefix}output.bias", (outputs,), zeros, decays=False))
        return found

    @property
    def prefix(self) -> str:
        return f"head.{self.task}."

    def scores(self, tensors: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """(R, labels) scores of the R rows read, (R, 1) for multiple choice, (R, 2) for QA. `tensors`: of one cell."""
        if self.format not in LINEAR:
            rows = torch.tanh(linear(rows, tensors[f"{self.prefix}dense.weight"], tensors[f"{self.prefix}dense.bias"]))
        return linear(rows, tensors[f"{self.prefix}output.weight"], tensors[f"{self.prefix}output.bias"])

    def units(self, scores: Tensor, reads: Tensor) -> Tensor:
        """(U, classes): one line per label; of QA, per row. A choice's score becomes a class of its example.

        Args:
            scores: (R, ·) from `scores`.
            reads: (n,) rows read for each of the n examples. An example with fewer choices gets scores of -inf.
        """
        if self.format != "multiple-choice":
            return scores
        example = torch.repeat_interleave(reads)
        choice = torch.arange(len(scores), device=scores.device) - (reads.cumsum(0) - reads)[example]
        table = scores.new_full((len(reads), int(reads.max())), float("-inf"))
        return table.index_put((example, choice), scores[:, 0])

    def loss(self, scores: Tensor, reads: Tensor, labels: Tensor, weights: Tensor, windows: Tensor) -> Tensor:
        """Cross-entropy summed over the labels (words, for tagging) with the weight of each.

        Equal weights that sum to 1 give the mean, as the Hugging Face heads compute it.

        Args:
            windows: (s,) rows read in each sequence, which matters to QA alone.
        """
        if self.format == "extractive-qa":
            return extractive_qa.loss(scores, windows, labels, weights)
        return cross_entropy(self.units(scores, reads), labels, reduction="none") @ weights

    def losses(
        self, tensors: Mapping[str, Tensor], rows: Tensor, labels: Tensor, weights: Tensor, choices: int
    ) -> Tensor:
        """(K,) losses of K cells at once; not of QA, whose windows differ in their rows.

        Args:
            tensors: (K, …), those of every cell.
            rows: (K, R, d) read rows.
            labels: (K, U) gold, U at least R / choices; what lies beyond a cell's own labels has weight 0.
            weights: (K, U).
            choices: read rows per label.
        """
        if self.format not in LINEAR:
            rows = torch.tanh(_linear(rows, tensors, f"{self.prefix}dense"))
        scores = _linear(rows, tensors, f"{self.prefix}output").float()
        units = scores.shape[1] // choices
        if self.format == "multiple-choice":
            scores = scores[:, : units * choices, 0].reshape(len(rows), units, choices)
        losses = cross_entropy(scores.flatten(0, 1), labels[:, :units].flatten(), reduction="none")
        return (losses.view(len(rows), units) * weights[:, :units]).sum(1)


def _linear(rows: Tensor, tensors: Mapping[str, Tensor], name: str) -> Tensor:
    return torch.baddbmm(tensors[f"{name}.bias"][:, None], rows, tensors[f"{name}.weight"].transpose(1, 2))
