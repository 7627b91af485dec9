"""What `describe` says of a backbone, and how it refuses what it cannot use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.spec import Backbone
from adapterx.hub import HubError
from tests.backbones.checkpoints import edit_config, save


def key(directory: Path) -> str:
    return describe(Backbone(model=str(directory))).key


def refusal(model: str | Path, revision: str | None = None) -> str:
    """The words a model is refused with."""
    with pytest.raises(BackboneError) as caught:
        describe(Backbone(model=str(model), revision=revision))
    return str(caught.value)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save(tmp_path / "model")


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
def test_sizes_of_a_local_checkpoint(tmp_path: Path, architecture: str) -> None:
    found = describe(Backbone(model=str(save(tmp_path / "model", architecture))))
    assert found.architecture == architecture
    assert (found.hidden, found.layers, found.heads, found.intermediate) == (32, 3, 4, 128)
    assert (found.vocabulary, found.max_positions) == (120, 512)
    assert found.key.startswith("local:")


def test_key_names_the_content_not_the_place(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(checkpoint)
    moved = Path(shutil.move(checkpoint, tmp_path / "elsewhere"))
    assert key(moved) == before
    monkeypatch.chdir(tmp_path)
    assert key(Path("./elsewhere")) == key(Path("elsewhere")) == before
    (moved / "README.md").write_text("changes nothing")
    (moved / "adapter_model.safetensors").write_bytes(b"changes nothing either")
    assert key(moved) == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_key_changes_with_a_single_byte(checkpoint: Path, name: str) -> None:
    before = key(checkpoint)
    path = checkpoint / name
    content = path.read_bytes()
    status = path.stat()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if name == "model.safetensors" else content + b"\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert key(checkpoint) != before


def test_shards_count_and_a_missing_one_is_named(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert "lacks model-00002-of-00002.safetensors" in refusal(checkpoint)
    save_file({"unread": np.zeros(3, np.float32)}, checkpoint / "model-00002-of-00002.safetensors")
    first = key(checkpoint)
    save_file({"unread": np.ones(5, np.float32)}, checkpoint / "model-00002-of-00002.safetensors")
    assert key(checkpoint) != first


@pytest.mark.parametrize("shard", ["../secret.safetensors", "pytorch_model.bin", 7])
def test_an_index_cannot_lead_elsewhere(checkpoint: Path, shard: object) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    assert "does not name safetensors files" in refusal(checkpoint)


@pytest.mark.parametrize("name", ["model.pt", "tf_model.ckpt", "training_args.bin"])
def test_weights_of_other_names_are_refused_and_never_opened(name: str, checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    os.mkfifo(checkpoint / name)  # opening it to read would never return
    message = refusal(checkpoint)
    assert f"has no model.safetensors but {name}: save the model again with save_pretrained" in message
    assert "that has model.safetensors or pytorch_model.bin, or their shards with an index" in message


def test_missing_files_are_named(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()
    assert "has no tokenizer.json; save its fast tokenizer beside the weights" in refusal(checkpoint)
    (checkpoint / "config.json").unlink()
    assert refusal(checkpoint) == f"{checkpoint} has no config.json, so it is not a checkpoint"


def test_foreign_architecture_is_refused(checkpoint: Path) -> None:
    edit_config(checkpoint, model_type="roberta")
    assert "is of architecture 'roberta'; adapterx runs xlm-roberta and xlm-roberta-xl" in refusal(checkpoint)
    edit_config(checkpoint, model_type=None)
    assert "is of architecture None" in refusal(checkpoint)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden_size": None, "vocab_size": "many"}, "no positive whole number for hidden_size, vocab_size"),
        ({"num_hidden_layers": 0}, "no positive whole number for num_hidden_layers"),
        ({"num_attention_heads": True}, "no positive whole number for num_attention_heads"),
        ({"num_attention_heads": 5}, "hidden_size is not a multiple of num_attention_heads"),
        ({"pad_token_id": "1"}, "no whole number for pad_token_id"),
        ({"position_embedding_type": "relative_key"}, "has 'relative_key' positions"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(checkpoint: Path, settings: dict[str, Any], words: str) -> None:
    edit_config(checkpoint, **settings)
    assert words in refusal(checkpoint)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b"\xff\xfe", "is UTF-16, not UTF-8 text"),
        (b"", "is not JSON"),
    ],
)
def test_config_that_is_no_json_object(checkpoint: Path, content: bytes, words: str) -> None:
    (checkpoint / "config.json").write_bytes(content)
    assert words in refusal(checkpoint)
    assert str(checkpoint) in refusal(checkpoint)


def test_names_that_are_neither_directory_nor_hub_id(checkpoint: Path) -> None:
    for name in ("./nothing", "/no/such/place", "~/nothing-here", "a/b/c", "two words"):
        message = refusal(name)
        assert message.startswith(f"there is no directory {name!r}")
        assert "a Hub id such as 'name/model'" in message
    assert "is a file; give the directory" in refusal(checkpoint / "config.json")
    with pytest.raises(HubError, match="neither a directory here nor a Hub id"):
        describe(Backbone(model="name/model--x"))


def test_a_name_that_may_be_a_hub_id_says_so_without_network() -> None:
    with pytest.raises(HubError, match=r"^there is no directory 'nobody/nothing' here, .* HF_HUB_OFFLINE is set"):
        describe(Backbone(model="nobody/nothing"))
    with pytest.raises(HubError, match="is not whole in the local Hub cache"):
        describe(Backbone(model="nobody/nothing", revision="0" * 40))


@pytest.mark.parametrize("name", ["embedded/e5-smal", "embedded/", "embedded/e5-small@", "embedded/e5-small@-1"])
def test_embedded_names_misspelt(name: str) -> None:
    assert "give embedded/e5-small, or embedded/e5-small@6 for its first six layers" in refusal(name)


@pytest.mark.parametrize("layers", [0, 13, 600])
def test_embedded_depth_out_of_range(layers: int) -> None:
    assert "embedded/e5-small has 12 layers, keep 1 to 12 of them" in refusal(f"embedded/e5-small@{layers}")


def test_embedded_keys_follow_the_depth() -> None:
    whole, twelve, six = (
        describe(Backbone(model="embedded/e5-small", load="float32")),
        describe(Backbone(model="embedded/e5-small@12", load="bfloat16")),
        describe(Backbone(model="embedded/e5-small@6", load="float32")),
    )
    assert whole == twelve
    assert (whole.layers, six.layers) == (12, 6)
    assert whole.key != six.key


def test_a_revision_of_what_is_not_on_the_hub_is_refused(checkpoint: Path) -> None:
    for model in (checkpoint, "embedded/e5-small"):
        assert "is not on the Hub, so `revision: main` means nothing" in refusal(model, "main")


def test_describing_imports_no_torch(checkpoint: Path) -> None:
    code = (
        "import sys\nfrom adapterx.backbones.describe import describe\nfrom adapterx.backbones.spec import Backbone\n"
        f"for model in ({str(checkpoint)!r}, 'embedded/e5-small@3', 'nobody/nothing'):\n"
        "    try:\n        print(describe(Backbone(model=model)).layers)\n"
        "    except ValueError as error:\n        print(type(error).__name__)\n"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'safetensors'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["3", "3", "UnavailableError", "[]"]
