"""Small PyTorch models after public bug reports, as factories: operators and outputs that exporters have tripped over.

Each has the inputs that `SAMPLES` says, by the name of its class.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

_RANDOM = np.random.default_rng(0)
ROWS = _RANDOM.standard_normal((32, 8)).astype(np.float32)
MAPS = (_RANDOM.standard_normal((32, 3, 17, 15)) * _RANDOM.uniform(0.3, 2, (32, 3, 1, 1))).astype(np.float32)
SMALL_MAPS = MAPS[:, :, :11, :9].copy()
SIGNALS = np.stack([np.sin(np.arange(256) * each) for each in _RANDOM.uniform(0.02, 0.5, 32)]).astype(np.float32)
SOUNDS = np.tile(SIGNALS, 4) + 0.05 * _RANDOM.standard_normal((32, 1024)).astype(np.float32)
IDS = _RANDOM.integers(1, 40, (32, 10)) * (np.arange(10) < _RANDOM.integers(2, 11, (32, 1)))
WORDS = _RANDOM.integers(1, 3000, (32, 16))
FIFTHS = (_RANDOM.integers(-20, 21, (32, 8)) / 5).astype(np.float32)
WHOLE = _RANDOM.integers(-40, 41, (32, 6))
SERIES = _RANDOM.standard_normal((32, 6, 8)).astype(np.float32)
SENSORS = np.stack([_RANDOM.normal(101000, 300, 64), _RANDOM.normal(20, 8, 64), _RANDOM.normal(0, 0.5, 64)], 1)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)


class Sums(Base):
    """Sums and differences with a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 6), nn.Linear(8, 6), nn.Linear(6, 3)

    def forward(self, x):
        y = torch.add(self.a(x), self.b(x), alpha=10)
        z = torch.sub(y, self.b(x).relu(), alpha=3)
        return self.c(torch.rsub(z, self.a(x), alpha=2))


class SumsInPlace(Sums):
    def forward(self, x):
        y = self.a(x).add_(self.b(x), alpha=-0.5).sub_(1.5, alpha=2)
        z = torch.addmm(y, x, self.a.weight.T, beta=0.5, alpha=3)
        return {"out": self.c(z), "bmm": torch.baddbmm(z.unsqueeze(1), z.unsqueeze(1), z.new_ones(1, 6, 6), beta=2)}


class SumsOfWholeNumbers(Base):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(400, 4)

    def forward(self, k):
        code = torch.add(k, 40, alpha=2)
        return {"code": code, "out": self.table(torch.add(code, k, alpha=1)).mean(1)}


class Same(Base):
    """``padding="same"`` of even kernels: one zero more behind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, (32, 1), padding="same"), nn.ReLU(),
            nn.Conv2d(8, 8, (4, 1), padding="same", dilation=(3, 1)), nn.ReLU6(),
        )  # fmt: skip
        self.line = nn.Sequential(nn.Conv1d(8, 8, 6, padding="same", groups=8), nn.ReLU())
        self.out = nn.Linear(8, 4)

    def forward(self, x):
        y = self.conv(x.reshape(1, 1, 256, 1)).squeeze(3)
        return self.out(self.line(y).mean(2))


class SameByFunctions(Base):
    """One number for two axes; kernels of even and odd size."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 3, 4, 4) * 0.1)
        self.conv, self.out = nn.Conv2d(6, 6, (2, 5), padding="same", dilation=(3, 2)), nn.Linear(6, 4)

    def forward(self, x):
        y = F.conv2d(x, self.weight, padding=1, dilation=2, stride=1)
        y = F.conv2d(y.relu(), self.weight.transpose(0, 1), padding="same")
        y = F.conv2d(y.relu(), self.weight, padding="valid")
        return self.out(self.conv(y).relu().mean((2, 3)))


class SameOnALine(Base):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, 8, 2, padding="same"), nn.ReLU(), nn.Conv1d(8, 8, 8, padding="same", dilation=2)
        )

    def forward(self, x):
        return self.body(x.unsqueeze(1)).amax(2)


