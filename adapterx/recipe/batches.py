"""Which examples stand together in a batch, where a training is in several languages or has text beside its tasks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adapterx.config.fields import Languages, Model


class Batches(Model):
    """Batches of one language, and batches whose examples pair languages (Elmahdy et al. 2024, hybrid batches).

    Where an example pairs languages, its first text is in one and its second in another: premise and hypothesis,
    question and passage, query and candidate.
    """

    monolingual: Annotated[float, Field(ge=0.0, le=1.0)]
    """The probability that a batch is of one language; else each of its examples pairs two."""
    languages: Literal["sampling", "uniform"] = "sampling"
    """How the language of a batch, or of a pair's first text, is drawn: by `sampling`, or all alike."""


class Beside(Model):
    """Text that is learnt by masked language modelling in some of the steps, with the same adapter and a head of its
    own (condition (i) of Phang et al. 2020).
    """

    task: Annotated[str, Field(min_length=1, max_length=64)]
    """The text: a task of the format masked-lm."""
    share: Annotated[float, Field(ge=1e-6, le=1 - 1e-6)] = 0.2
    """Its part of all steps, which come at even distances."""
    languages: Languages = ("all",)
    """Of the text: a code, a list, or `all`."""
    source: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Where the text comes from, for tasks that have several sources; the task's first by default."""
