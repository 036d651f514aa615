"""Training a Keras model with ``fit``, one call for each epoch: it can be stopped and goes on where it was."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.keras import open_model
from edgekit.pipeline.training.keras_checkpoint import KerasCheckpoint, read_checkpoint, write_checkpoint
from edgekit.pipeline.training.samples import Samples, check_labels, diverged, epoch_of, holds_classes, load_samples
from edgekit.pipeline.training.schedule import learning_rates
from edgekit.pipeline.training.settings import Training
from edgekit.pipeline.work.events import Epoch, Step, emit
from edgekit.writing import write_error

_SECONDS_BETWEEN_EVENTS = 0.2


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

    Arguments, results and errors are those of `edgekit.pipeline.training.torch_loop.train`; ``weights`` is a
    ``.keras`` file. A model that the project's Python has compiled keeps its own loss and optimizer.
    """
    gpu = bool(tf.config.list_physical_devices("GPU"))
    if device == "cuda" and not gpu:
        raise UsageError("EK-ARGUMENT", "there is no CUDA device here", "leave the device to edgekit, or choose cpu")
    mixed = gpu and device != "cpu"
    tf.config.experimental.enable_op_determinism()
    settings = Training.from_json(training)
    keras.utils.set_random_seed(settings.seed % 2**32)
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16" if mixed else "float32")
    try:
        with tf.device("/GPU:0" if mixed else "/CPU:0"):
            run = _Run(SourceSpec.from_json(source), settings, train, evaluation, Path(directory))
            reached, interrupted = run.fit()
            weights = run.save(reached)
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    return {
        "weights": str(weights),
        "epochs_done": reached.epoch,
        "best_metric": reached.best_metric,
        "counts_labels": run.counts_labels,
        "history": list(reached.history),
        "interrupted": interrupted,
        "device": "cuda" if mixed else "cpu",
        "framework_version": f"keras {keras.__version__}, tensorflow {tf.__version__}",
        "mixed_precision": mixed,
    }


