"""What an app makes of a picture or a series is, to the last bit, what the training made of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from integration.conftest import PICTURE_PREPROCESSING, SERIES, SERIES_PREPROCESSING, write_starter
from PIL import Image
from support.sources import npm

from edgekit.bundle import Bundle
from edgekit.runtime.preprocess import Preprocessing

TEMPLATES = Path(__file__).parents[2] / "edgekit" / "integration" / "templates"
PAGE = Path(__file__).parents[2] / "edgekit" / "devices" / "browser" / "page"
LIBRARIES = Path(__file__).parents[1] / "support" / "app_libraries"
#: Height and width of pictures: larger, smaller, as they are, long, and with halves to round.
SIZES = [(100, 61), (10, 9), (24, 20), (17, 300), (27, 23), (1, 1), (240, 200)]


def picture(height: int, width: int) -> np.ndarray:
    """Noise over a slope, opaque: RGBA, uint8."""
    rng = np.random.default_rng(height * width)
    slope = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, 4))
    pixels = np.clip(slope + rng.normal(0, 80, (height, width, 4)), 0, 255).astype(np.uint8)
    pixels[..., 3] = 255
    return pixels


def expected(rgba: np.ndarray, preprocessing: Preprocessing, channels: int) -> np.ndarray:
    """What Pillow and `Preprocessing.apply` make of a picture."""
    rgb = Image.fromarray(rgba[..., :3])
    return preprocessing.apply(np.asarray(rgb.convert("L") if channels == 1 else rgb), rank=3)


def in_node(script: str, folder: Path) -> None:
    for script_file in (TEMPLATES / "javascript" / "processing.js", PAGE / "bicubic.js"):
        (folder / script_file.name).write_bytes(script_file.read_bytes())
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "script.mjs").write_text(script, encoding="utf-8")
    subprocess.run(["node", "script.mjs"], cwd=folder, check=True, timeout=60)


@pytest.mark.parametrize("layout", ["channels-first", "channels-last"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_in_javascript(channels: int, layout: str, tmp_path: Path) -> None:
    mean, std = (0.485, 0.456, 0.406)[:channels], (0.229, 0.224, 0.225)[:channels]
    preprocessing = replace(PICTURE_PREPROCESSING, mean=mean, std=std, layout=layout)
    for height, width in SIZES:
        (tmp_path / f"{height}x{width}").write_bytes(picture(height, width).tobytes())
    shape = [1, channels, 24, 20] if layout == "channels-first" else [1, 24, 20, channels]
    spoken = {"scale": 1 / 255, "mean": mean, "std": std, "channelsFirst": layout == "channels-first"}
    size = {"height": 24, "width": 20, "channels": channels, "resize": True, "crop": 0.875}
    script = """
      import { readFileSync, writeFileSync } from 'node:fs';
      import { fitImage, prepare } from './processing.js';
      for (const [height, width] of SIZES) {
        const raw = fitImage(new Uint8Array(readFileSync(`${height}x${width}`)), height, width, SIZE);
        writeFileSync(`${height}x${width}.out`, prepare(raw, { name: 'photo', shape: SHAPE }, PREPARATION));
      }
    """
    for name, value in (("SIZES", SIZES), ("SIZE", size), ("SHAPE", shape), ("PREPARATION", spoken)):
        script = f"const {name} = {json.dumps(value)};\n{script}"
    in_node(script, tmp_path)
    for height, width in SIZES:
        made = np.fromfile(tmp_path / f"{height}x{width}.out", np.float32)
        wanted = expected(picture(height, width), preprocessing, channels)
        assert np.array_equal(made, wanted.ravel()), (height, width)


def test_series_and_scores_in_javascript(tmp_path: Path) -> None:
    series = np.random.default_rng(0).normal(0, 3, (40, 6)).astype(np.float32)
    scores = np.random.default_rng(1).normal(0, 3, 5).astype(np.float32)
    series.tofile(tmp_path / "series")
    spoken = {"scale": 1, "mean": SERIES_PREPROCESSING.mean, "std": SERIES_PREPROCESSING.std, "channelsFirst": True}
    script = f"""
      import {{ readFileSync, writeFileSync }} from 'node:fs';
      import {{ fitImage, largestDifference, prepare, rank, softmax }} from './processing.js';
      const raw = new Float32Array(new Uint8Array(readFileSync('series')).buffer);
      const input = {{ name: 'movement', shape: {list(SERIES.inputs[0].shape)} }};
      writeFileSync('series.out', prepare(raw, input, {json.dumps(spoken)}));
      const scores = {scores.tolist()};
      let refused = 0;
      try {{ prepare([1, 2], input, {json.dumps(spoken)}); }} catch {{ refused++; }}
      const fixed = {{ height: 2, width: 2, channels: 1, resize: false, crop: 1 }};
      try {{ fitImage(new Uint8Array(36).fill(255), 3, 3, fixed); }} catch {{ refused++; }}
      const clear = new Uint8Array(16).fill(255);
      clear[7] = 254;
      try {{ fitImage(clear, 2, 2, fixed); }} catch (error) {{ refused += error.message.includes('transparent'); }}
      const pairs = [[[1, 2], [1, 2.5]], [[1], [NaN]], [[1], []]];
      const differences = pairs.map((pair) => largestDifference(...pair));
      writeFileSync('rest.json', JSON.stringify(
        {{ softmax: softmax(scores), rank: rank(scores, ['a', 'b', 'c'], 2), refused, differences }}));
    """
    in_node(script, tmp_path)
    made = np.fromfile(tmp_path / "series.out", np.float32)
    assert np.array_equal(made, SERIES_PREPROCESSING.apply(series, rank=2).ravel())
    rest = json.loads((tmp_path / "rest.json").read_text())
    powers = np.exp(scores.astype(np.float64))
    assert np.allclose(rest["softmax"], powers / powers.sum())
    order = np.argsort(-scores)[:2]
    assert [each["label"] for each in rest["rank"]] == [["a", "b", "c", "3", "4"][index] for index in order]
    assert rest["refused"] == 3
    assert rest["differences"] == [0.5, None, None]  # JSON has no NaN


KOTLIN_MAIN = """
package {package}

