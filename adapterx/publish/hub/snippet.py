"""The lines that load a published adapter in its own library, and ask it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapterx.formats.adapter import PortableHead
from adapterx.methods.base import Layout
from adapterx.publish.adapters import AdapterSet
from adapterx.publish.hub.bases import PublicBase

_LINE = 100
"""Characters of a line with labels, beyond which each label gets a line of its own."""


@dataclass(frozen=True)
class Snippet:
    """Python that anyone can run who has the library."""

    load: str
    """Defines `tokenizer` and `model`; `labels` where there are any, and `head` where the library has none."""
    ask: str
    """Answers one example."""
    packages: tuple[str, ...]
    """What to install."""

    @property
    def whole(self) -> str:
        """Both parts."""
        return f"{self.load}\n\n{self.ask}"


def snippet(layout: Layout, adapters: AdapterSet, repository: str, base: PublicBase) -> Snippet:
    """The lines for adapters as `folder` lays them out in a repository."""
    head = adapters.head
    place = base_place(base)
    imports, lines = _loading(layout, adapters, repository, place)
    if head.labels:
        lines = [_labels(head.labels), *lines]
    tokens = f"tokenizer = AutoTokenizer.from_pretrained({place})"
    own = layout == "peft" and (not head.kind.classifier or len(adapters.stack) > 1)
    load = "\n".join([*imports, "", tokens, *lines])
    packages = ("peft", "transformers") if layout == "peft" else ("adapters",)
    return Snippet(load, _asking(head, adapters.metadata.max_length, own=own), packages)


def base_place(base: PublicBase) -> str:
    """A base model as arguments of `from_pretrained`."""
    return f'"{base.id}"' + (f', revision="{base.revision}"' if base.revision else "")


def _loading(layout: Layout, adapters: AdapterSet, repository: str, place: str) -> tuple[list[str], list[str]]:
    """Imports, and what makes `model`."""
    head = adapters.head
    if layout == "adapterhub":
        imports = ["from adapters import AutoAdapterModel", "from transformers import AutoTokenizer"]
        base = f"model = AutoAdapterModel.from_pretrained({place})"
        if adapters.fusion is None and len(adapters.stack) == 1:
            how = f'model.load_adapter("{repository}", use_safetensors=True, set_active=True)'
            return imports, [base, how, "model.eval()"]
        how = f'model.load_adapter_setup("{repository}", use_safetensors=True, set_active=True)'
        active = [] if adapters.fusion is not None else [f'model.active_head = "{adapters.metadata.adapters[-1]}"']
        return imports, [base, how, *active, "model.eval()"]
    if head.kind.classifier and len(adapters.stack) == 1:
        name = {"SEQ_CLS": "SequenceClassification", "TOKEN_CLS": "TokenClassification"}[head.kind.peft_type]
        imports = [f"from peft import AutoPeftModelFor{name}", "from transformers import AutoTokenizer"]
        sizes = "num_labels=1"
        if head.labels:
            sizes = "num_labels=len(labels), id2label=dict(enumerate(labels))"
        return imports, [
            f'model = AutoPeftModelFor{name}.from_pretrained("{repository}", {sizes})',
            "model.eval()",
        ]
    imports = [
        "import torch",
        "from huggingface_hub import snapshot_download",
        "from peft import PeftModel",
        "from safetensors.torch import load_file",
        "from transformers import AutoModel, AutoTokenizer",
    ]
    encoder = f"encoder = AutoModel.from_pretrained({place}, add_pooling_layer=False)"
    if len(adapters.stack) > 1:
        return [one for one in imports if "snapshot" not in one], [encoder, *_stacked(adapters, repository)]
    return imports, [
        encoder,
        f'folder = snapshot_download("{repository}")',
        "model = PeftModel.from_pretrained(encoder, folder).eval()",
        "# peft has no such head: it lies beside the adapter",
        'head = {name: one.float() for name, one in load_file(f"{folder}/head.safetensors").items()}',
    ]


def _stacked(adapters: AdapterSet, directory: str) -> list[str]:
    """Adapters of a local directory, side by side and all active; the head of the highest."""
    first, *others = adapters.metadata.adapters
    active = ", ".join(f'"{one}"' for one in adapters.metadata.adapters)
    return [
        f'model = PeftModel.from_pretrained(encoder, "{directory}/{first}", adapter_name="{first}")',
        *(f'model.load_adapter("{directory}/{one}", adapter_name="{one}")' for one in others),
        f"model.base_model.set_adapter([{active}])",
        "model.eval()",
        f'head = load_file("{directory}/{adapters.metadata.adapters[-1]}/head.safetensors")',
    ]


def _labels(labels: Sequence[str]) -> str:
    written = f"labels = {list(labels)!r}".replace("'", '"') if all(_plain(one) for one in labels) else ""
    return written if 0 < len(written) <= _LINE else "labels = [\n" + "".join(f"    {one!r},\n" for one in labels) + "]"


def _plain(label: str) -> bool:
    return label.isprintable() and not set(label) & set("'\"\\")


def _asking(head: PortableHead, length: int, *, own: bool) -> str:
    """What answers one example.

    Args:
        own: whether the head is in a file of its own, and computed here.
    """
    cut = f'truncation=True, max_length={length}, return_tensors="pt"'
    reading = head.kind.reading
    if reading == "words":
        tags = "model(**inputs).logits[0, first]"
        if own:
            tags = '(model(**inputs).last_hidden_state[0, first] @ head["output.weight"].T + head["output.bias"])'
        return "\n".join(
            [
                'words = ["She", "lives", "in", "Lima", "."]',
                f"inputs = tokenizer(words, is_split_into_words=True, {cut})",
                "owners = inputs.word_ids(0)",
                "first = [owners.index(place) for place in range(len(words)) if place in owners]",
                f"tags = [labels[best] for best in {tags}.argmax(-1).tolist()]",
                "print(list(zip(words, tags)))",
            ]
        )
    if reading == "choices":
        several = f'inputs = tokenizer(["What is said first."] * {len(head.labels)}, choices, padding=True, {cut})'
        choices = "choices = [" + ", ".join(f'"Choice {number}."' for number in range(1, len(head.labels) + 1)) + "]"
        scores = _computed("[:, 0]") if own else ["scores = model(**{k: v[None] for k, v in inputs.items()}).logits[0]"]
        last = "[:, 0]" if own else ""
        return "\n".join([choices, several, *scores, f"print(choices[int(scores{last}.argmax())])"])
    if reading == "span":
        asked = f'inputs = tokenizer("Where does she live?", "She lives in Lima.", {cut})'
        if own:
            found = [
                "states = model(**inputs).last_hidden_state[0]",
                'start, end = (states @ head["output.weight"].T + head["output.bias"]).T',
            ]
        else:
            found = ["found = model(**inputs)", "start, end = found.start_logits[0], found.end_logits[0]"]
        return "\n".join(
            [
                asked,
                *found,
                "first = int(start.argmax())",
                "last = first + int(end[first:].argmax())",
                'print(tokenizer.decode(inputs["input_ids"][0, first : last + 1]))',
            ]
        )
    asked = f'inputs = tokenizer("A first text.", "A second one, where the task has pairs.", {cut})'
    scores = _computed("[:, 0]") if own else ["scores = model(**inputs).logits"]
    if not head.labels:
        return "\n".join([asked, *scores, "print(float(scores[0, 0]))"])
    return "\n".join([asked, *scores, "scores = scores[0].softmax(-1)", "print(dict(zip(labels, scores.tolist())))"])


def _computed(read: str) -> list[str]:
    """The head of two layers on the states that are read."""
    return [
        f"states = model(**inputs).last_hidden_state{read}",
        'inner = torch.tanh(states @ head["dense.weight"].T + head["dense.bias"])',
        'scores = inner @ head["output.weight"].T + head["output.bias"]',
    ]
