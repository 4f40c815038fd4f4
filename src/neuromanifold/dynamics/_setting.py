"""What stays the same during a run: its arguments, its program and data, the make of its state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from neuromanifold.dynamics import _program as program
from neuromanifold.dynamics._process import Process
from neuromanifold.dynamics._progress import ProgressReport

# Observations a block can hold, beyond which a longer block saves nothing.
_LONGEST_BLOCK = 2**16


class Task(NamedTuple):
    """The arguments of `run` that its pieces need."""

    moves: program.Moves
    n_steps: int
    every: int
    keep_state: bool
    mode: str
    check_finite: bool
    checkpoint: Path | None
    checkpoint_seconds: float
    resume: bool
    block_seconds: float
    buffer_bytes: float
    progress: bool | ProgressReport | None
    label: str


class Setting(NamedTuple):
    """What stays the same during a run: program, data, keys, and how the state is put together."""

    plan: program.Plan
    data: PyTree
    keys: Array
    mode: str
    shapes: program.Shapes


def _strong(leaf: Any) -> Any:
    """An array leaf of definite type; everything that is no number is left as it is."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    if isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | complex):
        array = jnp.asarray(leaf)
        return jnp.asarray(array, array.dtype)
    return leaf


def begin(task: Task, process: Process, keys: Array, x0: PyTree, n: int | None) -> tuple[Setting, PyTree]:
    """The setting of a run and the arrays of its first state."""
    keys_of_init = (
        jax.random.fold_in(keys, 0) if n is None else jax.vmap(jax.random.fold_in, (0, None))(keys, 0)
    )
    keys_of_steps = (
        jax.random.fold_in(keys, 1) if n is None else jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
    )
    if n is None:
        state = process.init(keys_of_init, x0)
        arrays, code = program.split(jax.tree.map(_strong, state))
    else:
        codes: list[program.Code] = []

        def init(key: Array) -> PyTree:
            arrays, code = program.split(jax.tree.map(_strong, process.init(key, x0)))
            codes.append(code)
            return arrays

        arrays = jax.vmap(init)(keys_of_init)
        code = codes[0]
    data, moves = program.split(task.moves)
    plan = program.Plan(moves, code, n, task.every == 1, 0)
    shapes = program.shapes(plan, data, keys_of_steps, arrays)
    if task.moves.observe is not None or task.moves.observe_info is not None:
        seen = jax.tree.leaves((shapes.value, shapes.info))
        bytes_each = sum(math.prod(x.shape) * x.dtype.itemsize for x in seen)
        longest = max(1, min(_LONGEST_BLOCK, int(task.buffer_bytes // max(bytes_each, 1))))
        wanted = max(1, task.n_steps // task.every)
        plan = plan._replace(capacity=min(2 ** math.ceil(math.log2(wanted)), longest))
    mode = program.choose_mode(shapes.convolves) if task.mode == "auto" else task.mode
    return Setting(plan, data, keys_of_steps, mode, shapes), arrays


def bytes_of_a_replica(task: Task, process: Process, keys: Array, x0: PyTree) -> float:
    """Bytes that one replica adds: difference of the compiled programs for two replicas and for one."""
    sizes = []
    for n in (1, 2):
        setting, arrays = begin(task, process, keys[jnp.arange(n) % len(keys)], x0, n)
        t = jnp.int32(0)
        if setting.mode == "block":
            lowered = program.block.lower(setting.plan, setting.data, setting.keys, t, t, t, arrays)
        else:
            lowered = program.one_step.lower(setting.plan, setting.data, setting.keys, t, arrays)
        memory = lowered.compile().memory_analysis()
        if memory is None:
            sizes.append(2.0 * sum(x.nbytes for x in jax.tree.leaves(arrays)))
        else:
            sizes.append(
                float(memory.temp_size_in_bytes + memory.output_size_in_bytes + memory.argument_size_in_bytes)
            )
    return max(sizes[1] - sizes[0], 1.0)
