"""A neural network on trees: what formulas of logic are worth, for formulas longer than those it was trained with.

``true and not (false or true)`` is a tree. Each operation is a small network that knows nothing of what its name means;
the trees differ in shape, and `edgekit.batching` computes them together. Takes some ten seconds on a desktop:

    python examples/logic_trees.py
"""

from __future__ import annotations

import random

import torch
from torch import nn

from edgekit.batching import Batched, Node, Plan

FEATURES = 16
MEANINGS = {"not": lambda a: not a, "and": lambda a, b: a and b, "or": lambda a, b: a or b, "xor": lambda a, b: a != b}


def formula(chance: random.Random, leaves: int) -> Node:
    """A random formula with so many constants, each of which has the value 0 or 1."""
    if chance.random() < 0.15:
        return Node("not", (formula(chance, leaves),))
    if leaves == 1:
        return Node("constant", (), chance.randrange(2))
    left = chance.randrange(1, leaves)
    return Node(chance.choice(["and", "or", "xor"]), (formula(chance, left), formula(chance, leaves - left)))


def worth(node: Node) -> int:
    """What *node* is worth, by the meaning of its operations."""
    return int(MEANINGS[node.operation](*map(worth, node.children))) if node.children else node.value


class Cell(nn.Module):
    """An operation: the features ``[nodes, 16]`` of each child in, those of the nodes out."""

    def __init__(self, children: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(children * FEATURES, 2 * FEATURES), nn.ReLU(), nn.Linear(2 * FEATURES, FEATURES), nn.Tanh()
        )

    def forward(self, *children: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(torch.cat(children, dim=1))
        return features


class Logic(nn.Module):
    """Scores ``[formulas, 2]`` of false and true."""

    def __init__(self) -> None:
        super().__init__()
        cells = {"constant": nn.Embedding(2, FEATURES), "not": Cell(1), "and": Cell(2), "or": Cell(2), "xor": Cell(2)}
        self.trees = Batched(cells)
        self.scores = nn.Linear(FEATURES, 2)

    def forward(self, plan: Plan) -> torch.Tensor:
        scores: torch.Tensor = self.scores(self.trees(plan))
        return scores


def main(steps: int = 400) -> tuple[float, float]:
    """Train; gives the accuracy in percent on new formulas of up to 8 constants, as in training, and of 30 to 60."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # the tensors are small
    chance = random.Random(0)
    model = Logic()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(steps):
        formulas = [formula(chance, chance.randint(1, 8)) for _ in range(64)]
        answers = torch.tensor([worth(each) for each in formulas])
        loss = nn.functional.cross_entropy(model(Plan.of(formulas)), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    def accuracy(fewest: int, most: int) -> float:
        formulas = [formula(chance, chance.randint(fewest, most)) for _ in range(1000)]
        with torch.inference_mode():
            answers = model(Plan.of(formulas)).argmax(1)
        return 100 * (answers == torch.tensor([worth(each) for each in formulas])).float().mean().item()

    return accuracy(1, 8), accuracy(30, 60)


if __name__ == "__main__":
    short, long = main()
    print(f"right: {short:.1f} % of formulas as long as in training, {long:.1f} % of formulas of 30 to 60 constants")
