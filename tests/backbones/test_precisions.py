"""Each number format that a CPU runs: near to float32, as the library computes the same layers, never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adapterx.backbones import packed
from adapterx.backbones.compute import hidden_format
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.load import load
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.precisions import PRECISIONS
from adapterx.backbones.products import Converted, Fp8Product, Int8Product, Product, Products, Scratch
from adapterx.backbones.row_quantised import RowQuantised, fp8_rows, int8_rows
from adapterx.backbones.shape import Shape
from adapterx.backbones.spec import Backbone
from adapterx.machine import kernels
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot, adapters, parameters
from adapterx.methods.rows import CellDropout
from tests.backbones.checkpoints import save, tokenizer
from tests.backbones.test_packed import LENGTHS, batch_of, reference
from tests.models import encoder

ARCHITECTURES = ("xlm-roberta", "xlm-roberta-xl")
ON_CPUS = [name for name, one in PRECISIONS.items() if one.capability == (0, 0) and name != "float32"]
WIDE = {"hidden": 128, "layers": 3, "heads": 4}
FAR = {"bfloat16": 0.02, "float16": 0.002, "int8": 0.03, "int8-rows": 0.03, "nf4": 0.3}
"""Relative error of the last hidden states against float32, over random encoders of three layers."""
COSINE = {"bfloat16": 0.999, "float16": 0.9999, "int8": 0.99, "int8-rows": 0.99, "nf4": 0.9}
"""Of the adapters' gradients with those of float32. Activations are smooth: where ReLU has its kink, rounding switches
units on and off, and cosines over random encoders fall to 0.997 in bfloat16."""
METHODS: dict[str, MethodSpec] = {
    "lora": Lora(rank=4, target_modules=("query", "value", "intermediate")),
    "bottleneck": Bottleneck(reduction_factor=8.0, activation="swish"),
}


@pytest.fixture(params=[True, False], ids=["as-the-newest", "as-the-oldest"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """The products of a processor that multiplies 16 and 8 bits, and those of one that does not: both run anywhere."""
    able = bool(request.param)
    if able and not kernels.multiplies_bfloat16():
        monkeypatch.setattr(packed, "reordering_pays", lambda layers, hidden: False)
    monkeypatch.setattr(kernels, "multiplies_bfloat16", lambda: able)
    monkeypatch.setattr(kernels, "multiplies_int8", lambda: able)
    yield able


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def checkpoint(architecture: str) -> Path:
        if architecture not in made:
            directory = tmp_path_factory.mktemp(architecture)
            encoder(architecture, **WIDE).save_pretrained(directory)
            tokenizer().save_pretrained(directory)
            made[architecture] = directory
        return made[architecture]

    return checkpoint


def error(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().float(), expected.detach().float()
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", ON_CPUS)
def test_it_is_near_to_float32_and_nearer_to_the_librarys_forward(
    name: str, architecture: str, checkpoints: Callable[[str], Path], processor: bool
) -> None:
    exact = encoder(architecture, **WIDE)
    loaded = load(Backbone(model=str(checkpoints(architecture)), load=name))
    tokens, batch = batch_of(LENGTHS)
    expected = torch.cat(reference(exact, tokens, LENGTHS))
    enc = PackedEncoder(loaded.model)
    with torch.no_grad():
        found = enc(batch)
    assert enc.dtype == (torch.bfloat16 if processor and name != "float16" else torch.float32)
    assert found.dtype == enc.dtype
    assert 0 < error(found, expected) < FAR[name]
    # The library's own walk over the layers as they are stored, in its own order of rounding.
    library: Any = loaded.model
    theirs = torch.cat(reference(library, tokens, LENGTHS))
    assert error(found, theirs) < (FAR["bfloat16"] if name != "float16" else FAR["float16"]) + 0.01


def gradients(enc: PackedEncoder, method: MethodSpec) -> Tensor:
    """Of a random function of the last hidden states, in all numbers of one adapter."""
    torch.manual_seed(1)
    shape = Shape(len(enc.layers), enc.hidden, int(enc.config.intermediate_size))
    tensors = {one.name: (torch.randn(1, *one.shape) * 0.05).requires_grad_() for one in parameters(method, shape)}
    _, batch = batch_of(LENGTHS)
    with torch.no_grad():
        enc(batch)  # a library may lay weights out anew for passes without gradients
    hidden = enc(batch, adapters([Slot(method, tensors)], CellDropout(0.0, (0,)))).float()
    found = torch.autograd.grad((hidden * torch.randn_like(hidden)).sum(), list(tensors.values()))
    return torch.cat([one.flatten() for one in found])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", ON_CPUS)
@pytest.mark.parametrize("method", METHODS)
def test_gradients_point_where_those_of_float32_do_and_nothing_stored_changes(
    method: str, name: str, architecture: str, checkpoints: Callable[[str], Path], processor: bool
) -> None:
    expected = gradients(PackedEncoder(encoder(architecture, **WIDE)), METHODS[method])
    loaded = load(Backbone(model=str(checkpoints(architecture)), load=name))
    before = {key: tensor.clone() for key, tensor in loaded.model.state_dict().items() if isinstance(tensor, Tensor)}
    found = gradients(PackedEncoder(loaded.model), METHODS[method])
    assert found.dtype == torch.float32
    assert float(nn.functional.cosine_similarity(found, expected, dim=0)) > COSINE[name]
    after = loaded.model.state_dict()
    assert before and all(torch.equal(after[key], tensor) for key, tensor in before.items())


def test_four_bits_are_multiplied_in_the_format_of_hidden_states(
    checkpoints: Callable[[str], Path], processor: bool
) -> None:
    # Products in bfloat16 take a multiple of the time where the processor has none.
    loaded = load(Backbone(model=str(checkpoints("xlm-roberta")), load="nf4"))
    formats = {layer.compute_dtype for layer in loaded.model.modules() if type(layer).__name__ == "Linear4bit"}
    assert formats == {PackedEncoder(loaded.model).dtype}


@pytest.mark.parametrize("name", ["int8", "nf4"])
def test_the_library_stores_what_it_would_of_a_checkpoint_of_its_own(
    name: str, checkpoints: Callable[[str], Path]
) -> None:
    from transformers import AutoModel, BitsAndBytesConfig

    directory = checkpoints("xlm-roberta")
    settings: Any = {
        "int8": {"load_in_8bit": True},
        "nf4": {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": torch.bfloat16,
        },
    }[name]
    theirs = AutoModel.from_pretrained(
        directory,
        quantization_config=BitsAndBytesConfig(**settings),  # type: ignore[no-untyped-call]
        device_map={"": "cpu"},
        dtype=torch.float32,
        add_pooling_layer=False,
    )
    ours: Any = load(Backbone(model=str(directory), load=name)).model
    for own, other in zip(ours.encoder.layer, theirs.encoder.layer, strict=True):
        pairs = [(own.output.dense, other.output.dense), (own.attention.self.key, other.attention.self.key)]
        for mine, yours in pairs:
            assert type(mine) is type(yours)
            assert torch.equal(mine.weight.data, yours.weight.data)
    assert type(ours.embeddings.word_embeddings) is nn.Embedding


# Products


@pytest.fixture
def layers() -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(48, 32).requires_grad_(False) for _ in range(3)]


def assert_product(product: Product, weight: Tensor, bias: Tensor, tolerance: float) -> None:
    """Outputs and input gradients as with dense weights."""
    torch.manual_seed(3)
    inputs = torch.randn(29, weight.shape[1], requires_grad=True)
    towards = torch.randn(29, len(weight))
    outputs, expected = product(inputs), nn.functional.linear(inputs, weight, bias)
    assert error(outputs, expected) < tolerance
    found, wanted = (torch.autograd.grad((one * towards).sum(), inputs)[0] for one in (outputs, expected))
    assert error(found, wanted) < tolerance
    assert outputs.dtype == found.dtype == torch.float32


@pytest.mark.parametrize("number", [torch.bfloat16, torch.float16])
def test_weights_of_16_bits_are_multiplied_as_they_are_stored(layers: list[nn.Linear], number: torch.dtype) -> None:
    weight, bias = layers[0].weight.to(number), layers[0].bias
    assert_product(Converted(weight, bias, Scratch()), weight.float(), bias, 1e-6)


def test_codes_of_8_bits_are_a_row_s_own(layers: list[nn.Linear]) -> None:
    weight = layers[0].weight.clone()
    weight[3] *= 1000  # a row of its own size does not coarsen the others
    weight[4] = 0
    stored = int8_rows(weight, layers[0].bias)
    step = weight.abs().amax(1) / 127
    assert bool(((stored.dense(torch.float32) - weight).abs() <= step[:, None] / 2 + 1e-7).all())
    assert torch.equal(stored.dense(torch.float32)[4], weight[4])
    assert int(stored.codes.abs().max()) == 127
    assert_product(
        Converted(stored.codes, stored.bias, Scratch(), stored.scales), stored.dense(torch.float32), stored.bias, 1e-6
    )
    if kernels.multiplies_int8():  # without the instructions sums of integers overflow, so it is not used there
        assert_product(Int8Product(stored), stored.dense(torch.float32), stored.bias, 0.02)


def test_what_is_not_finite_stays_so_in_its_row_alone(layers: list[nn.Linear]) -> None:
    stored = int8_rows(layers[0].weight, layers[0].bias)
    inputs = torch.randn(4, 48)
    inputs[2, 5] = torch.nan
    finite = Int8Product(stored)(inputs).isfinite().all(1)
    assert finite.tolist() == [True, True, False, True]


def test_layers_side_by_side_are_one_product_and_keep_their_numbers(layers: list[nn.Linear]) -> None:
    stored = [int8_rows(layer.weight, layer.bias) for layer in layers]
    alone = [layer.dense(torch.float32) for layer in stored]
    joint, first, others = Products(torch.float32, False).of(stored)
    inputs = torch.randn(5, 48)
    expected = torch.cat([layer(inputs) for layer in stored], dim=1)
    for product, wanted in ((joint, expected), (first, expected[:, :32]), (others, expected[:, 32:])):
        assert error(product(inputs), wanted) < 0.02
    assert all(torch.equal(layer.dense(torch.float32), weight) for layer, weight in zip(stored, alone, strict=True))
    assert stored[1].codes.untyped_storage().data_ptr() == stored[0].codes.untyped_storage().data_ptr()


def test_float8_is_multiplied_row_by_row(layers: list[nn.Linear], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel is not at hand, what it is handed is multiplied as its documentation says."""

    def scaled(a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor, out_dtype: torch.dtype) -> Tensor:
        assert a.dtype == b.dtype == torch.float8_e4m3fn
        assert a.is_contiguous() and b.T.is_contiguous(), "row-major times column-major"
        assert scale_a.shape == (len(a), 1) and scale_b.shape == (1, b.shape[1])
        return ((a.float() @ b.float()) * scale_a * scale_b).to(out_dtype)

    monkeypatch.setattr(torch, "_scaled_mm", scaled)
    stored = fp8_rows(layers[0].weight, layers[0].bias)
    assert error(stored.dense(torch.float32), layers[0].weight) < 0.05
    assert_product(Fp8Product(stored), layers[0].weight, layers[0].bias, 0.08)


