"""Kernels of many inputs tile by tile: on the device, in host memory, or on disk.

Tiles have one shape, so that one program serves all: the last of a row or column is moved back to end with
it. Where the two sets are one and the kernel is a matrix, tiles below the diagonal are those above it turned
over. On disk the kernel is a NumPy file that is filled in place; tiles that are done are noted beside it, and
a call that was broken off goes on where it stopped.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from neuromanifold._base import atomic, check_integer, require


def batch(
    kernel_fn: Callable[..., Any],
    batch_size: int = 0,
    device_count: int = -1,
    store_on_device: bool = True,
    path: str | os.PathLike[str] | None = None,
) -> Callable[..., Any]:
    """The same kernel function, computed in tiles; as `kernel_fn(x1, x2, *args, **kwargs)`.

    It must give arrays whose first two axes count the inputs: ask a network's `kernel_fn` for "nngp", "ntk"
    or both. Inputs are arrays, or pytrees of arrays, with examples on the first axis.

    Args:
        kernel_fn: of a network, an empirical one, or one by Monte Carlo.
        batch_size: inputs of a tile on each side, >= 1; 0: all at once.
        device_count: devices among which the rows of a tile are shared; -1: all there are; 0: one, without
            any sharing.
        store_on_device: keep the result on the device; False: in host memory, as NumPy arrays.
        path: a folder for the result, which comes back as NumPy arrays on disk; a call with the same inputs
            goes on with what is there. The function itself is not compared.

    Raises:
        ValueError: numbers outside their range, more devices than there are, a kernel without two axes of
            inputs, or a folder that holds another kernel.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.wide import Dense, batch, serial
    >>> kernel_fn = batch(serial(Dense(1)).kernel_fn, batch_size=2)
    >>> print(kernel_fn(jnp.eye(3), None, "nngp")[0])
    [0.33333334 0.         0.        ]
    """
    batch_size = check_integer("batch_size", batch_size, 0)
    n_devices = check_integer("device_count", device_count, -1, len(jax.local_devices()))
    n_devices = len(jax.local_devices()) if n_devices < 0 else max(n_devices, 1)
    shared = _shared(kernel_fn, n_devices) if n_devices > 1 else eqx.filter_jit(kernel_fn)

    def batched(x1: Any, x2: Any = None, *args: Any, **kwargs: Any) -> Any:
        x1 = jax.tree.map(jnp.asarray, x1)
        second = x1 if x2 is None else jax.tree.map(jnp.asarray, x2)
        n1, n2 = _count(x1), _count(second)
        size = batch_size or max(n1, n2)
        rows = min(n1, size * n_devices)
        # Rows are dealt out evenly; a remainder is computed twice.
        sharing = n_devices > 1 and rows >= n_devices
        rows = rows // n_devices * n_devices if sharing else rows
        tile = shared if sharing else eqx.filter_jit(kernel_fn)
        columns = min(n2, size)

        def some(top: int, left: int) -> Any:
            # A tile on the diagonal is a set with itself, as the kernel function sees it.
            same = x2 is None and top == left and rows == columns and not sharing
            return tile(_cut(x1, top, rows), None if same else _cut(second, left, columns), *args, **kwargs)

        if (rows, columns) == (n1, n2) and path is None:
            made = some(0, 0)
            return made if store_on_device else jax.tree.map(np.asarray, made)
        leaves, structure = jax.tree.flatten(jax.eval_shape(lambda: some(0, 0)))
        good = all(leaf.shape[:2] == (rows, columns) for leaf in leaves)
        rule = "give arrays whose first two axes count inputs (name the kernels wanted)"
        require(good, "kernel_fn", rule, [leaf.shape for leaf in leaves])
        square = x2 is None and rows == columns and all(leaf.ndim == 2 for leaf in leaves)
        places = list(_places(n1, n2, rows, columns, square))
        flat = functools.partial(_flat, some)
        kinds = [((n1, n2, *leaf.shape[2:]), leaf.dtype) for leaf in leaves]
        if path is None and store_on_device:
            made = _on_device(flat, kinds, places, square)
        elif path is None:
            made = [np.empty(shape, dtype) for shape, dtype in kinds]
            _fill(flat, made, places, square)
        else:
            mark = _fingerprint(x1, None if x2 is None else second, rows, columns, kinds)
            made = _on_disk(Path(path), flat, kinds, places, square, mark)
        return jax.tree.unflatten(structure, made)

    return batched


def _flat(some: Callable[[int, int], Any], top: int, left: int) -> list[Any]:
    return jax.tree.leaves(some(top, left))


def _shared(kernel_fn: Callable[..., Any], n_devices: int) -> Callable[..., Any]:
    """A tile whose rows are computed on several devices."""
    mesh = Mesh(np.array(jax.local_devices()[:n_devices]), ("rows",))
    split, whole = PartitionSpec("rows"), PartitionSpec()

    @eqx.filter_jit
    def tile(x1: Any, x2: Any, *args: Any, **kwargs: Any) -> Any:
        arrays, rest = eqx.partition((args, kwargs), eqx.is_array)

        def on_one(x1: Any, x2: Any, arrays: Any) -> Any:
            args, kwargs = eqx.combine(arrays, rest)
            return kernel_fn(x1, x2, *args, **kwargs)

        run = jax.shard_map(
            on_one, mesh=mesh, in_specs=(split, whole, whole), out_specs=split, check_vma=False
        )
        return run(x1, x2, arrays)

    return tile


def _count(x: Any) -> int:
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(x) if leaf.ndim > 0}
    require(len(sizes) == 1, "inputs", "have one number of examples on their first axis", sorted(sizes))
    return sizes.pop()


def _cut(x: Any, start: int, size: int) -> Any:
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, size), x)


def _places(n1: int, n2: int, rows: int, columns: int, square: bool) -> Iterator[tuple[int, int]]:
    """First row and column of each tile."""
    for i in range(math.ceil(n1 / rows)):
        for j in range(i if square else 0, math.ceil(n2 / columns)):
            yield min(i * rows, n1 - rows), min(j * columns, n2 - columns)


def _on_device(
    some: Callable[[int, int], list[Any]], kinds: list[Any], places: list[tuple[int, int]], square: bool
) -> list[Any]:
    @functools.partial(jax.jit, donate_argnums=0)
    def put(whole: Any, tile: Any, top: Any, left: Any) -> Any:
        if square:
            whole = jax.lax.dynamic_update_slice(whole, tile.T, (left, top))
        return jax.lax.dynamic_update_slice(whole, tile, (top, left, *(0 for _ in whole.shape[2:])))

    made = [jnp.zeros(shape, dtype) for shape, dtype in kinds]
    for top, left in places:
        made = [put(whole, tile, top, left) for whole, tile in zip(made, some(top, left), strict=True)]
    return made


def _fill(
    some: Callable[[int, int], list[Any]],
    made: list[np.ndarray],
    places: list[tuple[int, int]],
    square: bool,
    after: Callable[[int], None] = lambda k: None,
) -> None:
    for k, (top, left) in enumerate(places):
        for whole, tile in zip(made, some(top, left), strict=True):
            values = np.asarray(tile)
            if square:
                whole[left : left + values.shape[1], top : top + values.shape[0]] = values.T
            whole[top : top + values.shape[0], left : left + values.shape[1]] = values
        after(k)


def _fingerprint(x1: Any, x2: Any, rows: int, columns: int, kinds: list[Any]) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((x1, x2)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    shapes = [[list(shape), str(np.dtype(dtype))] for shape, dtype in kinds]
    digest.update(json.dumps([rows, columns, shapes, x2 is None]).encode())
    return digest.hexdigest()


def _on_disk(
    folder: Path,
    some: Callable[[int, int], list[Any]],
    kinds: list[Any],
    places: list[tuple[int, int]],
    square: bool,
    mark: str,
) -> list[np.ndarray]:
    """Kernels as `kernel_0.npy` ... in a folder, with `tiles.json`: what they are, and tiles done."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "tiles.json"
    files = [folder / f"kernel_{k}.npy" for k in range(len(kinds))]
    done, mode = 0, "w+"
    if note.exists():
        try:
            begun = json.loads(note.read_text())
            known, done, mode = begun["mark"] == mark, int(begun["done"]), "r+"
        except (ValueError, KeyError, TypeError):
            known = False
        known = known and all(file.exists() for file in files)
        require(known, "path", "hold the same kernel, or nothing", str(folder))
    made = [
        np.lib.format.open_memmap(file, mode=mode, dtype=np.dtype(dtype), shape=shape)
        for file, (shape, dtype) in zip(files, kinds, strict=True)
    ]

    def after(k: int) -> None:
        for whole in made:
            whole.flush()
        # The note is replaced at once, so that it never tells of tiles that are not there.
        with atomic(note) as temporary:
            temporary.write_text(json.dumps({"mark": mark, "done": done + k + 1}))

    _fill(some, list(made), places[done:], square, after)
    return list(made)
