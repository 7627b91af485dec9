"""The peers: Hugging Face's `Trainer` with `peft`, and `AdapterTrainer`, fed the batches of one of our cells.

Trainers are used as they come. What is set: no logging, no checkpoints, the order of the batches, and initial weights.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from tools.bench import ours, shapes
from tools.bench.data import LONGEST, Texts, languages, pool
from tools.bench.session import Job, Pace, Session

GROUPED_TEXTS = 2048
"""Grouping by length needs a pool of many batches."""
QUIET: dict[str, Any] = {
    "remove_unused_columns": False,
    "label_names": ["labels"],
    "report_to": "none",
    "logging_strategy": "no",
    "save_strategy": "no",
    "disable_tqdm": True,
}
"""Settings of a trainer that only trains."""


def work(job: Job, session: Session) -> None:
    """Be a peer of a variant until the session ends."""
    model = _model(job)
    _start_from_ours(model, job)
    if job.variant.work == "train":
        _train(model, job, session)
    else:
        _evaluate(model, job, session)


# Models


def _model(job: Job) -> Any:
    import torch

    dtype = torch.bfloat16 if job.device == "cuda" else torch.float32
    model = shapes.classifier(shapes.SHAPES[job.variant.shape], job.contender.dropout, job.device, dtype)
    if job.contender.load in ("int8", "nf4"):
        shapes.stored(model.roberta, job.contender.load, rest=False)
        # What `peft` asks a model for before it adapts quantised layers.
        setattr(model, "is_loaded_in_8bit" if job.contender.load == "int8" else "is_loaded_in_4bit", True)
    model = _with_peft(model, job) if job.contender.library == "peft" else _with_adapters(model, job)
    if job.contender.autocast:
        # Frozen weights stay in bf16, which spares autocast their conversion in every step.
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    return model


def _with_peft(model: Any, job: Job) -> Any:
    from peft import LoraConfig, get_peft_model

    top = job.variant.layers
    depth = shapes.SHAPES[job.variant.shape].layers
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=8,
        lora_alpha=16,
        lora_dropout=0.0,
        target_modules=["query", "value"],
        layers_to_transform=None if top is None else list(range(depth - top, depth)),
        layers_pattern=None if top is None else "layer",
    )
    return get_peft_model(model, config, autocast_adapter_dtype=job.contender.autocast)


def _with_adapters(model: Any, job: Job) -> Any:
    import adapters

    adapters.init(model)
    if job.variant.method == "lora":
        config: Any = adapters.LoRAConfig(r=8, alpha=16, dropout=0.0)
    else:
        config = adapters.AdapterConfig.load("seq_bn", reduction_factor=16)
    model.add_adapter("cell", config=config)
    model.train_adapter("cell")
    return model


def _start_from_ours(model: Any, job: Job) -> None:
    """Copy the weights that our first cell starts from."""
    modules = dict(model.named_modules())
    peft = job.contender.library == "peft"
    for name, tensor in ours.adapter_tensors(job.variant, ours.SEED).items():
        parameter = lora_parameter(modules, name) if peft else _hub_parameter(modules, name, job)
        parameter.data.copy_(tensor)
    head = modules["base_model.model.classifier"].modules_to_save["default"] if peft else model.classifier
    set_head(head, ours.head_tensors(job.variant, ours.SEED))


def set_head(head: Any, tensors: dict[str, Any]) -> None:
    """Copy the tensors of our head into Hugging Face's."""
    places = {"dense": head.dense, "output": head.out_proj}
    for name, tensor in tensors.items():
        module, kind = name.split(".")
        getattr(places[module], kind).data.copy_(tensor)


def lora_parameter(modules: dict[str, Any], name: str) -> Any:
    """The parameter of a `peft` model that our LoRA tensor of this name becomes."""
    path, matrix = name.rsplit(".", 1)
    return getattr(modules[f"base_model.model.roberta.{path}"], matrix)["default"].weight


def _hub_parameter(modules: dict[str, Any], name: str, job: Job) -> Any:
    path, end = f"roberta.{name}".rsplit(".", 1)
    if job.variant.method == "lora":
        return getattr(modules[path].loras["cell"], end)
    path, place = path.split(".adapter.")
    adapter = modules[path].adapters["cell"]
    return getattr(adapter.adapter_down[0] if place == "down" else adapter.adapter_up, end)


# Batches


def _dataset(texts: Texts) -> list[dict[str, Any]]:
    return [
        {"input_ids": tokens.tolist(), "labels": label}
        for tokens, label in zip(texts.sequences, texts.labels, strict=True)
    ]


class Collator:
    """Pads a batch as `DataCollatorWithPadding` does, and counts what it has padded."""

    def __init__(self, length: int | None) -> None:
        self.length = length

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        import torch

        width = self.length or max(len(item["input_ids"]) for item in items)
        ids = torch.full((len(items), width), 1)
        mask = torch.zeros((len(items), width), dtype=torch.long)
        for row, item in enumerate(items):
            ids[row, : len(item["input_ids"])] = torch.tensor(item["input_ids"])
            mask[row, : len(item["input_ids"])] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([item["labels"] for item in items])}


