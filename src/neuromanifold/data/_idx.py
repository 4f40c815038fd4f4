"""IDX files: the format of MNIST and its kin.

Two zero bytes, a type code, the number of axes, each axis length as a big-endian 32-bit integer, then the
values in row-major order, big-endian (LeCun, Cortes, Burges, "The MNIST database of handwritten digits").
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from neuromanifold._base import FileError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path | str) -> np.ndarray:
    """The array in an IDX file, plain or gzip-compressed.

    Args:
        path: the file; compressed if it starts as gzip does, whatever its name.

    Raises:
        FileError: the file is missing, truncated, too long, or no IDX file; the message names it.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise FileError(f"there is no file {path}.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path} is truncated or damaged: {error}.") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}.") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise FileError(f"{path} is no IDX file: its first bytes are {content[:4].hex(' ') or 'missing'}.")
    n_axes = content[3]
    start = 4 + 4 * n_axes
    if len(content) < start:
        raise FileError(
            f"{path} is truncated: its header names {n_axes} axes but ends after {len(content)} bytes."
        )
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", n_axes, 4))
    dtype = np.dtype(_TYPES[content[2]])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        fault = "truncated" if len(content) < expected else "too long"
        raise FileError(
            f"{path} is {fault}: its header announces shape {shape}, {expected} bytes, "
            f"but it holds {len(content)}."
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
