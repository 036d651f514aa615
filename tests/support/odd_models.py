"""Small PyTorch models, each a factory for `SourceSpec`, that do what exported files cannot, or only look like it.

Inputs are called ``x`` and have 8 values, unless a factory says otherwise.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Linear(8, 3), nn.Linear(8, 3)


class WithBuffer(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(1, 8))


class CopiesInto(WithBuffer):
    def forward(self, x):
        y = self.one(x + self.past)
        self.past.copy_(x)
        return y


class Assigns(WithBuffer):
    def forward(self, x):
        y = self.one(x + self.past)
        self.past = x
        return y


class WritesAnIndex(WithBuffer):
    def forward(self, x):
        y = self.one(x + self.past)
        self.past[:, 2] = x[:, 2]
        return y


class RegistersAnew(WithBuffer):
    def forward(self, x):
        y = self.one(x + self.past)
        self.register_buffer("past", x * 0.5)
        return y


class InAPart(Base):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.ReLU(), CopiesInto())

    def forward(self, x):
        return self.block(x)


class KeyValueCache(Base):
    """A decoder step: what it writes is not what it reads for the same sample."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.register_buffer("keys", torch.zeros(1, 4, 8))
        self.register_buffer("values", torch.zeros(1, 4, 8))

    def forward(self, token, position):
        x = self.embedding(token)
        self.keys[:, position[0]] = x[:, 0]
        self.values[:, position[0]] = -x[:, 0]
        mask = torch.arange(4) <= position[0]
        scores = (x @ self.keys.transpose(1, 2)).masked_fill(~mask, -1e9).softmax(-1)
        return self.one(scores @ self.values)


class RunningMean(WithBuffer):
    """Changes little from call to call."""

    def forward(self, x):
        self.past.mul_(0.99).add_(x, alpha=0.01)
        return self.one(x - self.past)