class Pads(Base):
    """Pads that crop on one side, one with a value; by reflection, by repetition, around the corner."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
        self.b = nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular")
        self.c = nn.Conv2d(8, 8, 3, padding=1, padding_mode="replicate")
        self.out = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x = F.pad(x, (-2, 2, 1, -1), value=0.7)
        y = self.c(self.b(self.a(x).relu()).relu())
        y = F.pad(y, (1, -3, 0, -2), value=-1.5)
        return self.out(y).mean((2, 3))


class Crops(Base):
    def forward(self, x):
        return {"crop": F.pad(x, (-1, -2, -3, 0)), "channels": F.pad(x, (0, 0, 0, 0, -1, 1)), "all": F.pad(x, [-1] * 4)}


class CropsOnALine(Base):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 5, padding=4)

    def forward(self, x):
        y = F.pad(self.conv(x.unsqueeze(1)), (0, -4))  # as causal convolutions are written
        return {"causal": y, "mirrored": F.pad(y, (-3, 6), mode="reflect"), "round": F.pad(y, (5, -1), mode="circular")}


class Resizes(Base):
    """Every way to change size in a segmentation head, with odd sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.pre, self.shuffled = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 1)

    def forward(self, x):
        f = self.pre(x).relu()
        return {
            "bilinear": F.interpolate(f, size=(23, 17), mode="bilinear", align_corners=False),
            "aligned": F.interpolate(f, scale_factor=2, mode="bilinear", align_corners=True),
            "nearest": F.interpolate(f, size=(16, 25), mode="nearest"),
            "shuffle": F.pixel_shuffle(self.shuffled(f), 2),
            "pool": F.adaptive_avg_pool2d(f, (4, 5)),
            "max": F.max_pool2d(f, 3, 2, 1, ceil_mode=True),
            "avg": F.avg_pool2d(f, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        }


class ResizesToTheNearest(Base):
    def forward(self, x):
        return {
            "down": F.interpolate(x, size=(7, 4), mode="nearest"),
            "factor": F.interpolate(x, scale_factor=(1.7, 0.6), mode="nearest"),
            "exact": F.interpolate(x, size=(16, 25), mode="nearest-exact"),
            "twice": F.interpolate(x, scale_factor=2, mode="nearest"),
        }


class ResizesALine(Base):
    def forward(self, x):
        line = x.flatten(2)
        return {"longer": F.interpolate(line, size=150, mode="nearest"), "shorter": F.interpolate(line, size=31)}


class WholeNumbers(Base):
    """Floor division and remainder of negative whole numbers, rounding of halves, casts that cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(17, 8), nn.Linear(8, 3)

    def forward(self, x, k):
        h = self.table(torch.remainder(k * 7 - 3, 17)).mean(1)
        r = torch.round(x * 2) / 2 + torch.floor_divide(x, 0.3) * 0.1 + torch.fmod(x, 0.7) + x.to(torch.int32).float()
        return {
            "scores": self.out(h + r), "bucket": torch.div(k, 4, rounding_mode="floor"),
            "round": torch.round(x * 2.5), "trunc": torch.trunc(x * 3),
        }  # fmt: skip


class Hashes(Base):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(32, 8), nn.Linear(8, 3)

    def forward(self, k):
        codes = (k * 31 + 7 - k // 3) % 32
        return {"codes": codes, "scores": self.out(self.table(codes).mean(1)), "square": k**2, "mod": torch.fmod(k, 7)}


class Buckets(Base):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(16, 8), nn.Linear(8, 3)

    def forward(self, x, k):
        bucket = ((x * 2).floor().to(torch.int64) + k.sum(1, keepdim=True)) & 15
        scores = self.out(self.table(bucket).mean(1) + x)
        hot, sign = F.one_hot(bucket[:, :3], 16), torch.sign(k)
        return {"bucket": bucket, "scores": scores, "rest": x % 0.3, "hot": hot, "sign": sign}


class Encoder(Base):
    """PyTorch's own encoder layer with a padding mask; its layers are copies of each other."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(40, 32, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(1, 10, 32) * 0.3)
        layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True, norm_first=True)
        self.encoder, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 4)

    def forward(self, ids):
        mask = ids == 0
        y = self.encoder(self.table(ids) + self.positions, src_key_padding_mask=mask)
        return self.out(y.masked_fill(mask.unsqueeze(-1), 0).sum(1) / (~mask).sum(1, keepdim=True))


