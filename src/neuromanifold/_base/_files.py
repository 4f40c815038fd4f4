"""Files that are either the old one or the whole new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


class FileError(RuntimeError):
    """A file that cannot be written or read; the message names it."""


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside it, then put it in place in one step.

    Yields the temporary path. The file at `path` is either the old one or the whole new one, even when the
    process is killed or the disk fills up.

    Raises:
        FileError: the folder cannot be written, or the disk is full.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        yield Path(temporary)
        with Path(temporary).open("rb") as written:
            os.fsync(written.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