import android.content.Context
import android.graphics.Bitmap
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

private fun write(name: String, values: FloatArray) {{
    val bytes = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
    bytes.asFloatBuffer().put(values)
    File(name).writeBytes(bytes.array())
}}

fun proof(folder: File) {{
    val input = ModelSpec.INPUTS[0]
    {samples}
    val model = Model(Context(folder))
    val outputs = model.run(ModelSpec.INPUTS.associate {{ it.name to FloatArray(it.count) }})
    println("{package} " + model.selfTest() + " " + model.rank(outputs)[0].label)
    val answers = File(folder, "answers.bin")
    val right = answers.readBytes()
    answers.writeBytes(ByteArray(right.size))
    val refused = runCatching {{ model.selfTest() }}.exceptionOrNull()!!.message
    println(refused)
    answers.writeBytes(right)
    model.close()
}}
"""
KOTLIN_PICTURE = """
    for (size in listOf({sizes})) {{
        val (height, width) = size
        val bytes = File("${{height}}x${{width}}").readBytes()
        val colours = IntArray(height * width) {{ pixel ->
            val (red, green, blue, alpha) = IntArray(4) {{ bytes[4 * pixel + it].toInt() and 0xff }}
            (alpha shl 24) or (red shl 16) or (green shl 8) or blue
        }}
        val raw = readImage(Bitmap(colours, width, height), ModelSpec.IMAGE!!)
        write("{package}-${{height}}x${{width}}", Processing.prepare(raw, input, ModelSpec.PREPARATION))
    }}
