"""Checkpoints: the state of a run in one file, written atomically, read with every byte verified.

The file is a safetensors file: named arrays and a JSON header; reading it runs no code. The header holds a
digest of all arrays, so that a damaged file is refused, and a fingerprint of the run, so that a file of
another run is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from jaxtyping import PyTree
from safetensors import numpy as safe

from neuromanifold._base import FileError, atomic


class CheckpointError(FileError):
    """A checkpoint that is damaged or belongs to another run."""


def to_numpy(leaf: Any) -> np.ndarray:
    """An array on the host; of a random key, its data."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(leaf))
    return np.asarray(leaf)


def like(leaf: Any, values: np.ndarray) -> Any:
    """Host values put back into the kind of array that `leaf` is."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(values), impl=jax.random.key_impl(leaf))
    if not isinstance(leaf, jax.Array):
        return values
    # Put on a device by name it would be committed there, and every program would be compiled once more.
    return jax.device_put(values, leaf.sharding) if leaf.committed else jnp.asarray(values)


def digest(*trees: PyTree) -> str:
    """A digest of shapes, types and bytes of all arrays of some pytrees."""
    total = hashlib.blake2b(digest_size=16)
    for path, leaf in jax.tree_util.tree_flatten_with_path(trees)[0]:
        values = np.asarray(to_numpy(leaf), order="C")
        total.update(f"{jax.tree_util.keystr(path)} {values.dtype} {values.shape};".encode())
        total.update(values.reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def save(path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write named arrays and a header, atomically.

    Raises:
        FileError: the folder cannot be written, or the disk is full.
    """
    contiguous = {name: np.asarray(values, order="C") for name, values in arrays.items()}
    sealed = {**header, "digest": digest(dict(sorted(contiguous.items())))}
    content = safe.save(contiguous, metadata={"run": json.dumps(sealed)})
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def load(path: Path, fingerprint: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read named arrays and the header back.

    Args:
        path: the file.
        fingerprint: header entries that must be the same as when it was written.

    Raises:
        CheckpointError: the file is damaged, or belongs to another run.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as stored:  # pyright: ignore[reportPrivateImportUsage]
            header = json.loads(stored.metadata()["run"])
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        intact = header.get("digest") == digest(dict(sorted(arrays.items())))
    except (OSError, ValueError, TypeError, KeyError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"the checkpoint {path} is damaged ({error}); delete it to begin anew."
        ) from error
    if not intact:
        raise CheckpointError(f"the checkpoint {path} is damaged (wrong digest); delete it to begin anew.")
    for name, value in fingerprint.items():
        if header.get(name) != value:
            other = f"{name} is {header.get(name)!r} there and {value!r} here"
            if name == "begun with":
                other = "it was begun with another start, key or data"
            raise CheckpointError(
                f"the checkpoint {path} belongs to another run: {other}; delete it to begin anew."
            )
    return arrays, header
