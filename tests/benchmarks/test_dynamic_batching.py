"""Dynamic batching against one structure, sequence or request at a time: one thread, interleaved, medians.

Run with ``pytest -s -n 0 tests/benchmarks/test_dynamic_batching.py``; prints milliseconds of processor time for 64
trees, and requests a second. Bounds: trees 10 times as fast for inference with a plan made before (8 times with
planning), 20 times for training, planning included; requests of 32 features and mixed length 4 times as fast.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from support.tree_lstm import Pair, Word, alone, random_tree
from torch import nn

from edgekit.batching import Batched, Batcher, Plan, Sequences

ROUNDS = 11


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def medians(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of processor time, which counts no other program, of each of *calls*; turns are as long."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    longest = max(timed(call, 1) for call in calls.values())
    repeats = {name: max(1, round(longest / timed(call, 1))) for name, call in calls.items()}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            found[name].append(timed(call, repeats[name]))
    return {name: statistics.median(times) for name, times in found.items()}


def timed(call: Callable[[], object], repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        call()
    return 1000 * (time.process_time() - began) / repeats


@pytest.mark.parametrize("hidden", [64, 150])
def test_tree_lstm(hidden: int) -> None:
    torch.manual_seed(0)
    chance = random.Random(0)
    trees = [random_tree(chance, chance.randint(10, 30)) for _ in range(64)]
    net = Batched({"word": Word(hidden), "pair": Pair(hidden)})
    ready = Plan.of(trees)

    def singly() -> torch.Tensor:
        return torch.cat([alone(net, tree)[0] for tree in trees])

    def together() -> torch.Tensor:
        result: torch.Tensor = net(Plan.of(trees))[0]
        return result

    def planned() -> torch.Tensor:
        result: torch.Tensor = net(ready)[0]
        return result

    def trained(call: Callable[[], torch.Tensor]) -> list[torch.Tensor | None]:
        net.zero_grad()
        call().square().mean().backward()
        return [parameter.grad for parameter in net.parameters()]

    torch.testing.assert_close(together(), singly(), rtol=0, atol=1e-5)
    expected = [gradient.clone() for gradient in trained(singly) if gradient is not None]
    for own, other in zip(trained(together), expected, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-5)

    with torch.inference_mode():
        inferred = medians({"one by one": singly, "together": together, "planned before": planned})
    training = medians(
        {
            "one by one": lambda: trained(singly),
            "together": lambda: trained(together),
            "planned before": lambda: trained(planned),
        }
    )
    for what, times in (("inference", inferred), ("training", training)):
        gains = {name: times["one by one"] / each for name, each in times.items()}
        shown = ", ".join(f"{name} {each:.1f} ms ({gains[name]:.1f}x)" for name, each in times.items())
        print(f"\ntree LSTM, hidden {hidden}, {what}: {shown}", end="")
        if hidden == 64:
            assert gains["planned before"] >= 10 and gains["together"] >= 8
            assert what == "inference" or gains["together"] >= 20


class Classifier(nn.Module):
    """Scores of ten classes for a sentence: embedding, LSTM, linear layer."""

    def __init__(self, hidden: int):
        super().__init__()
        self.embedding, self.head = nn.Embedding(1000, hidden), nn.Linear(hidden, 10)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.last = Sequences(self.lstm, outputs="last")

    def forward(self, sentence: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.lstm(self.embedding(sentence[None]))[0][:, -1])[0]
        return scores

    def several(self, sentences: list[torch.Tensor]) -> list[torch.Tensor]:
        words = self.embedding(torch.cat(sentences)).split([len(sentence) for sentence in sentences])
        return list(self.head(self.last(words)))


@pytest.mark.parametrize("hidden", [32, 64, 128])
def test_requests_of_mixed_length(hidden: int) -> None:
    """Of 8 to 64 words; 256 requests of 8 threads, each of which hands in 32 and then waits for the results."""
    torch.manual_seed(0)
    model = Classifier(hidden).eval()
    requests = [torch.randint(0, 1000, (length,)) for length in torch.randint(8, 65, (256,)).tolist()]
    answers: list[torch.Tensor] = []

    def singly() -> None:
        with torch.inference_mode():
            answers[:] = [model(request) for request in requests]

    def call(batch: list[torch.Tensor]) -> list[torch.Tensor]:
        with torch.inference_mode():
            return model.several(batch)

    found: list[list[torch.Tensor]] = [[] for _ in range(8)]

    def client(number: int) -> None:
        futures = [batcher.submit(request) for request in requests[32 * number : 32 * (number + 1)]]
        found[number] = [future.result() for future in futures]

    def together() -> None:
        threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with Batcher(call, max_batch=256, max_wait_ms=2) as batcher:
        times = medians({"one by one": singly, "together": together})
    torch.testing.assert_close(
        torch.stack([row for rows in found for row in rows]), torch.stack(answers), rtol=0, atol=1e-5
    )
    gain = times["one by one"] / times["together"]
    rates = ", ".join(f"{name} {256_000 / each:,.0f}/s" for name, each in times.items())
    print(f"\nLSTM requests, hidden {hidden}: {rates} ({gain:.1f}x)", end="")
    if hidden == 32:
        assert gain >= 4