"""
KOTLIN_SERIES = """
    val values = ByteBuffer.wrap(File("series").readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    val raw = FloatArray(input.count).also { values.get(it) }
    write("series.out", Processing.prepare(raw, input, ModelSpec.PREPARATION))
"""


@pytest.mark.slow
@pytest.mark.system
def test_starters_compile_and_work_in_kotlin(
    picture_bundle: Path, series_bundle: Path, pair_bundle: Path, tmp_path: Path
) -> None:
    """Real Kotlin, compiled by JetBrains' compiler; Android and the two libraries are stand-ins."""
    (tmp_path / "package.json").write_text("{}")
    npm(tmp_path, "kotlin-compiler@2.4.20")
    home = tmp_path / "node_modules" / "kotlin-compiler"
    for height, width in SIZES:
        (tmp_path / f"{height}x{width}").write_bytes(picture(height, width).tobytes())
    series = np.random.default_rng(0).normal(0, 3, (40, 6)).astype(np.float32)
    series.tofile(tmp_path / "series")
    sizes = ", ".join(f"listOf({height}, {width})" for height, width in SIZES)
    sources = list(LIBRARIES.glob("*.kt"))
    calls = []
    for bundle, variant, samples in (
        (picture_bundle, "fp32.tflite", KOTLIN_PICTURE),
        (series_bundle, "fp32.pte", KOTLIN_SERIES),
        (pair_bundle, "fp32.tflite", ""),
        (pair_bundle, "fp32.pte", ""),
    ):
        package = f"starter{len(calls)}"
        folder = write_starter(bundle, "android", tmp_path / package, variant)
        for path in sorted(folder.rglob("*.kt")):
            path.write_text(path.read_text(encoding="utf-8").replace("package edgekit.starter", f"package {package}"))
            sources.append(path)
        samples = samples.format(sizes=sizes, package=package) if samples == KOTLIN_PICTURE else samples
        (tmp_path / f"{package}.kt").write_text(KOTLIN_MAIN.format(package=package, samples=samples))
        sources.append(tmp_path / f"{package}.kt")
        assets = folder / "app" / "src" / "main" / "assets"
        with Bundle.open(bundle) as opened:
            signature = opened.manifest.signature
        counts = [[int(np.prod(spec.shape)) for spec in side] for side in (signature.inputs, signature.outputs)]
        (assets / "sizes.txt").write_text("\n".join(" ".join(map(str, side)) for side in counts))
        (assets / "answers.bin").write_bytes((assets / "check.bin").read_bytes()[4 * sum(counts[0]) :])
        calls.append(f'{package}.proof(java.io.File("{assets}"))')
    (tmp_path / "main.kt").write_text(f"fun main() {{\n{chr(10).join(calls)}\n}}\n")
    compiler = ["java", "-Xmx1g", "-cp", str(home / "lib" / "kotlin-compiler.jar")]
    compiler += ["org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-kotlin-home", str(home), "-no-reflect", "-Werror"]
    arguments = [*compiler, "-d", "starters.jar", *map(str, sources), "main.kt"]
    process = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stderr
    program = ["java", "-cp", f"starters.jar:{home / 'lib' / 'kotlin-stdlib.jar'}", "MainKt"]
    process = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert [line.split()[:2] for line in lines[::2]] == [[f"starter{index}", "0.0"] for index in range(4)]
    assert all("off, more than" in line for line in lines[1::2])
    assert lines[0].split()[2] in ("ant", "bee", "cat", "dog", "elk") and lines[4].split()[2].isdigit()
    for height, width in SIZES:
        wanted = expected(picture(height, width), PICTURE_PREPROCESSING, 3)
        made = np.fromfile(tmp_path / f"starter0-{height}x{width}", np.float32)
        assert np.array_equal(made, wanted.ravel()), (height, width)
    made = np.fromfile(tmp_path / "series.out", np.float32)
    assert np.array_equal(made, SERIES_PREPROCESSING.apply(series, rank=2).ravel())
