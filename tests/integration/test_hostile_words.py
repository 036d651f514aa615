"""Names, labels and reasons that are meant to become code: refused by the schema, or written as the texts they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import changed, write_starter
from integration.test_starters import NATIVE, SCRIPTS, source_faults
from markdown_it import MarkdownIt
from support.bundles import forged
from support.sources import node, string_values

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.errors import BundleError
from edgekit.integration.languages import LANGUAGES
from edgekit.manifest import Manifest

#: What begins or ends something in one of the languages that a starter is written in.
HOSTILE = [
    '"',
    "'",
    "`",
    "``",
    '"""',
    "'''",
    "$name",
    "${System.exit(1)}",
    "$(id) `id`",
    "#{1}",
    "*/ EVIL() /*",
    "// EVIL()",
    "</script><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    "<!-- -->",
    "]]>",
    "&lt;b&gt;",
    "[text](https://example.org)",
    "![picture](https://example.org)",
    "**bold** _it_ ~~gone~~",
    "| a | b |",
    "{{ x }} {% y %} <%= z %>",
    "%s %d {0}",
    "no\u00a0break, z\u200cw\u200dj, wide\u3000blank",
    "größe 全角 😀",
    'it\'s "all" `of` $it ${1+1} */ #{2} </script>',
]
#: One quote alone, and then several at a time, to begin with, to end with and in between.
NAMES = ['"', "'", "`", HOSTILE[-1], *(" ".join(HOSTILE[start : start + 4]) for start in range(0, len(HOSTILE) - 1, 4))]
#: Those of classes may hold backslashes, too.
SLASHED = ["\\", "\\\\", '\\"', "\\'", "\\$x", "\\(fatalError())", "\\u{41}", "\\u0041", "\\n", "ends in \\"]
SUFFIXES = {"android": ".kt", "ios": ".swift", "flutter": ".dart"}
SPECS = {"android": "ModelSpec.kt", "ios": "ModelSpec.swift", "flutter": "spec.dart"}


def renamed(bundle: Path, into: Path, name: str, labels: tuple[str, ...]) -> Path:
    """The bundle, its input and its output by this *name*."""

    def change(manifest: Manifest) -> Manifest:
        signature = manifest.signature
        specs = [replace(spec, name=name) for spec in (*signature.inputs, *signature.outputs)]
        checks = {
            **manifest.checks,
            "inputs": {name: manifest.checks["inputs"]["image"]},
            "outputs": {name: next(iter(manifest.checks["outputs"].values()))},
        }
        signature = replace(signature, inputs=(specs[0],), outputs=(specs[1],))
        named = {"name": name, "class_scores": manifest.class_scores and name}
        return replace(manifest, **named, signature=signature, checks=checks, labels=labels)

    return changed(bundle, into, change)


