"""SavedModels as Keras exports them, for any number of samples: with recurrent layers, and a Fourier transform."""

from __future__ import annotations

from pathlib import Path

LAYERS = ("lstm", "gru", "rnn", "bidirectional", "stack")


def save(directory: str) -> None:
    """One SavedModel of each kind; in a TensorFlow process."""
    import keras

    keras.utils.set_random_seed(0)
    layers = {
        "lstm": keras.layers.LSTM(6),
        "gru": keras.layers.GRU(6),
        "rnn": keras.layers.SimpleRNN(6),
        "bidirectional": keras.layers.Bidirectional(keras.layers.LSTM(4)),
        "stack": keras.Sequential([keras.layers.LSTM(6, return_sequences=True), keras.layers.GRU(4)]),
    }
    assert tuple(layers) == LAYERS
    for name, layer in layers.items():
        inputs = keras.Input((12, 5))
        model = keras.Model(inputs, keras.layers.Dense(3)(layer(inputs)))
        model.export(str(Path(directory) / name), format="tf_saved_model", verbose=False)


def save_fourier(directory: str) -> None:
    import keras

    inputs = keras.Input((20,))
    image = keras.ops.reshape(inputs, (-1, 4, 5))
    real, _ = keras.ops.fft2((image, keras.ops.zeros_like(image)))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(real)))
    model.export(str(Path(directory) / "fourier"), format="tf_saved_model", verbose=False)


def convert_as_it_is(directory: str) -> str:
    """The error with which TensorFlow's converter, used as edgekit does, refuses the first."""
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(directory) / LAYERS[0]))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        converter.convert()
    except ConverterError as error:
        return str(error)
    return "none"