class LongDelay(Base):
    """What comes in is heard after a hundred calls."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("line", torch.zeros(100, 8))

    def forward(self, x):
        y = self.one(x + self.line[:1])
        self.line.copy_(torch.cat([self.line[1:], x]))
        return y


class AttributeKept(Base):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.zeros(1, 8)

    def forward(self, x):
        self.hidden = 0.5 * self.hidden + x
        return self.one(self.hidden)


class QueueKept(Base):
    def __init__(self) -> None:
        super().__init__()
        self.frames: deque[torch.Tensor] = deque(maxlen=2)

    def forward(self, x):
        self.frames.append(x)
        return self.one(sum(self.frames))


class Steps:
    number = 0


class ObjectKept(Base):
    def __init__(self) -> None:
        super().__init__()
        self.steps = Steps()

    def forward(self, x):
        self.steps.number += 1
        return self.one(x) * self.steps.number


class WeightWritten(Base):
    def forward(self, x):
        self.one.weight.mul_(1.01)
        return self.one(x)


class CalibratesItself(WithBuffer):
    """What it was first given decides what it gives from then on."""

    def forward(self, x):
        if not self.past.any():
            self.past.copy_(x)
        return self.one(x - self.past)


STATEFUL = {
    "CopiesInto": "buffer 'past'",
    "Assigns": "buffer 'past'",
    "WritesAnIndex": "buffer 'past'",
    "RegistersAnew": "buffer 'past'",
    "InAPart": "buffer 'block.1.past'",
    "KeyValueCache": "buffers 'keys', 'values'",
    "RunningMean": "buffer 'past'",
    "LongDelay": "buffer 'line'",
    "AttributeKept": "attribute 'hidden'",
    "QueueKept": "attribute 'frames'",
    "ObjectKept": "attribute 'steps'",
    "WeightWritten": "parameter 'one.weight'",
    "CalibratesItself": "buffer 'past'",
}


class KeepsForALook(WithBuffer):
    """Harmless, and yet nothing that torch 2.13 exports: it fails in its own verifier."""

    def forward(self, x):
        self.past = x
        return self.one(x)


class DropoutOn(Base):
    def forward(self, x):
        return self.one(F.dropout(x, 0.1, training=True))


class Noise(Base):
    def forward(self, x):
        return self.one(x + 0.1 * torch.randn_like(x))


class PickedByNumpy(Base):
    def forward(self, x):
        import numpy as np

        return self.one(x) * float(np.random.default_rng().uniform(1, 2))


class InDouble(Base):
    def forward(self, x):
        return self.one(x.double()).float()


class Logarithm(Base):
    def forward(self, x):
        return torch.log(self.one(x))


KEPT_OUTSIDE: dict[str, torch.Tensor] = {}


class GlobalKept(Base):
    def forward(self, x):
        KEPT_OUTSIDE["last"] = 0.5 * KEPT_OUTSIDE.get("last", torch.zeros(1, 8)) + x
        return self.one(KEPT_OUTSIDE["last"])


#: Model -> what is said of it, and the end of the hint.
RANDOM = {
    "DropoutOn": ("bernoulli", "as dropout(x, training=self.training) does"),
    "Noise": ("randn_like", "as dropout(x, training=self.training) does"),
    "PickedByNumpy": ("", "in a global, a file, the clock"),
    "GlobalKept": ("", "in a global, a file, the clock"),
}


class SeedsItself(Base):
    def forward(self, x):
        torch.manual_seed(3)
        return self.one(x + torch.rand(8))  # drawn


class Branch(Base):
    def forward(self, x):
        if x.sum() > 0:  # branch
            return self.one(x)
        return self.two(x)


class InACallee(Base):
    def forward(self, x):
        return halved(self.one(x))


def halved(x):
    while x.norm() > 1:  # loop
        x = x / 2
    return x


class BranchInATry(Base):
    """Keeps to itself what torch says of the branch."""

    def forward(self, x):
        try:
            if x.mean() > 0:  # tried
                return self.one(x)
        except Exception:
            pass
        return self.two(x)


class Asserts(Base):
    def forward(self, x):
        assert (x < 100).all()  # assertion
        return self.one(x)


class PythonNumber(Base):
    def forward(self, x):
        return self.one(x) / float(x.abs().max())  # number


class PythonList(Base):
    def forward(self, x):
        return self.one(x) * x[0].tolist()[0]  # list


class ThroughNumpy(Base):
    def forward(self, x):
        return self.one(x) + torch.from_numpy(x.numpy()).sum()  # numpy


class Masked(Base):
    def forward(self, x):
        return self.one(x) + x[x > 0].sum()  # mask


class Found(Base):
    def forward(self, x):
        return self.one(x), torch.nonzero(x > -100)  # nonzero


class Uniques(Base):
    def forward(self, x):
        return self.one(x) + torch.unique(x.round()).sum()  # unique


class BatchNormOn(Base):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x):
        self.norm.train()
        return self.one(self.norm(x.reshape(1, 2, 4)).reshape(1, 8))  # norm


class BatchNormOfTheBatch(Base):
    def forward(self, x):
        y = F.batch_norm(x.reshape(1, 2, 4), None, None, training=True)  # functional
        return self.one(y.reshape(1, 8))


class OwnBranch(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("flag", torch.tensor(1.0))

    def forward(self, x):
        return self.one(x) if self.flag > 0 else self.two(x)  # own branch


class OwnNumber(OwnBranch):
    def forward(self, x):
        return self.one(x) * self.flag.item()  # own number


class OwnMask(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.arange(8) % 3 == 0)

    def forward(self, x):
        return self.one(x) + x[:, self.mask].sum()  # own mask


#: Model -> what is said of it, and the comment on the line that is named.
UNTRACEABLE = {
    "SeedsItself": ("draws random numbers", "drawn"),
    "Branch": ("branches on its input's values", "branch"),
    "BranchInATry": ("branches on its input's values", "tried"),
    "InACallee": ("branches on its input's values", "loop"),
    "Asserts": ("branches on its input's values", "assertion"),
    "PythonNumber": ("makes a Python number of its input's values", "number"),
    "PythonList": ("makes a Python number of its input's values", "list"),
    "ThroughNumpy": ("takes its tensors' numbers out of torch", "numpy"),
    "Masked": ("makes a tensor whose size depends on its input's values", "mask"),
    "Found": ("makes a tensor whose size depends on its input's values", "nonzero"),
    "Uniques": ("makes a tensor whose size depends on its input's values", "unique"),
    "OwnBranch": ("branches on the values of its own tensors", "own branch"),
    "OwnNumber": ("makes a Python number of the values of its own tensors", "own number"),
    "OwnMask": ("makes a tensor whose size depends on the values of its own tensors", "own mask"),
    "BatchNormOn": ("computes batch norm from the batch itself", "norm"),
    "BatchNormOfTheBatch": ("computes batch norm from the batch itself", "functional"),
}


class Plain(Base):
    def forward(self, x):
        return self.one(x)


class BuiltOnFirstCall(Base):
    table: torch.Tensor | None = None

    def forward(self, x):
        if self.table is None:
            self.table = torch.arange(8.0)
        return self.one(x + self.table)


class RegisteredOnFirstCall(Base):
    def forward(self, x):
        if not hasattr(self, "table"):
            self.register_buffer("table", torch.arange(8.0))
        return self.one(x + self.table)


class TableByLength(Base):
    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[int, torch.Tensor] = {}

    def forward(self, x):
        length = x.shape[1]
        if length not in self.tables:
            self.tables[length] = torch.linspace(0, 1, length)
        return self.one(x + self.tables[length])


class Counts(WithBuffer):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        self.calls += 1
        self.count += 1
        self.past.copy_(x)
        self.last = x  # to look at, afterwards
        return self.one(x)


class DropoutOff(Base):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(0.9), nn.RReLU(), nn.AlphaDropout(0.5), nn.Dropout1d(0.5))

    def forward(self, x):
        return self.one(F.dropout(self.layers(x), 0.5, self.training))


class Recurrent(Base):
    """Layers that could draw random numbers, between them, in training."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTM(8, 4, num_layers=2, dropout=0.5), nn.GRU(4, 4, batch_first=True)
        self.rnn = nn.RNN(4, 8)

    def forward(self, x):
        return self.one(self.rnn(self.gru(self.lstm(x.reshape(1, 1, 8))[0])[0])[0].reshape(1, 8))