class _Order:
    """The batches of a training, as a data loader wants them."""

    def __init__(self, job: Job, texts: Texts) -> None:
        self.job = job
        self.texts = texts

    def __len__(self) -> int:
        return ours.STEPS

    def __iter__(self) -> Iterator[list[int]]:
        if self.job.contender.batches != "grouped":
            return ours.batches(self.job.variant, ours.SEED)
        return itertools.islice(_grouped(self.texts, self.job.variant.batch), ours.STEPS)


def _grouped(texts: Texts, batch: int) -> Iterator[list[int]]:
    """The batches of Trainer's own grouping by length, in an order in which any few of them are typical.

    Trainer takes them from long to short within a group of fifty; a few consecutive ones would be all long or all
    short. Here the next is always a golden section further in the list sorted by length.
    """
    import torch
    from transformers.trainer_pt_utils import LengthGroupedSampler

    generator = torch.Generator().manual_seed(ours.SEED)
    order = list(LengthGroupedSampler(batch, lengths=texts.lengths, generator=generator))
    found = [order[start : start + batch] for start in range(0, len(order) - batch + 1, batch)]
    found.sort(key=lambda chosen: max(texts.lengths[example] for example in chosen))
    golden = (math.sqrt(5) - 1) / 2
    for step in itertools.count():
        yield found[int((step + 0.5) * golden % 1.0 * len(found))]


# Work


def _train(model: Any, job: Job, session: Session) -> None:
    grouped = job.contender.batches == "grouped"
    texts = pool(0, max(GROUPED_TEXTS, job.variant.texts) if grouped else job.variant.texts, job.variant.shared)
    with tempfile.TemporaryDirectory() as directory:
        trainer = _trainer(model, job, directory, _dataset(texts), _Order(job, texts))
        trainer.add_callback(_pacing(Pace(session, trainer.take)))
        trainer.train()


def _evaluate(model: Any, job: Job, session: Session) -> None:
    parts = languages(job.variant.languages, job.variant.texts)
    items = [item for part in parts for item in _dataset(part)]
    tokens = sum(len(item["input_ids"]) for item in items)
    order = list(range(len(items)))
    if job.contender.batches == "grouped":  # for prediction: sorted from long to short
        order.sort(key=lambda place: -len(items[place]["input_ids"]))
        items = [items[place] for place in order]
    shown = [order.index(place) for place in range(min(8, job.variant.texts))]
    with tempfile.TemporaryDirectory() as directory:
        trainer = _trainer(model, job, directory, None, None)
        session.ready()
        while count := session.wait():
            for _ in range(count):
                found = trainer.predict(items).predictions
            session.stop()
            session.done(count * len(items), count * tokens, found[shown].reshape(-1).tolist())


def _trainer(model: Any, job: Job, directory: str, dataset: Any, order: Any) -> Any:
    from transformers import TrainingArguments

    arguments = TrainingArguments(
        output_dir=directory,
        max_steps=ours.STEPS,
        learning_rate=ours.LEARNING_RATE,
        weight_decay=0.0,
        per_device_train_batch_size=job.variant.batch,
        per_device_eval_batch_size=32,
        bf16=job.contender.autocast if job.device == "cuda" else job.contender.load == "bfloat16",
        use_cpu=job.device == "cpu",
        **QUIET,
    )
    collator = Collator(LONGEST if job.contender.batches == "padded" else None)
    kind = fed(job.contender.library)
    return kind(model=model, args=arguments, train_dataset=dataset, data_collator=collator, order=order)


def fed(library: str) -> Any:
    """The library's trainer, with batches in a given order and memory of its losses."""
    base = _base(library)

    class Fed(base):  # type: ignore[misc, valid-type]  # known at run time only
        def __init__(self, *args: Any, order: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.order = order
            self.taken: list[tuple[Any, int, Any]] = []

        def get_train_dataloader(self) -> Any:
            from torch.utils.data import DataLoader

            loader = DataLoader(
                self.train_dataset,
                batch_sampler=self.order,
                collate_fn=self.data_collator,
                pin_memory=self.args.dataloader_pin_memory,
            )
            return self.accelerator.prepare(loader)

        def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(model, inputs, *args, **kwargs)
            self.taken.append((loss.detach(), len(inputs["labels"]), inputs["attention_mask"]))
            return loss

        def take(self) -> tuple[int, int, list[float]]:
            """Examples, tokens and losses of the steps since the last time."""
            taken, self.taken = self.taken, []
            tokens = sum(int(mask.sum()) for _, _, mask in taken)
            return sum(count for _, count, _ in taken), tokens, [float(loss) for loss, _, _ in taken]

    return Fed


def _base(library: str) -> Any:
    if library == "peft":
        from transformers import Trainer

        return Trainer
    from adapters import AdapterTrainer

    return AdapterTrainer


def _pacing(pace: Pace) -> Any:
    from transformers import TrainerCallback

    class Pacing(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            pace.begin()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not pace.step():
                control.should_training_stop = True

    return Pacing()
