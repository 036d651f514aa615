"""The files that a profile is written to, by the ending of their names."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.profiling import csv, files, markdown, report
from edgekit.profiling.operators import chrome, model_explorer
from edgekit.profiling.rows import rows
from edgekit.runtime.profiler.profile import Profile
from edgekit.writing import replacing, write_error

#: Ending -> what makes the text; the longer endings first.
_TEXTS: dict[str, Callable[[Profile], str]] = {
    ".trace.json": lambda profile: json.dumps(chrome.trace(profile)),
    ".nodes.json": lambda profile: json.dumps(model_explorer.node_data(profile)),
    ".html": report.render,
    ".csv": lambda profile: csv.render(rows(profile)),
    ".md": markdown.render,
}
#: The profile itself.
_PROFILE = ".json"
ENDINGS = (*_TEXTS, _PROFILE)
#: Those that show operators.
OPERATOR_ENDINGS = (".trace.json", ".nodes.json")


def check(paths: Sequence[Path], *, operators: bool) -> None:
    """Refuse what cannot be written, before the slow work.

    Args:
        operators: Whether there will be any.

    Raises:
        UsageError: ``EK-ARGUMENT``: the ending is unknown, or is for operators.
        EdgekitError: ``EK-WRITE``: nothing can be written there.
    """
    for path in paths:
        ending = _ending(path)
        if ending in OPERATOR_ENDINGS and not operators:
            raise UsageError("EK-ARGUMENT", f"{path} shows operators, and none are traced", "add --per-op")
        check_writable(path)


def is_profile(path: Path) -> bool:
    """Whether a file of this name holds a profile, rather than a rendering of one."""
    return _ending(path) == _PROFILE


def write(profile: Profile, path: Path) -> None:
    """Write *profile* to *path*, whole or not at all.

    Raises:
        UsageError: ``EK-ARGUMENT``: the ending is unknown.
        EdgekitError: ``EK-WRITE``, ``EK-SPACE``: it cannot be written.
    """
    ending = _ending(path)
    if ending == _PROFILE:
        files.write_profile(profile, path)
        return
    text = _TEXTS[ending](profile)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_all(profile: Profile, paths: Sequence[Path], done: Callable[[Path], object] = lambda path: None) -> None:
    """Write *profile* to each of *paths*; first itself, then what takes longer to make of it.

    Args:
        done: Called with each that was written.

    Raises:
        EdgekitError: As `write`, for the first that cannot be written; the others are.
    """
    failure = None
    for path in sorted(paths, key=lambda path: not is_profile(path)):
        try:
            write(profile, path)
            done(path)
        except EdgekitError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def check_writable(path: Path) -> None:
    """Refuse a place where a file could not be put, or replaced.

    Raises:
        UsageError: ``EK-ARGUMENT``: there is no such folder, or something else than a file lies there.
        EdgekitError: ``EK-WRITE``: nothing can be written there.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not path.parent.is_dir():
            raise UsageError("EK-ARGUMENT", f"there is no folder {path.parent}", f"mkdir -p {path.parent}") from None
    except OSError as error:
        raise write_error(path, error) from error
    else:
        if stat.S_ISDIR(mode):
            raise UsageError("EK-ARGUMENT", f"{path} is a folder", f"name a file in it: {path / 'report.html'}")
        if not stat.S_ISREG(mode):
            hint = "name a file; --json writes a document to standard output"
            raise UsageError("EK-ARGUMENT", f"{path} is no regular file, and what is written replaces it", hint)
        if not os.access(path, os.W_OK):  # it could be replaced all the same, but is not meant to be
            raise write_error(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    try:
        with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent):
            pass
    except OSError as error:
        raise write_error(path, error) from error


def _ending(path: Path) -> str:
    for ending in ENDINGS:
        if path.name.lower().endswith(ending) and path.name.lower() != ending:
            return ending
    given = path.suffix or path.name
    hint = did_you_mean(given, ENDINGS) if path.suffix else f"known endings: {', '.join(ENDINGS)}"
    raise UsageError("EK-ARGUMENT", f"-o {path}: there is no kind of file {given!r}", hint)
