"""The loop that people write: for every cell of a grid train the intermediate, continue on the target, predict.

`python -m tools.bench.naive RECIPE STORE ANSWERS` runs it with `Trainer` and `peft` on the cells of a recipe, loading
each backbone once, and writes accuracies by cell and language as JSON.
"""

from __future__ import annotations

import copy
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.bench import grid_plan
from tools.bench.peers import QUIET, Collator, fed, lora_parameter, set_head


def main(recipe: Path, store: Path, answers: Path) -> None:
    """Do the whole grid."""
    plan = grid_plan.plan_of(recipe)
    data = grid_plan.data_of(recipe, store)
    found = {}
    for loaded, cells in grid_plan.backbones(plan):
        model = _classifier(loaded.model)
        for cell in cells:
            found[cell.label] = _cell(plan, cell, loaded, model, data)
    answers.write_text(json.dumps(found), encoding="utf-8")


def _classifier(encoder: Any) -> Any:
    """The encoder under Hugging Face's head, its dropout off so that the results are those of the plan."""
    from torch.nn import Dropout
    from transformers import XLMRobertaForSequenceClassification

    config = copy.deepcopy(encoder.config)
    config.hidden_dropout_prob = 0.0
    config.vocab_size, config.num_hidden_layers = 8, 1  # of a stand-in that the loaded encoder replaces
    kind: Any = XLMRobertaForSequenceClassification  # untyped
    model = kind(config)
    model.roberta = encoder
    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    return model


def _cell(plan: Any, cell: Any, loaded: Any, model: Any, data: Any) -> dict[str, float]:
    adapter: dict[str, Any] | None = None
    trainer: Any = None
    for training in grid_plan.trainings(plan, cell, loaded, data):
        if trainer is not None:
            model = trainer.model.unload()
        adapted = _adapted(model, training, adapter)
        with tempfile.TemporaryDirectory() as directory:
            trainer = _trainer(adapted, training, directory)
            trainer.train()
        modules = dict(adapted.named_modules())
        adapter = {name: lora_parameter(modules, name).detach().clone() for name in training.adapter}
    scores = {}
    for language, items in grid_plan.tests(plan, cell, loaded, data).items():
        found = trainer.predict(items)
        scores[language] = float((found.predictions.argmax(axis=1) == found.label_ids).mean())
    trainer.model.unload()
    return scores


def _adapted(model: Any, training: grid_plan.Training, adapter: dict[str, Any] | None) -> Any:
    """The model with a fresh head, and with the adapter to go on from or a fresh one."""
    from peft import LoraConfig, get_peft_model

    model.num_labels = model.config.num_labels = training.labels
    model.classifier = type(model.classifier)(model.config)
    settings = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"])
    adapted = get_peft_model(model, settings)
    modules = dict(adapted.named_modules())
    for name, tensor in (adapter or training.adapter).items():
        lora_parameter(modules, name).data.copy_(tensor)
    set_head(modules["base_model.model.classifier"].modules_to_save["default"], training.head)
    return adapted


def _trainer(model: Any, training: grid_plan.Training, directory: str) -> Any:
    from transformers import TrainingArguments

    items = [item for batch in training.batches for item in batch]
    ends = list(itertools.accumulate(len(batch) for batch in training.batches))
    order = [list(range(end - len(batch), end)) for end, batch in zip(ends, training.batches, strict=True)]
    arguments = TrainingArguments(
        output_dir=directory,
        max_steps=len(order),
        learning_rate=training.learning_rate,
        warmup_steps=training.warm_up,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        per_device_train_batch_size=len(order[0]),
        per_device_eval_batch_size=32,
        use_cpu=True,
        **QUIET,
    )
    return fed("peft")(model=model, args=arguments, train_dataset=items, data_collator=Collator(None), order=order)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