class Tied(Base):
    """The table of words is the output layer, positions go beyond the sequence, and one layer is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.positions = nn.Embedding(40, 32), nn.Embedding(512, 32)
        self.body, self.unused = nn.Linear(32, 32), nn.Linear(200, 200)
        self.out = nn.Linear(32, 40, bias=False)
        self.out.weight = self.table.weight

    def forward(self, ids):
        h = self.table(ids) + self.positions(torch.arange(ids.shape[1]))
        return self.out(self.body(h).relu().mean(1))


class Repeated(Base):
    """The same layer eight times, and a causal mask for a far longer sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.body, self.out = nn.Embedding(40, 32), nn.Linear(32, 32), nn.Linear(32, 4)
        self.register_buffer("mask", torch.full((256, 256), -1e4).triu(1))

    def forward(self, ids):
        h = self.table(ids)
        for _ in range(8):
            scores = h @ h.transpose(1, 2) * 32**-0.5 + self.mask[: ids.shape[1], : ids.shape[1]]
            h = h + self.body(scores.softmax(-1) @ h).tanh()
        return self.out(h.mean(1))


class Spectrogram(Base):
    """Sound in, log spectrogram inside."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.body = nn.Sequential(
            nn.Conv1d(33, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 4)
        )

    def forward(self, sound):
        s = torch.stft(sound, 64, 32, window=self.window, return_complex=True).abs()
        return self.body(torch.log(s + 1e-3))


class Filter(Base):
    """A learned filter between a transform and its reverse."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.out = nn.Parameter(torch.rand(129)), nn.Linear(256, 4)

    def forward(self, sound):
        spectrum = torch.fft.rfft(sound, norm="ortho") * self.gain
        return self.out(torch.fft.irfft(spectrum, n=256, norm="ortho").tanh())


class Plane(Base):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(8, 4)

    def forward(self, x):
        spectrum = torch.fft.fft2(x[:, :, :8, :8])
        return self.out(torch.fft.fftshift(spectrum, (2, 3)).abs().mean((1, 2)) + spectrum.real.mean((1, 2)))


class Returned(Base):
    """The input, one tensor twice, a table, a class and a truth value."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.register_buffer("anchors", torch.arange(6.0).reshape(1, 6))

    def forward(self, x):
        y = self.body(x).relu()
        return {"x": x, "y": y, "again": y, "anchors": self.anchors, "klass": y.argmax(1), "pos": y > 0.1}


class ReadInside(Base):
    """What is returned is read by other layers, too, and the last operator of all reads an output."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 12), nn.Linear(12, 4)

    def forward(self, x):
        e = self.a(x)
        s = self.b(e)
        return {"e": e, "s": s, "again": e, "p": s.softmax(-1), "x": x, "s2": s, "h": e.relu(), "half": e[:, :6]}


class Embedding(Base):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 12)
        )
        self.head = nn.Linear(12, 4)

    def forward(self, image):
        e = self.body(image)
        return {"embedding": e, "scores": self.head(e.relu())}


class Pyramid(Base):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)

    def forward(self, x):
        f = self.a(x).relu()
        g = self.b(f)
        return {"f": f, "g": g, "flat": g.flatten(1), "t": f.permute(0, 2, 3, 1), "split": g[:, 2:5], "again": f}