class _Run:
    def __init__(self, spec: SourceSpec, training: Training, train: str, evaluation: str | None, directory: Path):
        self._training = training
        self._checkpoint = directory / "checkpoint.npz"
        self._weights = directory / "weights.keras"
        self._samples = load_samples(train)
        self._evaluation = None if evaluation is None else load_samples(evaluation)
        self._model = open_model(spec)
        if len(self._model.outputs) != 1:
            count = len(self._model.outputs)
            raise UsageError("EK-CODE", f"the model gives {count} outputs; training takes one", "train it yourself")
        if not self._model.trainable_variables:
            raise UsageError("EK-CODE", "the model has no weights to train", "remove [training] to use it as it is")
        self._output = tuple(self._model.outputs[0].shape[1:])
        self.counts_labels = holds_classes(self._samples, training)
        for samples in filter(None, (self._samples, self._evaluation)):
            self._check(samples)
        self._batch = min(training.batch_size, len(self._samples))
        steps = len(self._samples) // self._batch * training.epochs
        self._loss = self._make_loss()
        if not self._model.compiled:
            self._model.compile(_optimizer(training, learning_rates(training, steps)), self._loss, jit_compile=False)
        self._model.optimizer.build(self._model.trainable_variables)

    def fit(self) -> tuple[KerasCheckpoint, bool]:
        """What was reached, and whether Ctrl-C ended it."""
        reached = self._resume()
        epochs = self._training.epochs
        if reached.epoch < epochs:
            emit(Step("training"))  # and what was read, before there is a checkpoint made of it
        try:
            for epoch in range(reached.epoch + 1, epochs + 1):
                began = monotonic()
                loss = self._epoch(epoch)
                metric = None if self._evaluation is None else self._measure(self._evaluation)
                if metric is not None and not np.isfinite(metric):
                    raise diverged("evaluation loss", -metric, epoch, self._training)
                reached = replace(
                    reached,
                    epoch=epoch,
                    state=[keras.ops.convert_to_numpy(value) for value in self._variables()],
                    history=(*reached.history, {"epoch": epoch, "loss": loss, "metric": metric}),
                )
                # The later of two equals, as its learning rate was lower; the last where nothing is measured.
                if metric is None or reached.best_metric is None or metric >= reached.best_metric:
                    reached = replace(reached, best=self._model.get_weights(), best_metric=metric)
                write_checkpoint(self._checkpoint, reached)
                seconds = monotonic() - began
                emit(Epoch(epoch, epochs, loss, metric, reached.best_metric, self.counts_labels, seconds))
        except KeyboardInterrupt:
            return reached, True
        return reached, False

    def save(self, reached: KerasCheckpoint) -> Path:
        """Write the best weights as a whole model."""
        self._model.set_weights(list(reached.best))
        part = self._weights.with_name("part.keras")
        try:
            self._model.save(part, include_optimizer=False)
            os.replace(part, self._weights)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise write_error(self._weights, error) from error
        return self._weights

    def _epoch(self, epoch: int) -> float:
        """One pass over the training data; its mean loss."""
        samples = epoch_of(self._samples, self._training, epoch, channels_last=True)
        watch = _Watch(len(samples) // self._batch)
        history = self._model.fit(
            self._inputs(samples),
            self._targets(samples),
            batch_size=self._batch,
            initial_epoch=epoch - 1,
            epochs=epoch,
            shuffle=False,
            verbose=0,
            callbacks=[watch],
        )
        loss = watch.bad if watch.bad is not None else float(history.history["loss"][0])
        if not np.isfinite(loss):
            raise diverged("loss", loss, epoch, self._training)
        return loss

    def _measure(self, samples: Samples) -> float:
        scores = self._model.predict(self._inputs(samples), batch_size=256, verbose=0)
        if self.counts_labels:
            return 100.0 * float((scores.argmax(-1) == samples.labels.reshape(scores.shape[:-1])).mean())
        return -float(np.mean(keras.ops.convert_to_numpy(self._loss(self._targets(samples), scores))))

    def _make_loss(self) -> keras.losses.Loss:
        if self._training.loss == "mse":
            return keras.losses.MeanSquaredError()
        if self._training.loss == "mae":
            return keras.losses.MeanAbsoluteError()
        logits = not _ends_in_softmax(self._model)
        kind = (
            keras.losses.SparseCategoricalCrossentropy if self.counts_labels else keras.losses.CategoricalCrossentropy
        )
        return kind(from_logits=logits)

    def _inputs(self, samples: Samples) -> list[np.ndarray]:
        if len(samples.inputs) == 1:
            return list(samples.inputs.values())
        return [samples.inputs[tensor.name] for tensor in self._model.inputs]

    def _targets(self, samples: Samples) -> np.ndarray:
        if self.counts_labels:
            return samples.labels
        return samples.labels.astype(np.float32).reshape((-1, *self._output))

    def _check(self, samples: Samples) -> None:
        names = {tensor.name for tensor in self._model.inputs}
        if len(names) != len(samples.inputs) or (len(names) > 1 and names != set(samples.inputs)):
            given = ", ".join(samples.inputs)
            message = f"the model takes {', '.join(sorted(names))}, the data gives {given}"
            raise UsageError("EK-DATA", message, "name them alike")
        for array, tensor in zip(self._inputs(samples), self._model.inputs, strict=True):
            if array.shape[1:] != tuple(tensor.shape[1:]):
                raise UsageError(
                    "EK-DATA",
                    f"the model's input {tensor.name!r} takes {list(tensor.shape[1:])}, "
                    f"the data gives samples of shape {list(array.shape[1:])}",
                    "check preprocessing.layout (Keras: channels-last) and the shapes that data.py returns",
                )
        check_labels(samples, self._output, self._output[-1] if self.counts_labels else None)

    def _variables(self) -> list[Any]:
        """Everything that training changes: weights, statistics, states of random numbers, and the optimizer's."""
        return [*self._model.variables, *self._model.optimizer.variables]

    def _resume(self) -> KerasCheckpoint:
        if not self._checkpoint.exists():
            return KerasCheckpoint(self._training, 0, (), self._model.get_weights(), None, ())
        return read_checkpoint(self._checkpoint, self._training, self._variables(), self._model.weights)


class _Watch(keras.callbacks.Callback):
    """Tells how far an epoch is, and ends it once the loss is not finite."""

    def __init__(self, steps: int):
        super().__init__()
        self.bad: float | None = None
        self._steps = steps
        self._told = monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if monotonic() - self._told < _SECONDS_BETWEEN_EVENTS:
            return
        self._told = monotonic()
        emit(Step("training", batch + 1, self._steps))
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            self.bad = loss
            self.model.stop_training = True


class _Rates(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate for each step, from a table."""

    def __init__(self, rates: np.ndarray):
        self._rates = rates

    def __call__(self, step: Any) -> Any:
        last = len(self._rates) - 1
        return keras.ops.take(self._rates, keras.ops.minimum(keras.ops.cast(step, "int32"), last))

    def get_config(self) -> dict[str, Any]:
        return {"rates": self._rates.tolist()}


def _optimizer(training: Training, rates: np.ndarray) -> keras.optimizers.Optimizer:
    if training.optimizer == "sgd":
        return keras.optimizers.SGD(_Rates(rates), momentum=0.9, nesterov=True, weight_decay=training.weight_decay)
    return keras.optimizers.AdamW(_Rates(rates), weight_decay=training.weight_decay, epsilon=1e-8)


def _ends_in_softmax(model: keras.Model) -> bool:
    operation = model.outputs[0]._keras_history.operation
    return (
        isinstance(operation, keras.layers.Softmax)
        or getattr(operation, "activation", None) is keras.activations.softmax
    )
