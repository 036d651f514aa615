"""Architectures in PyTorch, made from configurations: ``NAME()`` makes one, ``samples(NAME)`` its inputs.

Weights are random, from a fixed seed. Batch norms have the statistics of real activations, as untrained networks
answer with constants otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SAMPLES = 16
_MADE: dict[str, tuple[Callable[[], nn.Module], dict[str, tuple[Any, ...]]]] = {}


def _architecture(**inputs: tuple[Any, ...]) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    """Register a maker; *inputs* by the names of forward()'s parameters: a shape, or a shape and a number of ids."""

    def register(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        def settled() -> nn.Module:
            torch.manual_seed(0)
            return _settled(make(), samples(make.__name__))

        _MADE[make.__name__] = (settled, inputs)
        return settled

    return register


def names() -> tuple[str, ...]:
    return tuple(_MADE)


def samples(name: str) -> dict[str, np.ndarray]:
    """Inputs by name, samples first: smooth noise, or ids."""
    draw = np.random.default_rng(0)
    made = {}
    for key, (*shape, last) in _MADE[name][1].items():
        if isinstance(last, str):  # ids, of so many
            made[key] = draw.integers(0, int(last), (SAMPLES, *shape)).astype(np.int64)
            continue
        array = draw.standard_normal((SAMPLES, *shape, last)).astype(np.float32)
        scale = np.linspace(0.5, 2, SAMPLES, dtype=np.float32).reshape(-1, *[1] * (len(shape) + 1))
        made[key] = scale * (array + draw.standard_normal((SAMPLES, *[1] * (len(shape) + 1))).astype(np.float32))
    return made


def _settled(model: nn.Module, inputs: dict[str, np.ndarray]) -> nn.Module:
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if norms:
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        for norm in norms:
            norm.momentum = None  # the mean over all that it has seen
            norm.reset_running_stats()
        with torch.no_grad():
            for _ in range(2):
                model(*(torch.from_numpy(array) for array in inputs.values()))
    return model.eval()


class _Taken(nn.Module):
    """A model of transformers, and the one tensor of what it returns."""

    def __init__(self, model: nn.Module, key: str):
        super().__init__()
        self.model, self.key = model, key


class _OfPixels(_Taken):
    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values=pixel_values)[self.key]


class _OfTokens(_Taken):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids)[self.key]


class _OfSound(_Taken):
    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        return self.model(input_values)[self.key]


# Convolutions ---------------------------------------------------------------------------------------------------------


