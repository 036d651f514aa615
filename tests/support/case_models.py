"""Small PyTorch models after public bug reports, as factories: each does something that tools have tripped over."""

from __future__ import annotations

import torch
from torch import nn


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)


class Everything(Base):
    """Names of all kinds, nested; a number, a vector without axis, whole numbers, a truth value, the input itself."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.Tanh())
        self.a, self.b, self.c, self.d = (nn.Linear(16, size) for size in (4, 2, 4, 2))
        self.register_buffer("anchors", torch.arange(6.0).reshape(1, 6))

    def forward(self, labels, file):
        h = self.body(labels - file)
        box, score = self.c(h), self.d(h)
        return {
            "p3": {"box": self.a(h), "score": self.b(h)},
            "p4": {"box": box, "score": score},
            "labels": box.argmax(1),
            "file": score.max(),
            "/": score.squeeze(),
            "": score > 0,
            "anchors": self.anchors,
            "again": box,
            "given": labels,
        }


class NestedDict(Base):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(16, size) for size in (4, 2, 4, 2))

    def forward(self, x):
        box3, score3, box4, score4 = (head(self.body(x)) for head in self.heads)
        return {"p3": {"box": box3, "score": score3}, "p4": {"box": box4, "score": score4}}


class Detector(Base):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 32), nn.ReLU())
        self.box, self.classes = nn.Linear(32, 20), nn.Linear(32, 15)

    def forward(self, x):
        h = self.body(x)
        score, label = self.classes(h).reshape(-1, 5, 3).softmax(-1).max(-1)
        return {"boxes": self.box(h).reshape(-1, 5, 4), "labels": label, "scores": score}


class Largest(Base):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x):
        return torch.max(self.body(x))


class TimeFirst(Base):
    """Gives its answer for each step, steps first: ``[T, 1, C]``."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x):
        return self.body(x).transpose(0, 1)


class Camera(Base):
    """Takes bytes as a camera gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]))
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 5)

    def forward(self, image):
        x = image.float() / 255 - self.mean
        return self.head(self.body(x.permute(0, 3, 1, 2)))


class ByTheBatch(Base):
    """Normalises by the extremes of all that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 4)

    def forward(self, x):
        return self.body((x - x.min()) / (x.max() - x.min()))


class Passed(Base):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.register_buffer("anchors", torch.arange(6.0).reshape(1, 6))

    def forward(self, x):
        y = self.body(x).relu()
        return {"x": x, "y": y, "again": y, "anchors": self.anchors, "klass": y.argmax(1), "positive": y > 0.1}


class Words(Base):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(40, 8), nn.Linear(8, 4)

    def forward(self, ids):
        return self.head(self.table(ids).mean(1))


class TwoEyes(Base):
    """Two inputs of one shape, by no means the same."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, depth, rgb):
        return self.left(depth).tanh() - 3 * self.right(rgb)


def scripted() -> nn.Module:
    return torch.jit.trace(TwoEyes().eval(), (torch.zeros(1, 8), torch.ones(1, 8)))


class Rope(Base):
    """Makes its table of positions when it is first called."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        if not hasattr(self, "table"):
            self.register_buffer("table", torch.linspace(0, 3, 8).sin())
        return self.head(x * self.table)


class Northing(Base):
    """Metres to the north, millions of them, of which a few hundred are the point: float32 steps by halves there."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.body = nn.BatchNorm1d(8), nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        self.scale.running_mean.fill_(4_500_000)
        self.scale.running_var.fill_(10_000)

    def forward(self, x):
        return self.body(self.scale(x))
