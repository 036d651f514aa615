"""Kinds of source model."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from edgekit.errors import UsageError
from edgekit.registry import registry

#: Distributions whose versions decide what a source model of either framework computes.
TORCH = ("torch", "numpy")
TENSORFLOW = ("tensorflow-cpu", "tensorflow", "keras", "numpy")
PYTENSOR = ("pytensor", *TORCH)
JAX = ("jax", "jaxlib", "flax", "numpy")


@dataclass(frozen=True)
class Bridge:
    """A way for a source to more exporters: a worker writes it as a file of another kind, which they take.

    Attributes:
        kind: Name of that kind.
        write: ``module:function(*, source, output)``, a task. It takes a `edgekit.pipeline.sources.SourceSpec` as JSON
            and the file to write, whose inputs and outputs have the names, order, shapes and types of the source's;
            gives the record of an export; and raises `ConversionError` (``EK-UNSUPPORTED``), naming what has no
            equivalent there.
        family: Of the worker that it runs in.
        packages: Distributions whose versions decide what it writes.
        modules: What has to be importable besides what the source needs.
        install: How to get that.
    """

    kind: str
    write: str
    family: str
    packages: tuple[str, ...]
    modules: tuple[str, ...] = ()
    install: str = ""

    def check_installed(self, what: str) -> None:
        """Raise `UsageError` when a package that it needs is missing; *what* is what people want by it."""
        _check(self.modules, f"{what} needs {{}}, which is not installed", self.install)

    def why_not(self, what: str) -> str:
        """What `check_installed` raises, as a reason; empty where nothing is missing."""
        try:
            self.check_installed(what)
        except UsageError as error:
            return f"{error.message}: {error.hint}"
        return ""


@dataclass(frozen=True)
class SourceKind:
    """One of them.

    Attributes:
        title: What people call such a model, with its article.
        opener: ``module:function(spec: SourceSpec) -> Source``, whose module may import the framework.
        family: Of the worker that opens it (see `edgekit.pipeline.work.pool.FAMILIES`).
        hubs: What an opened one offers exporters, the best first: ``torch`` (``torch_module()``), ``tensorflow``
            (``call()``), ``keras`` (``model``), ``tflite`` (``data``).
        packages: Distributions whose versions decide what it computes.
        modules: What has to be importable to build from it.
        install: How to get that.
        suffix: Of its files; empty where it has none.
        also: Other suffixes that its files have.
        entry: What the name of a file within its archive holds: other files have the same suffixes.
        marker: The file that a folder of it holds; empty for one that is no folder.
        contents: ``module:function`` that reads the bytes of its file, or its folder, as data (see
            `edgekit.pipeline.sources.contents`); empty where there is none.
        beside: ``module:function`` giving, for the path of its file, the files that it has parts in; empty for a file
            that stands alone. Where there is one, *contents* takes the path.
        weights: The same for a file with its weights.
        identity: ``module:function(spec, seed)`` for a factory's model; empty where it has no factories.
        made_weights: Name of the file that keeps what a factory drew.
        shapes: What ``--shape`` is for: ``all`` where the model does not say what goes in (data or ``--shape`` do),
            ``open`` where it fixes what the model leaves open; empty where the model says it all.
        sizes_of_data: Whether what its files leave open is of the data's size where nobody says another.
        takes_constants: Whether ``--constant`` makes a constant of an input.
        weight_files: What its factories take their weights from (``--weights``), for messages; empty for nothing.
        trainer: ``module:function`` that trains it; empty where it is not trained.
        again: How to get a file of it that can be read; empty where there is nothing special to say.
        elsewhere: What to do for a format that it does not give.
        bridge: How it gets to exporters that take none of its hubs; None where it does not.
        has_signatures: Whether ``--signature`` chooses what is built of it.
        signatures: ``module:function(path)`` that reads their names in its file or folder; empty where its framework
            alone can tell.
        recipe: ``module:function(path)`` that reads which recipe its file is in already; empty where that is float32.
    """

    name: str
    title: str
    opener: str
    family: str
    hubs: tuple[str, ...]
    packages: tuple[str, ...]
    modules: tuple[str, ...]
    install: str
    suffix: str = ""
    also: tuple[str, ...] = ()
    entry: str = ""
    marker: str = ""
    contents: str = ""
    beside: str = ""
    weights: str = ""
    identity: str = ""
    made_weights: str = ""
    shapes: Literal["", "all", "open"] = ""
    sizes_of_data: bool = False
    takes_constants: bool = False
    weight_files: str = ""
    trainer: str = ""
    again: str = ""
    elsewhere: str = ""
    bridge: Bridge | None = None
    has_signatures: bool = False
    signatures: str = ""
    recipe: str = ""

    def knows(self, path: Path) -> bool:
        """Whether the file or folder at *path*, which is there, is one of it, by its name and, if need be, contents."""
        if path.is_dir():
            return bool(self.marker) and (path / self.marker).exists()
        suffixes = (self.suffix, *self.also) if self.suffix else ()
        return path.suffix.lower() in suffixes and (not self.entry or _has_entry(path, self.entry))

    def check_installed(self) -> None:
        """Raise `UsageError` when a package that building from it needs is missing."""
        _check(self.modules, "{} is not installed", self.install)


def _check(modules: tuple[str, ...], message: str, install: str) -> None:
    if missing := [module for module in modules if find_spec(module) is None]:
        raise UsageError("EK-MISSING-PACKAGE", message.format(missing[0]), install)


_SOURCES, _CONTENTS = "edgekit.pipeline.sources", "edgekit.runtime.contents"
_WITH_KERAS = "pip install 'edgekit[build,keras]'"
_TORCH_MODULES = ("torch", "executorch", "torchao", "litert_torch", "ai_edge_litert", "ai_edge_quantizer")
_FROM_TORCH = "use --format pt2 as a baseline"


def _to_onnx(source: str) -> Bridge:
    """From what TensorFlow reads, by tf2onnx, to ONNX and so to PyTorch."""
    return Bridge(
        kind="onnx",
        write=f"edgekit.pipeline.bridges.{source}:write",
        family="tensorflow",
        packages=(*TENSORFLOW, "tf2onnx", "onnx"),
        modules=("tensorflow", "tf2onnx", "onnx"),
        install="pip install 'edgekit[build,tensorflow]'",
    )


def _torch(name: str, title: str, opener: str, extra: str = "", **more: Any) -> SourceKind:
    """What becomes a PyTorch module, with the packages of the install *extra* besides those of every build."""
    needed: dict[str, Any] = {"modules": _TORCH_MODULES, "packages": TORCH, "elsewhere": _FROM_TORCH} | more
    install = f"pip install 'edgekit[build{extra and ','}{extra}]'"
    return SourceKind(name, title, f"{_SOURCES}.{opener}", "torch", ("torch",), install=install, **needed)


def _tensorflow(name: str, title: str, opener: str, **more: Any) -> SourceKind:
    """What TensorFlow alone computes, with shapes left open; where it has several signatures, one is chosen."""
    return SourceKind(
        name,
        title,
        f"{_SOURCES}.{opener}",
        "tensorflow",
        ("tensorflow",),
        TENSORFLOW,
        ("tensorflow", "ai_edge_litert"),
        _WITH_KERAS,
        shapes="open",
        has_signatures=True,
        bridge=_to_onnx("tensorflow"),
        **more,
    )


SOURCE_KINDS = registry(
    "source kind",
    _torch(
        "torch",
        "a PyTorch model",
        "torch:open_source",
        weights=f"{_CONTENTS}.weights:read",
        identity=f"{_SOURCES}.torch_identity:identity",
        made_weights="made.pt",
        shapes="all",
        weight_files="a state_dict in .safetensors, .pt or .pth",
        trainer="edgekit.pipeline.training.torch_loop:train",
    ),
    _torch(
        "pt2",
        "a PyTorch model",
        "pt2:open_source",
        suffix=".pt2",
        contents=f"{_CONTENTS}.pt2:read",
        again="write it with torch.export.save() of this version of torch",
    ),
    _torch(
        "onnx",
        "an ONNX model",
        "onnx:open_source",
        "onnx",
        packages=(*TORCH, "onnx", "onnxruntime"),
        modules=(*_TORCH_MODULES, "onnx", "onnxruntime"),
        suffix=".onnx",
        contents=f"{_CONTENTS}.onnx:read_file",
        beside=f"{_CONTENTS}.onnx:beside",
        again="export it again; onnx.checker.check_model(FILE) says what is wrong with it",
        shapes="open",
        sizes_of_data=True,
        takes_constants=True,
    ),
    _torch(
        "torchscript",
        "a TorchScript program",
        "torchscript_file:open_source",
        suffix=".pt",
        also=(".pth", ".jit", ".ts", ".torchscript"),
        entry="/code/",
        contents=f"{_CONTENTS}.torchscript:read",
        shapes="all",
        again="write it with torch.jit.save() of this version of torch",
    ),
    SourceKind(
        name="keras",
        title="a Keras model",
        opener=f"{_SOURCES}.keras:open_source",
        family="tensorflow",
        hubs=("tensorflow", "keras", "torch"),
        packages=TENSORFLOW,
        modules=("tensorflow", "keras", "ai_edge_litert"),
        install=_WITH_KERAS,
        suffix=".keras",
        also=(".h5", ".hdf5"),
        contents=f"{_CONTENTS}.keras_h5:read_model",
        again="save the whole model again, with model.save('….keras'); weights alone go to model.py:FUNCTION --weights",
        identity=f"{_SOURCES}.keras_identity:identity",
        made_weights="made.weights.h5",
        weight_files="a .weights.h5, .h5 or .keras file",
        trainer="edgekit.pipeline.training.keras_fit:train",
    ),
    SourceKind(
        name="jax",
        title="a JAX model",
        opener=f"{_SOURCES}.jax:open_source",
        family="jax",
        hubs=("jax", "torch"),
        packages=JAX,
        modules=("jax", "litert_converter", *_TORCH_MODULES),
        install="pip install 'edgekit[build,jax]'",
        identity=f"{_SOURCES}.jax_identity:identity",
        made_weights="made.npz",
        shapes="all",
        elsewhere=_FROM_TORCH,
    ),
    _torch(
        "t7",
        "a Torch7 network",
        "t7:open_source",
        suffix=".t7",
        contents=f"{_CONTENTS}.t7:read",
        shapes="all",
        again="save the network alone, with torch.save('model.t7', model) of Torch7",
    ),
    _torch(
        "pytensor",
        "a PyTensor graph",
        "pytensor:open_source",
        "pytensor",
        packages=PYTENSOR,
        modules=("pytensor", *_TORCH_MODULES),
        identity=f"{_SOURCES}.pytensor:identity",
        made_weights="made.npz",
        shapes="all",
    ),
    _tensorflow(
        "saved-model",
        "a SavedModel",
        "saved_model:open_source",
        marker="saved_model.pb",
        contents=f"{_CONTENTS}.saved_model:check_folder",
        elsewhere="save the Keras model as .keras, or use PyTorch",
        signatures=f"{_CONTENTS}.saved_model:signatures",
    ),
    _tensorflow(
        "tensorflow",
        "a TensorFlow module",
        "tf_module:open_source",
        identity=f"{_SOURCES}.tf_module:identity",
        made_weights="made.npz",
    ),
    _tensorflow(
        "tf-graph",
        "a frozen TensorFlow graph",
        "tf_graph:open_frozen",
        suffix=".pb",
        contents=f"{_CONTENTS}.tf_graph:read",
        again="tf.io.write_graph(GRAPH_DEF, FOLDER, 'model.pb', as_text=False) writes one",
    ),
    _tensorflow(
        "tf-checkpoint",
        "a TensorFlow 1 checkpoint",
        "tf_graph:open_checkpoint",
        suffix=".meta",
        contents=f"{_CONTENTS}.tf_graph:read_checkpoint",
        beside=f"{_CONTENTS}.tf_graph:variables",
        again="write it with tf.compat.v1.train.Saver().save(session, 'model.ckpt')",
    ),
    SourceKind(
        name="tflite",
        title="a LiteRT model",
        opener=f"{_SOURCES}.tflite:open_source",
        family="plain",
        hubs=("tflite",),
        packages=("ai-edge-litert", "numpy"),
        modules=("ai_edge_litert", "ai_edge_quantizer"),
        install="pip install 'edgekit[build]'",
        suffix=".tflite",
        contents=f"{_CONTENTS}.tflite:read",
        again="copy it again, or write it again with its converter",
        shapes="open",
        has_signatures=True,
        bridge=_to_onnx("tflite"),
        signatures=f"{_CONTENTS}.tflite:signatures",
        recipe=f"{_SOURCES}.tflite_recipe:recipe_of",
    ),
)
#: The kind of a factory that nobody says more of.
FACTORY = "torch"


def frameworks() -> list[str]:
    """The kinds that have factories, as ``framework`` in edgekit.toml and ``--framework`` name them."""
    return [kind.name for kind in SOURCE_KINDS if kind.identity]


def kind_of(path: Path) -> str | None:
    """The name of the kind that the file or folder at *path* is of; None for one that is no source."""
    return next((kind.name for kind in SOURCE_KINDS if kind.knows(path)), None)


def _has_entry(path: Path, name: str) -> bool:
    """Whether the file is an archive with something of that *name* in it."""
    import zipfile  # which a device never needs

    try:
        with zipfile.ZipFile(path) as archive:
            return any(name in each for each in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def written() -> str:
    """How users write sources: ``.pt2, .keras, a SavedModel folder or model.py:factory``."""
    files = [kind.suffix or f"{kind.title} folder" for kind in SOURCE_KINDS if kind.suffix or kind.marker]
    return f"{', '.join(files)} or model.py:factory"
