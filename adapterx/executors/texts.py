"""Which texts a stage reads: said here alone, for whoever reads them and for whoever asks before. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from adapterx.limits import Limit
from adapterx.plan import Adoption, Evaluation, Stage, Training
from adapterx.store import fingerprint
from adapterx.tasks import data as catalog
from adapterx.tasks import pairing
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind
from adapterx.tasks.spec import TaskSpec
from adapterx.tasks.token_cache import token_key


@dataclass(frozen=True)
class ReadTexts:
    """One split of a part of a task; equal ones come to the same tokens, by the same tokenizer."""

    part: TaskPart
    split: str
    limit: Limit | None
    """Which items of each language; all where None."""
    max_length: int
    """Tokens of a sequence."""
    paired: bool = False
    """Whether the second text of each example is in another of the languages than the first."""
    prefixes: tuple[str, str] = ("", "")
    """Of retrieval: words before every query, and before every candidate."""

    def stored_as(self, language: str, spec: TaskSpec, tokenizer: str) -> str:
        """The key under which the tokens of a language are stored.

        Args:
            spec: of the part's task.
            tokenizer: names the tokenizer's content.
        """
        languages = list(self.part.languages) if self.paired else [language]
        content = catalog.fingerprint(spec, self.part.source, {self.split: languages})
        if self.paired:
            content = fingerprint({"content": content, "first": language, "version": pairing.VERSION})
        if any(self.prefixes):
            content = fingerprint({"content": content, "prefixes": list(self.prefixes)})
        return token_key(content, self.limit, tokenizer, self.max_length)


def learnt_texts(part: TaskPart, work: Training) -> ReadTexts:
    """What is trained on."""
    compared = work.contrastive if kind(part.format).coupled else None
    prefixes = ("", "") if compared is None else (compared.query_prefix, compared.candidate_prefix)
    return ReadTexts(part, "train", work.train.limit, work.train.max_length, prefixes=prefixes)


def paired_texts(part: TaskPart, work: Training) -> ReadTexts | None:
    """What is trained on with the second text in another language, where that is asked for."""
    wanted = work.paired and not kind(part.format).drawn
    return replace(learnt_texts(part, work), paired=True) if wanted else None


def stopping_texts(part: TaskPart, work: Training) -> ReadTexts | None:
    """The dev items by which a training stops early, if it does."""
    stopping = work.train.early_stopping if kind(part.format).scored else None
    return None if stopping is None else ReadTexts(part, "dev", stopping.evaluated, work.train.max_length)


def pruning_texts(part: TaskPart, work: Training) -> ReadTexts | None:
    """The dev items by which candidates leave, where there are candidates."""
    prune = work.train.prune if kind(part.format).scored else None
    return None if prune is None else ReadTexts(part, "dev", prune.limit, work.train.max_length)


def weighing_texts(part: TaskPart, member: Training, limit: Limit | None) -> ReadTexts:
    """The dev items of what a member of a merger learnt, cut as its training cut its texts."""
    return ReadTexts(part, "dev", limit, member.train.max_length)


def tested_texts(work: Evaluation, trained: Training) -> ReadTexts:
    """What is answered, cut as the training cut its texts."""
    return ReadTexts(work.task, "test", work.limit, trained.train.max_length)


def searched_texts(work: Evaluation, spec: TaskSpec) -> Mapping[str, ReadTexts]:
    """The queries and candidates of a search, by split."""
    assert work.search is not None
    # Where languages are searched for each other's, the queries that do not ask still say what is relevant.
    limit = work.limit if spec.pool == "own" else None
    length, prefixes = work.search.max_length, (work.search.query_prefix or "", work.search.candidate_prefix or "")
    limits = {split: limit if split == "test" else None for split in spec.scored}
    return {split: ReadTexts(work.task, split, of, length, prefixes=prefixes) for split, of in limits.items()}


def of_stage(stage: Stage, stages: Mapping[str, Stage], spec: Callable[[str], TaskSpec]) -> Iterator[ReadTexts]:
    """Everything that a stage reads.

    Args:
        stages: of the plan, by id.
        spec: the task of a name.
    """
    if isinstance(stage.work, Training):
        yield from _of_training(stage, stage.work, stages)
    elif isinstance(stage.work, Adoption):
        return  # an adapter from elsewhere is read, and no text
    elif stage.work.search is not None:
        yield from searched_texts(stage.work, spec(stage.work.task.task)).values()
    else:
        yield tested_texts(stage.work, _training(stages[stage.inputs[0]]))


def _of_training(stage: Stage, work: Training, stages: Mapping[str, Stage]) -> Iterator[ReadTexts]:
    for part in work.tasks:
        asked = (learnt_texts, paired_texts, stopping_texts, pruning_texts)
        yield from (texts for ask in asked if (texts := ask(part, work)) is not None)
    if work.transfer is not None and work.transfer.tunes:
        for id, parts in zip(stage.inputs, work.member_dev, strict=True):
            yield from (weighing_texts(part, _training(stages[id]), work.transfer.tuned_on) for part in parts)


def _training(stage: Stage) -> Training:
    assert isinstance(stage.work, Training)
    return stage.work
