"""Small PyTorch models for open sizes, as factories: some leave their sizes open, some fix them."""

from __future__ import annotations

import torch
from torch import nn


class Seeded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)


class Image(Seeded):
    """Convolutions, whose result torch lays out otherwise for less than 16 samples."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.scores = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x):
        for layer in (self.first, self.second):
            x = torch.max_pool2d(torch.relu(layer(x)), 2)
        return self.scores(x.flatten(1))


class Recurrent(Seeded):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scores = nn.LSTM(6, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.scores(self.layer(x)[0])


class Attention(Seeded):
    """With positions that are cut to the length, and a mask among the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(24, 16))
        self.embed, self.scores = nn.Linear(6, 16), nn.Linear(16, 5)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.norm = nn.LayerNorm(16)

    def forward(self, x, mask):
        h = self.embed(x) + self.place[: x.shape[1]]
        scores = self.query(h) @ self.key(h).transpose(1, 2) / 4 + (mask[:, None] - 1) * 100
        return self.scores(self.norm(h + scores.softmax(-1) @ self.value(h)))


class Pooled(Seeded):
    """1-D convolutions, one with a stride, a 1-D pool, and a mean over what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(6, 16, 3, padding=1), nn.Conv1d(16, 16, 3, stride=2, padding=1)
        self.scores = nn.Linear(16, 4)

    def forward(self, x):
        h = nn.functional.max_pool1d(torch.relu(self.first(x.transpose(1, 2))), 2)
        return self.scores(torch.relu(self.second(h)).mean(2))


class Normed(Seeded):
    """1-D convolutions and a transposed one, with norms behind and before them, and a value read by two."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.wide = nn.BatchNorm1d(6), nn.Conv1d(6, 8, 3, padding=1)
        self.behind, self.longer = nn.BatchNorm1d(8), nn.ConvTranspose1d(8, 4, 2, stride=2)
        for norm in (self.before, self.behind):
            norm.running_mean, norm.running_var = torch.randn_like(norm.weight), torch.rand_like(norm.weight) + 0.5

    def forward(self, x):
        h = self.wide(self.before(x.transpose(1, 2)))
        return self.longer(torch.relu(self.behind(h)) + h).transpose(1, 2)


class Cut(Seeded):
    """Computes with the smaller of the length and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(6, 4)

    def forward(self, x):
        return self.scores(x[:, : min(8, x.shape[1])]).sum(1)


class Scaled(Seeded):
    """Computes with a fraction of the length."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(6, 4)

    def forward(self, x):
        return self.scores(x).sum(1) + x.shape[1] * 0.1


class Added(Seeded):
    """Adds a table of one length."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.randn(24, 6))
        self.scores = nn.Linear(6, 4)

    def forward(self, x):
        return self.scores(x + self.table)


class Branching(Seeded):
    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(6, 4)

    def forward(self, x):
        return self.scores(x) if x.shape[1] > 10 else self.scores(x) * 2


class Rounded(Seeded):
    """Pools to a size that is rounded up, which torch takes for another one where the length is odd."""

    def forward(self, x):
        return nn.functional.avg_pool1d(x.transpose(1, 2), 2, ceil_mode=True)