def test_a_scratch_is_one_for_all(layers: list[nn.Linear]) -> None:
    scratch = Scratch()
    large, small = (scratch.matrix(torch.Size(shape), torch.float32, torch.device("cpu")) for shape in ((8, 9), (3, 4)))
    assert large.data_ptr() == small.data_ptr() and small.shape == (3, 4)
    assert scratch.matrix(torch.Size((3, 4)), torch.bfloat16, torch.device("cpu")).dtype == torch.bfloat16


# Devices


def test_hidden_states_are_float32_where_bfloat16_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(kernels, "multiplies_bfloat16", lambda able=able: able)
        assert hidden_format(torch.bfloat16, torch.device("cpu")) == expected
        assert hidden_format(torch.float16, torch.device("cpu")) == torch.float32


def test_a_precision_of_gpus_is_refused_on_a_cpu_before_anything_is_read(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    with pytest.raises(BackboneError, match=r"load: fp8 needs a GPU of compute capability 8.9 .* int8-rows runs"):
        load(Backbone(model=str(directory), load="fp8"))


@pytest.mark.parametrize(
    ("allowed", "bfloat16", "int8"),
    [("", True, True), ("AVX2", False, False), ("AVX512_CORE_VNNI", False, True), ("avx512_core_bf16", True, True)],
)
def test_instructions_that_are_switched_off_do_not_count(
    allowed: str, bfloat16: bool, int8: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    monkeypatch.setattr(kernels, "_instructions", lambda: there)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", allowed)
    assert (kernels.multiplies_bfloat16(), kernels.multiplies_int8()) == (bfloat16, int8)


def test_a_quantised_layer_runs_by_itself() -> None:
    layer = nn.Linear(6, 4)
    stored = RowQuantised(torch.ones(4, 6, dtype=torch.int8), torch.full((4,), 0.5), layer.bias.detach())
    inputs = torch.ones(2, 6)
    torch.testing.assert_close(stored(inputs), 3.0 + layer.bias.detach().expand(2, 4))
