"""Training a PyTorch model: a plain loop that can be stopped and goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from edgekit.errors import EdgekitError, UsageError
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.outputs import named_tensors
from edgekit.pipeline.sources.torch import build_module, open_module
from edgekit.pipeline.sources.torch_identity import seed_all
from edgekit.pipeline.training.samples import Samples, check_labels, diverged, epoch_of, holds_classes, load_samples
from edgekit.pipeline.training.schedule import learning_rates
from edgekit.pipeline.training.settings import Training
from edgekit.pipeline.training.torch_checkpoint import Checkpoint, read_checkpoint, save_tensors, write_checkpoint
from edgekit.pipeline.work.events import Epoch, Step, emit

_EVALUATION_BATCH = 256
_SECONDS_BETWEEN_EVENTS = 0.2
#: Samples on which the model is looked at before it is trained.
_PROBED = 64

#: Work in a batch's forward pass that is worth one more CPU thread. Smaller networks gain at most a third from a
#: second thread, and when anything else wants the core, its spinning costs them tenfold (measured, torch 2.13).
_FLOPS_PER_THREAD = 1e9


def train(
    *,
    source: Mapping[str, Any],
    training: Mapping[str, Any],
    train: str,
    evaluation: str | None,
    directory: str,
    device: str,
) -> dict[str, Any]:
    """Fit the model and keep the weights that did best on the evaluation data; a task for a worker.

    Started again in the same *directory*, it goes on after the last finished epoch and ends with the weights that an
    uninterrupted run ends with: bit for bit on one CPU with one number of threads.

    Args:
        source: A `SourceSpec` of kind ``torch``, as JSON.
        training: The fields of the project's ``[training]``.
        train, evaluation: Files that `edgekit.pipeline.data.prepare` wrote.
        directory: Where the checkpoint is, and where the weights are to lie.
        device: ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``. On CUDA it computes in mixed precision.

    Returns:
        An `edgekit.pipeline.work.answers.TrainingAnswer`, as JSON.

    Raises:
        UsageError: ``EK-CODE``, ``EK-SOURCE``, ``EK-DATA`` or ``EK-CHECKPOINT``.
        EdgekitError: ``EK-DIVERGED``: the loss is not finite; the checkpoint of the epoch before is left.
    """
    settings, threads = Training.from_json(training), torch.get_num_threads()
    try:
        run = _Run(SourceSpec.from_json(source), settings, train, evaluation, Path(directory), _torch_device(device))
        return run.fit()
    except torch.OutOfMemoryError as error:
        message = "the GPU ran out of memory while training"
        raise EdgekitError("EK-CRASHED", message, "lower training.batch_size") from error
    finally:
        torch.set_num_threads(threads)


class _Run:
    def __init__(
        self,
        spec: SourceSpec,
        training: Training,
        train: str,
        evaluation: str | None,
        directory: Path,
        device: torch.device,
    ):
        self._training, self._directory, self._device = training, directory, device
        self._samples = load_samples(train)
        self._evaluation = None if evaluation is None else load_samples(evaluation)
        seed_all(training.seed)
        self._module = build_module(spec).float()
        first = {name: array[:_PROBED] for name, array in self._samples.inputs.items()}
        opened = open_module(self._module.eval(), spec, first)
        opened.check(
            {spec.name: first[name] for spec, name in zip(opened.signature.inputs, opened.data_names, strict=True)}
        )
        if len(opened.signature.outputs) != 1:
            count = len(opened.signature.outputs)
            raise UsageError("EK-CODE", f"the model gives {count} outputs; training takes one", "train it yourself")
        self._names = opened.data_names
        self._ordered = opened.module
        self._classes = holds_classes(self._samples, training)
        output = opened.signature.outputs[0].shape[1:]
        for samples in filter(None, (self._samples, self._evaluation)):
            check_labels(samples, output, output[0] if self._classes else None)
        if device.type == "cpu":
            torch.set_num_threads(self._threads())
        # Convolutions train twice as fast on the CPU in this layout, and much faster on GPUs in half precision.
        self._module.to(device).to(memory_format=torch.channels_last)
        self._optimizer = _optimizer(self._module, training)
        self._mixed = device.type == "cuda"
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._mixed)
        batch = min(training.batch_size, len(self._samples))
        self._steps = len(self._samples) // batch
        self._rates = learning_rates(training, self._steps * training.epochs)

    def fit(self) -> dict[str, Any]:
        epochs, path = self._training.epochs, self._directory / "checkpoint.pt"
        reached = self._resume(path)
        if reached.epoch < epochs:
            emit(Step("training"))  # and what was read, before there is a checkpoint made of it
        interrupted = False
        try:
            for epoch in range(reached.epoch + 1, epochs + 1):
                began = monotonic()
                loss = self._epoch(epoch)
                metric = None if self._evaluation is None else self._measure(self._evaluation)
                if metric is not None and not np.isfinite(metric):
                    raise diverged("evaluation loss", -metric, epoch, self._training)
                # The later of two equals, as its learning rate was lower; the last where nothing is measured.
                better = metric is None or reached.best_metric is None or metric >= reached.best_metric
                reached = Checkpoint(
                    training=self._training,
                    epoch=epoch,
                    module=self._module.state_dict(),
                    optimizer=self._optimizer.state_dict(),
                    scaler=self._scaler.state_dict(),
                    best=self._weights() if better else reached.best,
                    best_metric=metric if better else reached.best_metric,
                    history=(*reached.history, {"epoch": epoch, "loss": loss, "metric": metric}),
                )
                write_checkpoint(path, reached)
                seconds = monotonic() - began
                emit(Epoch(epoch, epochs, loss, metric, reached.best_metric, self._classes, seconds))
        except KeyboardInterrupt:
            interrupted = True
        weights = self._directory / "weights.pt"
        save_tensors(weights, dict(reached.best))
        return {
            "weights": str(weights),
            "epochs_done": reached.epoch,
            "best_metric": reached.best_metric,
            "counts_labels": self._classes,
            "history": list(reached.history),
            "interrupted": interrupted,
            "device": self._device.type,
            "framework_version": torch.__version__,
            "mixed_precision": self._mixed,
        }

    def _resume(self, path: Path) -> Checkpoint:
        if not path.exists():
            return Checkpoint(self._training, 0, {}, {}, {}, self._weights(), None, ())
        found = read_checkpoint(path, self._training)
        try:
            self._module.load_state_dict(dict(found.module))
            self._optimizer.load_state_dict(dict(found.optimizer))
            if found.scaler and self._mixed:
                self._scaler.load_state_dict(dict(found.scaler))
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            message = f"{path} belongs to another model"
            raise UsageError("EK-CHECKPOINT", message, "delete it, or start again with --fresh") from error
        return found

    def _epoch(self, epoch: int) -> float:
        """One pass over the training data; its mean loss."""
        seed_all(self._training.seed + 1000003 * epoch)
        self._module.train()
        samples = epoch_of(self._samples, self._training, epoch, channels_last=False)
        batch = len(samples) // self._steps
        total = torch.zeros((), device=self._device)
        told = monotonic()
        for step in range(self._steps):
            part = slice(step * batch, (step + 1) * batch)
            for group in self._optimizer.param_groups:
                group["lr"] = float(self._rates[(epoch - 1) * self._steps + step])
            with torch.autocast(self._device.type, torch.float16, enabled=self._mixed):
                loss = self._loss(self._run(samples, part), samples.labels[part])
            self._optimizer.zero_grad()
            self._scaler.scale(loss).backward()
            self._scaler.step(self._optimizer)
            self._scaler.update()
            total += loss.detach()
            if monotonic() - told >= _SECONDS_BETWEEN_EVENTS:
                told = monotonic()
                self._finite(total, step + 1, epoch)
                emit(Step("training", step + 1, self._steps))
        return self._finite(total, self._steps, epoch)

    def _measure(self, samples: Samples) -> float:
        self._module.eval()
        total = 0.0
        with torch.no_grad():
            for start in range(0, len(samples), _EVALUATION_BATCH):
                part = slice(start, start + _EVALUATION_BATCH)
                scores, labels = self._run(samples, part), samples.labels[part]
                if self._classes:
                    total += 100.0 * int((scores.argmax(1) == self._tensor(labels)).sum()) / labels[0].size
                else:
                    total -= len(labels) * float(self._loss(scores, labels))
        return total / len(samples)

    def _run(self, samples: Samples, part: slice) -> torch.Tensor:
        tensors = [self._tensor(samples.inputs[name][part]) for name in self._names]
        ((_, scores),) = named_tensors(self._ordered(*tensors))
        return scores

    def _loss(self, scores: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
        if self._classes:
            return functional.cross_entropy(scores, self._tensor(labels).long())
        target = self._tensor(labels.astype(np.float32)).reshape(scores.shape)
        if self._training.loss == "cross-entropy":
            return functional.cross_entropy(scores, target)
        return (functional.mse_loss if self._training.loss == "mse" else functional.l1_loss)(scores, target)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array).to(self._device, non_blocking=True)
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    def _finite(self, total: torch.Tensor, steps: int, epoch: int) -> float:
        loss = float(total) / steps
        if not np.isfinite(loss):
            raise diverged("loss", loss, epoch, self._training)
        return loss

    def _weights(self) -> dict[str, torch.Tensor]:
        """A copy of the weights, on the CPU and in the usual layout."""
        state = self._module.state_dict()
        return {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state.items()
        }

    def _threads(self) -> int:
        batch = slice(0, self._training.batch_size)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self._run(self._samples, batch)
        wanted = int(counter.get_total_flops() / _FLOPS_PER_THREAD)
        return max(1, min(torch.get_num_threads(), wanted))


def _optimizer(module: torch.nn.Module, training: Training) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not parameters:
        raise UsageError("EK-CODE", "the model has no parameters to train", "remove [training] to use it as it is")
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=0.9, nesterov=True, weight_decay=decay, fused=True)
    return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)


def _torch_device(device: str) -> torch.device:
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UsageError("EK-ARGUMENT", "there is no CUDA device here", "leave the device to edgekit, or choose cpu")
    return torch.device("cuda" if available and device != "cpu" else "cpu")
