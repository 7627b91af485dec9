"""The parts of a publication that need neither a run nor a hub."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adapterx.backbones.shape import Shape
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.lora.spec import Lora
from adapterx.methods.merging import joined
from adapterx.methods.method import parameters
from adapterx.publish.hub import blocks, plans, privacy
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.journal import Journal
from adapterx.publish.hub.licences import LicensedPart, combined
from adapterx.publish.hub.waiting import wait

SHAPE = Shape(3, 16, 24)


def drawn(method: Any, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {one.name: torch.randn(one.shape, generator=generator) for one in parameters(method, SHAPE)}


def test_a_stack_of_lora_is_one_lora() -> None:
    """Of other ranks, scalings, layers and modules."""
    methods = [
        Lora(rank=2, alpha=6, target_modules=("query", "output"), layers="top-2"),
        Lora(rank=3, alpha=3, use_rslora=True, target_modules=("query", "key"), layers="all"),
    ]
    members = [drawn(method, seed) for seed, method in enumerate(methods)]
    method, tensors = joined(methods, members, SHAPE)
    assert isinstance(method, Lora) and (method.rank, method.plain_alpha) == (5, 5.0)
    assert tensors.keys() == {one.name for one in parameters(method, SHAPE)}
    for name in (name.removesuffix(".lora_A") for name in tensors if name.endswith("lora_A")):
        update = tensors[f"{name}.lora_B"] @ tensors[f"{name}.lora_A"]
        expected = torch.zeros_like(update)
        for one, own in zip(methods, members, strict=True):
            if f"{name}.lora_A" in own:
                expected += one.plain_alpha / one.rank * own[f"{name}.lora_B"] @ own[f"{name}.lora_A"]
        torch.testing.assert_close(update, expected)


def test_a_stack_of_ia3_is_one() -> None:
    methods = [Ia3(), Ia3(target_modules=("key", "query"), layers="top-1")]
    members = [drawn(method, seed) for seed, method in enumerate(methods)]
    method, tensors = joined(methods, members, SHAPE)
    key = "encoder.layer.2.attention.self.key.ia3_l"
    torch.testing.assert_close(tensors[key], members[0][key] * members[1][key])
    query = "encoder.layer.0.attention.self.query.ia3_l"
    assert torch.equal(tensors[query], torch.ones(16, 1)) and isinstance(method, Ia3)
    with pytest.raises(ValueError, match="scales the inputs of output, another its outputs"):
        joined([Ia3(), Ia3(target_modules=("output",), feedforward_modules=())], members, SHAPE)


LICENCES = {
    "alike": (["mit", "MIT"], "mit"),
    "strictest": (["mit", "CC BY-NC 4.0", "CC BY 4.0"], "cc-by-nc-4.0"),
    "alike-and-unsold": (["CC BY-SA 4.0", "CC BY-NC 4.0"], "other"),
    "both": (["CC BY-NC-SA 4.0", "CC BY-NC 4.0", "Apache-2.0"], "cc-by-nc-sa-4.0"),
    "unknown": (["mit", "ask the authors"], "other"),
    "none": ([""], "other"),
    "cldr": (["mit", "Unicode-3.0 (CLDR data, through Babel)"], "mit"),
}


@pytest.mark.parametrize("name", LICENCES)
def test_the_strictest_licence_holds(name: str) -> None:
    texts, expected = LICENCES[name]
    found = combined([LicensedPart(f"part {place}", text) for place, text in enumerate(texts)])
    assert found.name == expected
    assert len(found.notes) >= len(texts)
    assert combined([LicensedPart("x", text) for text in texts], "apache-2.0").name == "apache-2.0"


def test_a_conflict_is_named() -> None:
    found = combined([LicensedPart("squad", "CC BY-SA 4.0"), LicensedPart("xnli", "CC BY-NC 4.0")])
    assert "in conflict: squad is to be shared under cc-by-sa-4.0, xnli under cc-by-nc-4.0" in found.notes


def test_text_outside_blocks_survives() -> None:
    new = blocks.card({"license": "mit"}, "# A\n\n" + blocks.block("one", "new") + "\n\n" + blocks.block("two", "2"))
    old = "---\nlicense: other\nthumbnail: x\n---\n# Mine\n" + blocks.block("one", "old") + "\n\nand more\n"
    text = blocks.updated(old, new)
    metadata, body = blocks.split(text)
    assert metadata == {"license": "mit", "thumbnail": "x"}
    assert body.startswith("# Mine\n") and "and more" in body and "old" not in body
    assert blocks.names(body) == ["one", "two"]
    assert blocks.updated(text, new) == text


def test_metadata_that_are_none_are_refused() -> None:
    with pytest.raises(PublishError, match="its metadata are not YAML"):
        blocks.split("---\na: [\n---\ntext\n")
    with pytest.raises(PublishError, match="its metadata are no mapping"):
        blocks.split("---\n- a\n---\ntext\n")
    assert blocks.split("no head at all") == ({}, "no head at all")


NAMES = {
    "grid-small.lora.none.order": "grid-small-lora-none-order",
    "a--b..c": "a-b-c",
    "-ä/ö-": "",
    "x" * 200: "x" * 87 + "-",
}


@pytest.mark.parametrize("text", NAMES)
def test_names_that_the_hub_takes(text: str) -> None:
    found = plans.named(text)
    assert found.startswith(NAMES[text]) and len(found) <= 96
    if found:
        assert plans.check_id(f"me/{found}") == f"me/{found}"


@pytest.mark.parametrize("id", ["me", "me/a--b", "me/-a", "me/a/b", "m e/a", "me/" + "a" * 97, ""])
def test_ids_that_the_hub_does_not_take(id: str) -> None:
    with pytest.raises(PublishError, match="is no repository's id"):
        plans.check_id(id)


PRIVATE = {
    "token": "hf_" + "x" * 30,
    "home": "~/data/mine.tsv",
    "path": "in /home/me/models/x",
    "url": "file:///home/me/x",
}
PUBLIC = ["https://huggingface.co/data/x", "and/or", "a /b/ c", "1/2", "https://example.org/home/me", "src/tmp/x"]


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_private_is_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"fine\n{PRIVATE[name]}\n")
    with pytest.raises(PublishError, match=r"README\.md:2 holds") as caught:
        privacy.check(tmp_path)
    assert PRIVATE["token"] not in str(caught.value)


def test_what_is_public_is_let_pass(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("\n".join(PUBLIC))
    privacy.check(tmp_path)
    assert privacy.without_paths({"a": ["/etc/x", "org/model", "text"], "b": 1}) == {
        "a": [privacy.REMOVED, "org/model", "text"],
        "b": 1,
    }


def answer(status: int, **headers: str) -> Exception:
    error = Exception("answered")
    error.response = SimpleNamespace(status_code=status, headers=headers)  # type: ignore[attr-defined]
    return error


def test_how_long_it_waits() -> None:
    assert wait(answer(429, **{"Retry-After": "17"}), 0) == 17.0
    assert wait(answer(429, RateLimit='"api";r=0;t=55'), 0) == 55.0
    assert wait(answer(429), 2) == 2.0 and wait(answer(503), 3) == 4.0
    assert wait(ConnectionResetError(), 0) == 0.5
    assert wait(answer(403), 0) is None and wait(answer(412), 0) is None and wait(ValueError(), 0) is None


def test_the_journal_is_kept(tmp_path: Path) -> None:
    journal = Journal.of(tmp_path)
    journal.note("me/a", stage="s", commit="c", files=("x", "y"))
    journal.note("me/a", checked="d")
    journal.collection = "me/all"
    journal.save()
    again = Journal.of(tmp_path)
    assert again.entry("me/a").files == ("x", "y") and again.entry("me/a").checked == "d"
    assert again.collection == "me/all" and again.entry("me/b").commit == ""
    again.forget("me/a")
    assert Journal.of(tmp_path).entries == {}
    for text in ("{", "[]", '{"repositories": {"a": {"what": 1}}, "collection": ""}'):
        journal.path.write_text(text)
        with pytest.raises(PublishError, match="delete it, and nothing but time is lost"):
            Journal.of(tmp_path)
