"""A binary tree LSTM (K. S. Tai et al., 2015), random trees, and its evaluation one node at a time."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import nn

from edgekit.batching import Batched, Node

WORDS = 1000


class Word(nn.Module):
    """A leaf: ``[nodes]`` numbers of words to hidden state and memory ``[nodes, hidden]``."""

    def __init__(self, hidden: int):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, hidden)
        self.gates = nn.Linear(hidden, 3 * hidden)

    def forward(self, word: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        entry, out, update = self.gates(self.embedding(word)).chunk(3, -1)
        memory = entry.sigmoid() * update.tanh()
        return out.sigmoid() * memory.tanh(), memory


class Pair(nn.Module):
    """An inner node, from the states of two."""

    def __init__(self, hidden: int):
        super().__init__()
        self.gates = nn.Linear(2 * hidden, 5 * hidden)

    def forward(self, left: Any, right: Any) -> tuple[torch.Tensor, torch.Tensor]:
        gates = self.gates(torch.cat([left[0], right[0]], -1)).chunk(5, -1)
        entry, keep_left, keep_right, out, update = gates
        memory = entry.sigmoid() * update.tanh() + keep_left.sigmoid() * left[1] + keep_right.sigmoid() * right[1]
        return out.sigmoid() * memory.tanh(), memory


def random_tree(chance: random.Random, leaves: int) -> Node:
    if leaves == 1:
        return Node("word", (), chance.randrange(WORDS))
    left = chance.randrange(1, leaves)
    return Node("pair", (random_tree(chance, left), random_tree(chance, leaves - left)))


def alone(net: Batched, tree: Node) -> Any:
    """State and memory of *tree*, by recursion, with the cells of *net*: words first, then pairs."""
    word, pair = net.cells
    if not tree.children:
        return word(torch.tensor([tree.value]))
    return pair(*(alone(net, child) for child in tree.children))
