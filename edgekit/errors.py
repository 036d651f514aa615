"""What edgekit says when something is wrong: one line, a hint, a code, and where the log is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgekit import display

#: Every code edgekit can report, with what it means. ``edgekit doctor --codes`` prints this table.
CODES = {
    "EK-ARGUMENT": "a command-line argument or function argument is wrong",
    "EK-MISSING-FILE": "a file that was named does not exist or cannot be read",
    "EK-MISSING-PACKAGE": "a Python package that this step needs is not installed",
    "EK-PROJECT": "edgekit.toml is wrong; the message names the line",
    "EK-CODE": "the project's own Python failed or returned something unusable",
    "EK-DATA": "the project's data is empty, malformed, not finite or does not fit the model",
    "EK-TARGET": "the target is unknown or its file is wrong",
    "EK-SPACE": "there is not enough free disk space",
    "EK-FOREIGN": "a folder that edgekit keeps things in is open to others, or what lies there was changed",
    "EK-WRITE": "an output cannot be written",
    "EK-DIVERGED": "training produced a loss that is not finite",
    "EK-CHECKPOINT": "a checkpoint or weight file cannot be read or does not fit the model",
    "EK-UNTRAINED": "the float model's outputs are (near) constant, so no comparison means anything",
    "EK-SOURCE": "the source model cannot be loaded",
    "EK-UNSUPPORTED": "this combination of framework, format, recipe or operator does not convert",
    "EK-EXPORT": "a converter failed",
    "EK-CRASHED": "a worker process died (a signal, or out of memory)",
    "EK-RUN": "an exported file loads or runs with an error in its real engine",
    "EK-QUALITY": "a variant was refused by a check on its outputs, weights or size",
    "EK-LIMIT": "a limit of the project or of a policy was not met",
    "EK-NO-VARIANT": "no variant is left that could be built, loaded or run",
    "EK-BUNDLE": "the bundle is damaged, incomplete or not a bundle",
    "EK-CONTENTS": "a model file holds more than data: an operator, class or file that is not on its format's list",
    "EK-INPUT": "an input does not fit the model's signature",
    "EK-ENGINE": "an engine is unknown, not installed or cannot run this variant",
    "EK-VERIFY": "outputs differ from the bundle's check vectors",
    "EK-CONNECT": "the device was not reached",
    "EK-DEVICE": "the device was reached, and something failed or is missing there",
    "EK-INTERRUPTED": "the user stopped the run",
    "EK-UNEXPECTED": "an error that edgekit did not foresee",
}

#: What the command line ends with; 128 and the number of the signal that stopped it.
EXIT_CODES = {
    0: "done",
    1: "something nobody foresaw, or that has no other code; the message says what to do, or names a log",
    2: "wrong usage: a project, an argument, data, a source that holds more than data",
    3: "a quality or regression limit was not met",
    4: "a device was not reached, or failed",
    5: "no variant could be converted",
    6: "a bundle or model file is invalid, or holds more than data",
    129: "stopped by SIGHUP: the terminal was closed",
    130: "stopped by Ctrl-C",
    141: "whoever read its output has gone, as `head` does",
    143: "stopped by SIGTERM",
}


class EdgekitError(Exception):
    """Anything edgekit refuses or fails to do.

    What messages quote may come from a bundle, a device or a library: it is made fit to be shown (`edgekit.display`).

    Attributes:
        message: What happened, in one line.
        hint: What to do about it, in one line, or None.
        code: A key of `CODES`.
        log: The file that holds the full story, or None.
    """

    exit_code = 1

    def __init__(self, code: str, message: str, hint: str | None = None, log: Path | str | None = None):
        if code not in CODES:
            raise ValueError(f"{code} is not registered in edgekit.errors.CODES")
        message = display.one_line(message)
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = None if hint is None else display.one_line(hint)
        self.log = None if log is None else str(log)

    def to_json(self) -> dict[str, object]:
        """Everything needed to raise the same error in another process (see `from_json`)."""
        return {
            "kind": type(self).__name__,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "log": self.log,
        }


class UsageError(EdgekitError):
    """The command, project or data is wrong: refused before slow work starts."""

    exit_code = 2


class LimitError(EdgekitError):
    """A quality or regression limit was not met."""

    exit_code = 3


class DeviceError(EdgekitError):
    """A device was not reached, or something failed there."""

    exit_code = 4


class ConversionError(EdgekitError):
    """A variant could not be exported, or did not pass the checks that follow."""

    exit_code = 5


class BundleError(EdgekitError):
    """A bundle or model file is invalid."""

    exit_code = 6


class Interrupted(EdgekitError):
    """The user pressed Ctrl-C; what was finished is kept."""

    exit_code = 130


_KINDS: dict[str, type[EdgekitError]] = {kind.__name__: kind for kind in [*EdgekitError.__subclasses__(), EdgekitError]}


def from_json(value: object) -> EdgekitError:
    """The error that `EdgekitError.to_json` described. Raises `ValueError`: *value* describes none."""
    if not isinstance(value, dict):
        raise ValueError("no error is described")
    kind, code, message, hint, log = (value.get(key) for key in ("kind", "code", "message", "hint", "log"))
    texts = (each is None or isinstance(each, str) for each in (hint, log))
    if not (isinstance(kind, str) and isinstance(code, str) and isinstance(message, str) and all(texts)):
        raise ValueError("no error is described")
    if kind not in _KINDS or code not in CODES:
        raise ValueError(f"{display.one_line(code, 100)} is no error that edgekit knows")
    return _KINDS[kind](code, message, hint, log)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or lists them all."""
    import difflib  # not before something is wrong

    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