def _unit(inside: int, outside: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Module:
    layers = [
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


class _Residual(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(_unit(inside, outside, 3, stride), _unit(outside, outside, act=False))
        self.skip = _unit(inside, outside, 1, stride, act=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.skip(x))


@_architecture(image=(3, 64, 64))
def resnet() -> nn.Module:
    blocks = [_Residual(16, 16, 1), _Residual(16, 32, 2), _Residual(32, 64, 2)]
    return nn.Sequential(
        _unit(3, 16, 7, 2), nn.MaxPool2d(3, 2, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    )


class _DenseBlock(nn.Module):
    def __init__(self, inside: int, growth: int, count: int):
        super().__init__()
        self.units = nn.ModuleList(_unit(inside + growth * index, growth) for index in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for unit in self.units:
            x = torch.cat([x, unit(x)], 1)
        return x


@_architecture(image=(3, 64, 64))
def densenet() -> nn.Module:
    return nn.Sequential(
        _unit(3, 16, 3, 2), _DenseBlock(16, 8, 4), _unit(48, 24, 1), nn.AvgPool2d(2), _DenseBlock(24, 8, 4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(56, 10),
    )  # fmt: skip


@_architecture(image=(1, 49, 10))
def ds_cnn() -> nn.Module:
    """Keyword spotting: depthwise separable convolutions over MFCCs."""
    pairs = [part for _ in range(4) for part in (_unit(32, 32, groups=32), _unit(32, 32, 1))]
    return nn.Sequential(_unit(1, 32, 5, 2), *pairs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 12))


class _UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_unit(3, 8), _unit(8, 16), _unit(16, 32)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)])
        self.mix = nn.ModuleList([_unit(32, 16), _unit(16, 8)])
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        a = self.down[0](image)
        b = self.down[1](F.max_pool2d(a, 2))
        c = self.down[2](F.max_pool2d(b, 2))
        b = self.mix[0](torch.cat([self.up[0](c), b], 1))
        return self.head(self.mix[1](torch.cat([self.up[1](b), a], 1)))


@_architecture(image=(3, 64, 64))
def unet() -> nn.Module:
    return _UNet()


class _DeepLab(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_unit(3, 16, 3, 2), _unit(16, 24, 3, 2))
        self.arms = nn.ModuleList(nn.Conv2d(24, 16, 3, padding=rate, dilation=rate) for rate in (1, 2, 4))
        self.head = nn.Conv2d(64, 5, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.stem(image)
        whole = F.interpolate(x.mean((2, 3), keepdim=True), x.shape[2:])[:, :16]
        x = self.head(F.relu(torch.cat([*(arm(x) for arm in self.arms), whole], 1)))
        return F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)


@_architecture(image=(3, 64, 64))
def deeplab() -> nn.Module:
    return _DeepLab()


class _SSD(nn.Module):
    """Boxes and scores of two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_unit(3, 16, 3, 2), _unit(16, 32, 3, 2))
        self.deeper = _unit(32, 48, 3, 2)
        self.boxes = nn.ModuleList([nn.Conv2d(32, 12, 3, padding=1), nn.Conv2d(48, 12, 3, padding=1)])
        self.scores = nn.ModuleList([nn.Conv2d(32, 15, 3, padding=1), nn.Conv2d(48, 15, 3, padding=1)])

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        levels = [self.stem(image)]
        levels.append(self.deeper(levels[0]))
        flat = lambda x, width: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)  # noqa: E731
        boxes = torch.cat([flat(head(x), 4) for head, x in zip(self.boxes, levels, strict=True)], 1)
        scores = torch.cat([flat(head(x), 5) for head, x in zip(self.scores, levels, strict=True)], 1)
        return {"boxes": boxes, "scores": scores.softmax(-1)}


@_architecture(image=(3, 64, 64))
def ssd() -> nn.Module:
    return _SSD()


class _Yolo(nn.Module):
    """One output with boxes in pixels beside scores, decoded on a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_unit(3, 16, 3, 2), _unit(16, 32, 3, 2), _unit(32, 32, 3, 2))
        self.head = nn.Conv2d(32, 9, 1)
        rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
        self.register_buffer("grid", torch.stack([columns, rows])[None])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.head(self.stem(image))
        centre = (x[:, :2].sigmoid() + self.grid) * 8
        size = x[:, 2:4].clamp(-4, 4).exp() * 8
        return torch.cat([centre, size, x[:, 4:].sigmoid()], 1).flatten(2)


@_architecture(image=(3, 64, 64))
def yolo() -> nn.Module:
    return _Yolo()


# Sequences ------------------------------------------------------------------------------------------------------------


class _Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module], **settings: Any):
        super().__init__()
        self.recurrent = kind(8, 24, batch_first=True, **settings)
        self.head = nn.Linear(48 if settings.get("bidirectional") else 24, 5)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrent(series)[0][:, -1])


@_architecture(series=(20, 8))
def lstm() -> nn.Module:
    return _Recurrent(nn.LSTM, num_layers=2)


@_architecture(series=(20, 8))
def gru() -> nn.Module:
    return _Recurrent(nn.GRU, bidirectional=True)


class _Causal(nn.Module):
    def __init__(self, inside: int, outside: int, dilation: int):
        super().__init__()
        self.reach, self.conv = 2 * dilation, nn.Conv1d(inside, outside, 3, dilation=dilation)
        self.skip = nn.Conv1d(inside, outside, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.conv(F.pad(x, (self.reach, 0)))) + self.skip(x)


@_architecture(series=(6, 64))
def tcn() -> nn.Module:
    return nn.Sequential(
        _Causal(6, 24, 1),
        _Causal(24, 24, 2),
        _Causal(24, 24, 4),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(24, 6),
    )