class Attention(Base):
    def forward(self, x):
        q = x.reshape(1, 1, 2, 4)
        return self.one(F.scaled_dot_product_attention(q, q, q).reshape(1, 8))


class Where(Base):
    def forward(self, x):
        return torch.where(x.sum() > 0, self.one(x), self.two(x))


class InPlace(Base):
    """Writes to its input."""

    def forward(self, x):
        x.mul_(2).clamp_(min=0)
        return self.one(x)


class ByShape(Base):
    def forward(self, x):
        return self.one(x) if x.shape[1] == 8 and len(x) else self.two(x)


REPEATABLE = (
    "Plain",
    "BuiltOnFirstCall",
    "RegisteredOnFirstCall",
    "TableByLength",
    "Counts",
    "DropoutOff",
    "Recurrent",
    "Attention",
    "Where",
    "InPlace",
    "ByShape",
)


class ByTheBatch(Base):
    """Scales by the extremes of all that it is given."""

    def forward(self, x):
        return (x - x.min()) / (x.max() - x.min())


class GivesWeight(Base):
    """Returns a parameter of its own, too, as models with a learned scale do."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.anchors = nn.Parameter(torch.tensor(2.5)), nn.Parameter(torch.ones(1, 6))

    def forward(self, x):
        y = self.one(x) * self.scale
        return {"y": y, "scale": self.scale, "anchors": self.anchors, "weight": self.two.weight}


class GivesAnchors(Base):
    def __init__(self) -> None:
        super().__init__()
        self.anchors = nn.Parameter(torch.ones(1, 6))

    def forward(self, x):
        return {"y": self.one(x), "anchors": self.anchors}


class OneOnly(Base):
    def forward(self, x):
        return self.one(x.reshape(1, 8))


class NanForZeros(Base):
    """Not a number for two samples of zeros, whether together or apart."""

    def forward(self, x):
        return x / x.std()


class Lookup(Base):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)

    def forward(self, token):
        return self.table(token)


class Scalar(Base):
    def forward(self, x):
        return self.one(x).max()


class Squeezed(Base):
    def forward(self, x):
        return self.one(x).squeeze()


class TimeFirst(Base):
    def forward(self, x):
        return x.reshape(1, 4, 2).permute(1, 0, 2)


class Pair(NamedTuple):
    box: torch.Tensor
    labels: torch.Tensor


class Named(Base):
    def forward(self, x):
        y = self.one(x)
        return Pair(y, 2 * y)


class Levels(Base):
    def forward(self, x):
        y = self.one(x)
        return {"p3": {"box": y, "score": 2 * y}, "p4": [{"box": 3 * y}, {"box": 4 * y}], "none": None}


class ListOfOne(Base):
    def forward(self, x):
        y = self.one(x)
        return [{"boxes": y, "labels": 2 * y}]


class Clashing(Base):
    def forward(self, x):
        y = self.one(x)
        return {"more": (y, 2 * y), "more_0": 3 * y, "more\n0": 4 * y, "more 0": 5 * y}


class OddNames(Base):
    def forward(self, x):
        y = self.one(x)
        names = ["file", "/", "", "n" * 200, "größe", "a\x1b[2J\nb", "\u202egpj", "x.npy", "output", "labels", 7]
        return {name: y * (number + 1) for number, name in enumerate(names)}


NAMES = {
    "Plain": ["output"],
    "Named": ["box", "labels"],
    "Levels": ["p3.box", "p3.score", "p4_0.box", "p4_1.box"],
    "ListOfOne": ["boxes", "labels"],
    "Clashing": ["more_0", "more_1", "more_0_1", "more 0", "more 0_1"],
    "OddNames": [
        "file", "/", "output", "n" * 100, "größe", "a [2J b", "gpj", "x_npy", "output_1", "labels", "7",
    ],
}  # fmt: skip


class ReturnsText(Base):
    def forward(self, x):
        return {"y": self.one(x), "how": "well"}


class ReturnsNothing(Base):
    def forward(self, x):
        return {"y": None}


class ReturnsComplex(Base):
    def forward(self, x):
        return torch.fft.fft(self.one(x))


class ReturnsBfloat16(Base):
    def forward(self, x):
        return self.one(x).bfloat16()


class ReturnsEmpty(Base):
    def forward(self, x):
        return self.one(x)[:, :0]


UNUSABLE = {
    "ReturnsText": "returns str as 'how', not tensors",
    "ReturnsNothing": "returns nothing, not tensors",
    "ReturnsComplex": "'output' is complex64",
    "ReturnsBfloat16": "'output' is bfloat16",
    "ReturnsEmpty": "'output' has no values",
}


class TwoInputs(Base):
    """``depth`` and ``rgb`` have one shape, and are not the same."""

    def forward(self, depth, rgb, scale=None):
        y = self.one(depth) - 5 * self.two(rgb)
        return y if scale is None else y * scale.mean()


class Places(Base):
    def forward(self, *tensors):
        return self.one(tensors[0]) - 5 * self.two(tensors[1])


class Keywords(Base):
    def forward(self, **tensors: torch.Tensor) -> Any:
        return self.one(tensors["depth"]) - 5 * self.two(tensors["rgb"])


class KeywordOnly(Base):
    def forward(self, *, rgb, depth):
        return self.one(depth) - 5 * self.two(rgb)


class Labels(Base):
    """An input called as many call what is learned."""

    def forward(self, labels, file):
        return {"labels": self.one(labels), "file": self.two(file)}


def scripted() -> nn.Module:
    return torch.jit.script(Scriptable().eval())


def traced() -> nn.Module:
    return torch.jit.trace(Scriptable().eval(), (torch.zeros(1, 8), torch.ones(1, 8)))


class Scriptable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, depth, rgb):
        return self.one(depth) - 5 * self.two(rgb)
