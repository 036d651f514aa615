"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import EdgekitError


@contextlib.contextmanager
def replacing(destination: Path, *, parents: bool = True) -> Iterator[Path]:
    """A temporary path beside *destination* that takes its place, on the disk itself, when the block ends well.

    A link is followed: what it names is replaced, where it is a file, and not a device or a pipe.

    Args:
        parents: Whether to make the folders that are not there.

    Raises:
        EdgekitError: ``EK-SPACE`` when the disk is full, ``EK-WRITE`` for any other operating system error.
    """
    import tempfile  # only those who build need it

    temporary = None
    try:
        path = Path(os.path.realpath(destination))
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise FileExistsError(errno.EEXIST, "it is a device or a pipe, and no file")
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".edgekit-", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise write_error(destination, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Have a new name outlast a loss of power, too; where the system cannot, it is as safe as it gets."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_error(destination: Path, error: OSError) -> EdgekitError:
    """The `EdgekitError` for an operating system error while writing *destination*."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EdgekitError("EK-SPACE", f"no space is left to write {destination}", "free some, or write elsewhere")
    reason = error.strerror or str(error)
    return EdgekitError("EK-WRITE", f"cannot write {destination}: {reason}", "write elsewhere, or mend its rights")