def texts(markdown: str) -> tuple[str, list[Any]]:
    """The heading of *markdown* as it is read, and all tokens within its lines."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    heading = next(tokens[index + 1] for index, token in enumerate(tokens) if token.type == "heading_open")
    assert not any(token.type in ("html_block", "table_open") for token in tokens)
    return "".join(child.content for child in heading.children or ()), inline


def call_of(readme: str) -> str:
    """The line of the README that runs the model."""
    tokens = MarkdownIt("commonmark").parse(readme)
    (fence,) = (token for token in tokens if token.type == "fence")
    line: str = fence.content.splitlines()[0]
    return line


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_text_in_every_language(small_bundle: Path, name: str, tmp_path: Path) -> None:
    bundle = renamed(small_bundle, tmp_path / "it.edgekit", name, (name, *SLASHED[:3]))
    for platform in (*NATIVE, *SCRIPTS):
        folder = write_starter(bundle, platform, tmp_path / platform)
        assert source_faults(platform, folder) == []
        readme = (folder / "README.md").read_text(encoding="utf-8")
        heading, inline = texts(readme)
        assert heading.startswith(f"{name} "), readme
        kinds = {token.type for token in inline}
        assert kinds <= {"text", "code_inline", "softbreak", "strong_open", "strong_close", "text_special"}, kinds
        assert name in [token.content for token in inline if token.type == "code_inline"]
        if platform in SPECS:
            (spec,) = folder.rglob(SPECS[platform])
            values = string_values(spec.read_text(encoding="utf-8"), SUFFIXES[platform])
            assert values[-3:] == [name, name, name] if platform != "flutter" else values[1:] == [name, name, name]
            assert string_values(call_of(readme), SUFFIXES[platform]) == [name]
        else:
            (spec,) = folder.rglob("spec.js")
            call = call_of(readme).partition("await ")[2]
            script = f"""
              import {{ INPUTS, OUTPUTS, SCORES }} from './{spec.relative_to(folder).as_posix()}';
              const model = {{ predict: Object.keys }}, readImage = () => 0, fitImage = () => 0;
              const [file, rgba, height, width, values, IMAGE] = [];
              const called = eval({json.dumps(call.replace("await ", ""))});
              console.log(JSON.stringify([INPUTS[0].name, OUTPUTS[0].name, SCORES, ...called]));
            """
            if platform == "react-native":
                (folder / "package.json").write_text('{"type": "module"}')
            assert node(folder, script) == [name] * 4


@pytest.mark.parametrize("platform", [*NATIVE, *SCRIPTS])
def test_a_label_is_a_text_everywhere(small_bundle: Path, platform: str, tmp_path: Path) -> None:
    labels = (*HOSTILE, *SLASHED)
    for start in range(0, len(labels), 4):
        some = tuple(f"{label} {number}" for number, label in enumerate((*labels, *labels)[start : start + 4]))
        bundle = changed(small_bundle, tmp_path / f"{start}.edgekit", lambda manifest: replace(manifest, labels=some))  # noqa: B023
        folder = write_starter(bundle, platform, tmp_path / str(start))
        (listed,) = folder.rglob("labels.txt")
        assert listed.read_text(encoding="utf-8") == "".join(f"{label}\n" for label in some)
        assert source_faults(platform, folder) == []
        if platform in SCRIPTS:
            (spec,) = folder.rglob("spec.js")
            (folder / "package.json").write_text('{"type": "module"}')
            place = spec.relative_to(folder).as_posix()
            script = f"import {{ LABELS }} from './{place}'; console.log(JSON.stringify(LABELS))"
            assert node(folder, script) == list(some)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags[tag] += 1
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]] = self.texts.get(self._open[-1], "") + data


def test_a_name_is_a_text_in_a_page(small_bundle: Path, tmp_path: Path) -> None:
    def page(name: str, folder: Path) -> _Page:
        bundle = renamed(small_bundle, folder.with_suffix(".edgekit"), name, ())
        parser = _Page()
        parser.feed((write_starter(bundle, "web", folder) / "index.html").read_text(encoding="utf-8"))
        return parser

    plain = page("plain", tmp_path / "plain")
    for number, name in enumerate(HOSTILE):
        found = page(name, tmp_path / str(number))
        assert found.tags == plain.tags, name
        assert found.texts["title"] == found.texts["h1"] == name


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_does_not_print_is_written_by_its_number(language: str) -> None:
    value = "a\n\r\t\0\x1b\u2028\u202e\U000e0041\ud83d😀\\\"'$x`"
    literal = LANGUAGES[language].text(value)
    assert literal.isprintable()
    if language == "javascript":
        assert node(Path(), f"console.log(JSON.stringify([...{literal}].map((each) => each.codePointAt(0))))") == [
            ord(each) for each in value
        ]
    elif language == "kotlin":  # its grammar and the others' refuse half a pair
        source = LANGUAGES[language].text(value.replace("\ud83d", ""))
        assert string_values(f"val a = {source}", ".kt") == [value.replace("\ud83d", "")]
    else:
        head = {"swift": "let a = ", "dart": "const a = "}[language]
        source = LANGUAGES[language].text(value.replace("\ud83d", ""))
        assert string_values(f"{head}{source};", f".{language}") == [value.replace("\ud83d", "")]


def test_the_oracle_sees_expressions() -> None:
    for suffix, source in {
        ".kt": 'val a = "$b"',
        ".swift": 'let a = "\\(b)"',
        ".dart": "const a = '${b}';",
    }.items():
        with pytest.raises(AssertionError):
            string_values(source, suffix)


Change = Callable[[dict[str, Any], dict[str, bytes]], object]


def _variant(field: str, value: object) -> Change:
    return lambda manifest, files: manifest["variants"][0].update({field: value})


def _field(field: str, value: object) -> Change:
    return lambda manifest, files: manifest.update({field: value})


def _reason(value: object) -> Change:
    return lambda manifest, files: manifest["recommended"].update({"reason": value})


def _file(name: str) -> Change:
    def change(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
        files[name] = files.pop(manifest["variants"][0]["file"])
        manifest["variants"][0]["file"] = name

    return change


def _method(name: str) -> Change:
    return lambda manifest, files: manifest["methods"].update({name: manifest["signature"]})


REFUSED: dict[str, Change] = {
    "a line end in a variant's name": _variant("name", 'fp32.tflite*/\nEVIL("'),
    "a quote in a variant's name": _variant("name", 'fp32"tflite'),
    "a blank in a variant's name": _variant("name", "fp32 tflite"),
    "no variant's name": _variant("name", ""),
    "a long variant's name": _variant("name", "v" * 65),
    "a path as a variant's name": _variant("name", "../fp32"),
    "an option as a variant's name": _variant("name", "--output"),
    "letters of other alphabets in a variant's name": _variant("name", "fp३२"),
    "a backend that is code": _variant("backend", '"; evil()'),
    "a recipe that is code": _variant("recipe", "fp32`id`"),
    "a format that is code": _variant("format", 'tflite"\n'),
    "an engine that is code": _variant("engines", ["litert\n"]),
    "an escape in the target's name": _field("target", "\x1b[2Jtarget"),
    "a line end in the target's name": _field("target", "rpi4\nEVIL()"),
    "a line end in the bundle's name": _field("name", "x\nEVIL()"),
    "a line separator in the bundle's name": _field("name", "x\u2028EVIL()"),
    "a turned direction in the bundle's name": _field("name", "x\u202eyalp"),
    "a long bundle's name": _field("name", "x" * 101),
    "an escape in the producer": _field("producer", "edgekit\x1b]0;own\x07"),
    "a long producer": _field("producer", "x" * 1001),
    "an escape in the reason": _reason("\x1b]0;own\x07\x1b[31m"),
    "lines in the reason": _reason("one\ntwo"),
    "a long reason": _reason("r" * 1001),
    "a reason beside the reason": lambda manifest, files: manifest["recommended"].update({"why": "x"}),
    "a line end in a file's name": _file("variants/fp32\n.tflite"),
    "an escape in a file's name": _file("variants/\x1b[2J.tflite"),
    "a long file's name": _file(f"variants/{'f' * 101}.tflite"),
    "a line end in a method's name": _method("embed\nEVIL()"),
    "no method's name": _method(""),
    "a line end in a label": lambda manifest, files: manifest["labels"].__setitem__(0, "a\nb"),
    "a line end in a tensor's name": lambda manifest, files: manifest["signature"]["inputs"][0].update(name="a\nb"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_words_that_are_more_than_words_are_refused(
    small_bundle: Path, what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = forged(small_bundle, REFUSED[what], tmp_path / "evil.edgekit")
    with pytest.raises(BundleError):
        Bundle.open(bundle)
    assert run(["integrate", str(bundle), "--for", "web", "-o", str(tmp_path / "out")]) == 6
    error, hint = capfd.readouterr().err.splitlines()
    assert error.startswith("error: ") and error.isprintable() and hint.startswith(" hint: ")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.edgekit"]


def test_a_forged_bundle_is_one_as_long_as_its_words_are(small_bundle: Path, tmp_path: Path) -> None:
    """So it is the words that are refused above."""
    longest = "r" * 1000
    bundle = forged(small_bundle, _reason(longest), tmp_path / "it.edgekit")
    with Bundle.open(bundle) as opened:
        opened.verify()
        assert opened.manifest.recommended["reason"] == longest


def test_files_with_marks_in_their_names_are_files(small_bundle: Path, tmp_path: Path) -> None:
    bundle = forged(small_bundle, _file("variants/a b?c#d%41&é.tflite"), tmp_path / "it.edgekit")
    with Bundle.open(bundle) as opened:
        opened.verify()
    write_starter(bundle, "web", tmp_path / "web")