class Words(Base):
    """Nearly all of it is a table."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.conv = nn.Embedding(3000, 32, padding_idx=0), nn.Conv1d(32, 32, 3, padding=1)
        self.out = nn.Linear(32, 4)

    def forward(self, ids):
        return self.out(self.conv(self.table(ids).transpose(1, 2)).relu().amax(2))


class Recurrent(Base):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.out = nn.GRU(8, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.body(x)[0][:, -1])


class Sensors(Base):
    """Pressure in Pa, a temperature, and a small tilt that decides the class, in one input."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 2))
        with torch.no_grad():
            first = self.body[0]
            first.weight.copy_(torch.randn(32, 3) * torch.tensor([1e-4, 0.02, 3.0]))
            first.bias.copy_(-first.weight @ torch.tensor([101000.0, 20.0, 0.0]))

    def forward(self, x):
        return self.body(x)


class Units(Base):
    """Gives metres and degrees; inside, all is of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
        self.register_buffer("size", torch.tensor([250.0, 90.0]))

    def forward(self, x):
        return self.body(x) * self.size


class LargeInside(Base):
    """Small values in and out, large ones between."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 4)

    def forward(self, x):
        return self.body(x * 40000) / 40000


class Digamma(Base):
    """An operator that no file has."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 4)

    def forward(self, x):
        y = self.body(x).abs() + 1
        return torch.digamma(y)


class Bits(Base):
    """Bits of whole numbers, negative ones too."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 4)

    def forward(self, x):
        k = (x * 10).to(torch.int64)
        return {"out": self.body(x) + torch.bitwise_xor(k, 5)[:, :4].float(), "bits": (k & 11) | (k >> 1), "no": ~k}


class Volumes(Base):
    """Convolutions and pools over three axes, there and back."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(3, 8, (2, 3, 3), padding=(1, 1, 1), stride=(1, 2, 2)), nn.BatchNorm3d(8), nn.ReLU(),
            nn.MaxPool3d(2), nn.Conv3d(8, 8, 3, padding=1, groups=4), nn.ReLU(), nn.AvgPool3d((1, 2, 2)),
        )  # fmt: skip
        self.back, self.out = nn.ConvTranspose3d(8, 4, (1, 2, 2), stride=(1, 2, 2)), nn.Linear(4, 4)

    def forward(self, x):
        y = self.back(self.body(torch.stack([x, x.flip(2), x * 2, x.roll(1, 3)], 2)))
        return {"volume": y, "out": self.out(y.mean((2, 3, 4)))}


class Brain(Digamma):
    """In bfloat16, in which LiteRT computes nothing."""

    def forward(self, x):
        return self.body((x.bfloat16() * 2).float())


SAMPLES: dict[type[Base], dict[str, np.ndarray]] = {
    Sums: {"x": ROWS}, SumsInPlace: {"x": ROWS}, SumsOfWholeNumbers: {"k": WHOLE},
    Same: {"x": SIGNALS}, SameByFunctions: {"x": MAPS}, SameOnALine: {"x": SIGNALS},
    Pads: {"x": MAPS}, Crops: {"x": MAPS}, CropsOnALine: {"x": SIGNALS[:, :64]},
    Resizes: {"x": SMALL_MAPS}, ResizesToTheNearest: {"x": SMALL_MAPS}, ResizesALine: {"x": SMALL_MAPS},
    WholeNumbers: {"x": FIFTHS, "k": WHOLE}, Hashes: {"k": WHOLE}, Buckets: {"x": FIFTHS, "k": WHOLE},
    Encoder: {"ids": IDS}, Tied: {"ids": IDS}, Repeated: {"ids": IDS},
    Spectrogram: {"sound": SOUNDS}, Filter: {"sound": SIGNALS}, Plane: {"x": MAPS},
    Returned: {"x": ROWS}, ReadInside: {"x": ROWS}, Embedding: {"image": MAPS}, Pyramid: {"x": MAPS},
    Words: {"ids": WORDS}, Recurrent: {"x": SERIES},
    Sensors: {"x": SENSORS.astype(np.float32)}, Units: {"x": ROWS}, LargeInside: {"x": ROWS},
    Digamma: {"x": ROWS}, Bits: {"x": ROWS}, Volumes: {"x": MAPS},
    Brain: {"x": ROWS},
}  # fmt: skip