class _Heard(nn.Module):
    """A spectrogram, convolutions, an LSTM, attention over its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(256))
        self.register_buffer("bands", torch.rand(129, 32) * (torch.rand(129, 32) > 0.8))
        self.conv = nn.Sequential(nn.Conv1d(32, 32, 3, padding=1), nn.BatchNorm1d(32), nn.ReLU())
        self.lstm = nn.LSTM(32, 24, batch_first=True)
        self.weigh, self.head = nn.Linear(24, 1), nn.Linear(24, 6)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        power = torch.stft(sound, 256, 128, window=self.window, return_complex=True).abs().square()
        x = torch.log(power.transpose(1, 2) @ self.bands + 1e-3).transpose(1, 2)
        x = self.lstm(self.conv(x).transpose(1, 2))[0]
        return self.head((x * self.weigh(x).softmax(1)).sum(1))


@_architecture(sound=(4000,))
def spectrogram_lstm() -> nn.Module:
    return _Heard()


class _Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 32)
        self.register_parameter("place", nn.Parameter(torch.randn(24, 32)))
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(32, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.table(tokens) + self.place).mean(1))


@_architecture(tokens=(24, "50"))
def encoder() -> nn.Module:
    return _Tokens()


@_architecture(features=(16, 20))
def mixer() -> nn.Module:
    """Attention and a GRU over the same steps."""
    return _Mixed()


class _Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(20, 32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.gru, self.head = nn.GRU(32, 24, batch_first=True), nn.Linear(24, 3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = self.inside(features)
        x = F.layer_norm(x + self.attention(x, x, x, need_weights=False)[0], (32,))
        return self.head(self.gru(x)[1][0])


# transformers ---------------------------------------------------------------------------------------------------------

_SMALL = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "initializer_range": 0.1,
}


@_architecture(pixel_values=(3, 64, 64))
def vit() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    return _OfPixels(ViTForImageClassification(ViTConfig(**_SMALL, image_size=64, num_labels=10)), "logits")


@_architecture(pixel_values=(3, 64, 64))
def swin() -> nn.Module:
    from transformers import SwinConfig, SwinForImageClassification

    config = SwinConfig(
        image_size=64,
        embed_dim=24,
        depths=[2, 2],
        num_heads=[2, 4],
        window_size=4,
        num_labels=10,
        initializer_range=0.1,
    )
    return _OfPixels(SwinForImageClassification(config), "logits")


@_architecture(pixel_values=(3, 64, 64))
def convnext() -> nn.Module:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    config = ConvNextConfig(
        hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 2, 1], num_labels=10, image_size=64, initializer_range=0.1
    )
    return _OfPixels(ConvNextForImageClassification(config), "logits")


@_architecture(pixel_values=(3, 64, 64))
def mobilevit() -> nn.Module:
    from transformers import MobileViTConfig, MobileViTForImageClassification

    config = MobileViTConfig(
        image_size=64,
        hidden_sizes=[32, 40, 48],
        neck_hidden_sizes=[8, 16, 24, 32, 40, 48, 96],
        num_labels=10,
        initializer_range=0.1,
    )
    return _OfPixels(MobileViTForImageClassification(config), "logits")


@_architecture(pixel_values=(3, 64, 64))
def segformer() -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 2, 4],
        decoder_hidden_size=32,
        num_labels=5,
        initializer_range=0.1,
    )
    return _OfPixels(SegformerForSemanticSegmentation(config), "logits")


@_architecture(pixel_values=(3, 64, 64))
def yolos() -> nn.Module:
    from transformers import YolosConfig, YolosForObjectDetection

    config = YolosConfig(**_SMALL, image_size=[64, 64], num_detection_tokens=8, use_mid_position_embeddings=False)
    return _OfPixels(YolosForObjectDetection(config), "logits")


@_architecture(input_ids=(24, "99"))
def bert() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    return _OfTokens(BertForSequenceClassification(BertConfig(**_SMALL, vocab_size=99, num_labels=3)), "logits")


@_architecture(input_ids=(24, "99"))
def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=99, n_embd=48, n_layer=2, n_head=4, n_positions=32, initializer_range=0.1, use_cache=False
    )
    return _OfTokens(GPT2LMHeadModel(config), "logits")


@_architecture(input_ids=(24, "99"))
def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**_SMALL, num_key_value_heads=2, vocab_size=99, max_position_embeddings=32, use_cache=False)
    return _OfTokens(LlamaForCausalLM(config), "logits")


@_architecture(input_ids=(24, "99"))
def t5_encoder() -> nn.Module:
    from transformers import T5Config, T5EncoderModel

    return _OfTokens(
        T5EncoderModel(T5Config(vocab_size=99, d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4)),
        "last_hidden_state",
    )


@_architecture(input_values=(4000,))
def wav2vec2() -> nn.Module:
    from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification

    config = Wav2Vec2Config(
        **_SMALL,
        conv_dim=(16, 16, 24),
        conv_kernel=(10, 3, 3),
        conv_stride=(5, 4, 4),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=24,
        num_labels=4,
    )
    return _OfSound(Wav2Vec2ForSequenceClassification(config), "logits")


@_architecture(input_values=(128, 32))
def audio_spectrogram() -> nn.Module:
    from transformers import ASTConfig, ASTForAudioClassification

    config = ASTConfig(**_SMALL, max_length=128, num_mel_bins=32, frequency_stride=16, time_stride=16, num_labels=5)
    return _OfSound(ASTForAudioClassification(config), "logits")
