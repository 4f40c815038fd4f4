"""run: the one loop for everything that moves in discrete time.

Every long computation of the library goes through here, and so all of it has compiled blocks, observation
without keeping states, replicas, progress, checkpoints that resume bit for bit, and a stop on non-finite
values.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.dynamics import _program as program
from neuromanifold.dynamics._moves import move_in_blocks, move_in_steps
from neuromanifold.dynamics._process import Process
from neuromanifold.dynamics._progress import ProgressReport, Reporter
from neuromanifold.dynamics._seen import Memory, Run, RunInterrupted
from neuromanifold.dynamics._setting import Task, begin, bytes_of_a_replica

# Bytes that a slow disk takes in a second.
_WRITTEN_A_SECOND = 1e8


def run(
    process: Process,
    key: Key[Array, ""],
    x0: PyTree,
    n_steps: int,
    *,
    observe: Callable[..., Any] | None = None,
    every: int = 1,
    observe_info: Callable[..., Any] | None = None,
    replicas: int | None = None,
    memory_budget: float | None = None,
    keep_state: bool = True,
    mode: str = "auto",
    check_finite: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    resume: bool = False,
    progress: bool | ProgressReport | None = None,
    label: str = "run",
    block_seconds: float = 0.25,
    buffer_bytes: float = 2**25,
) -> Run:
    """Move a process and watch it:  state(0) = init(key_0, x0),  state(t+1) = step(key_t, t, state(t)).

    The key of a step is `fold_in` of the run's key and t, so a step is the same however the run is cut. The
    compiled program is shared by all runs with the same functions and shapes: define `observe` once, at
    module level or as a method of an `equinox.Module`, and not anew for each call.

    Args:
        process: what moves.
        key: a typed key, `jax.random.key(seed)`.
        x0: what `process.init` begins with; any pytree.
        n_steps: steps to take, >= 0.
        observe: `observe(state)` -> pytree of numbers, recorded at t = 0, every, 2 every ...; None records
            nothing; `lambda state: state` records states.
        every: steps between observations, >= 1.
        observe_info: `observe_info(info)` -> pytree of numbers, recorded at t = every, 2 every ...
        replicas: number of independent copies, >= 1, with keys `jax.random.split(key, replicas)`, all begun
            with x0; None for one run without a leading axis.
        memory_budget: bytes that state, buffers and temporaries of the replicas that move together may take,
            > 0; the replicas are cut into equal chunks that fit, one after the other. None moves them all
            together.
        keep_state: False returns no final state, so that each chunk's is let go before the next one begins.
        mode: "block" compiles the loop, "step" calls a compiled step from Python, "auto" takes "step" for
            convolutions on the CPU and "block" for all else.
        check_finite: stop on NaN or infinity in the state.
        checkpoint: a file that receives state and observations every `checkpoint_seconds`, on Ctrl-C, and at
            the end, unless moving anew takes less time than writing 100 MB a second; replicas in several
            chunks add the chunk's number to its name.
        checkpoint_seconds: seconds between checkpoints, >= 0; 0 writes one after every block.
        resume: go on from the checkpoint where there is one. A finished run returns at once; asked for more
            steps it goes on. The result equals that of an uninterrupted run bit for bit.
        progress: None is silent; True shows a bar on a terminal and plain lines elsewhere; or a callable
            `(label, done, total, seconds)`.
        label: name of the run in progress and error messages.
        block_seconds: seconds, > 0, that a compiled block may take before progress, Ctrl-C and checkpoints
            are seen to; no result depends on it.
        buffer_bytes: bytes, > 0, of observations that a block may hold on the device; one observation is
            always held.

    Returns:
        A `Run`.

    Raises:
        ValueError: an argument outside its range.
        TypeError: `step` changes structure, shape or type of the state.
        NonFiniteError: the state became non-finite.
        CheckpointError: the checkpoint is damaged or belongs to another run.
        FileError: the checkpoint cannot be written.
        RunInterrupted: Ctrl-C, after the block in hand.

    >>> import jax
    >>> from neuromanifold.dynamics import Process, run
    >>> halving = Process(init=lambda key, x0: x0, step=lambda key, t, x: (x / 2, None))
    >>> run(halving, jax.random.key(0), 1.0, 3, observe=lambda x: x).values.tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    n_steps = check_integer("n_steps", n_steps, 0, 2**31 - 1)
    every = check_integer("every", every, 1)
    check_choice("mode", mode, ("auto", "block", "step"))
    check_real("checkpoint_seconds", checkpoint_seconds, 0)
    check_real("block_seconds", block_seconds, 0, open_low=True)
    check_real("buffer_bytes", buffer_bytes, 0, open_low=True)
    require(
        isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == (),
        "key",
        "be one typed key as made by jax.random.key",
        key,
    )
    require(not resume or checkpoint is not None, "checkpoint", "be given to resume", checkpoint)
    task = Task(
        moves=program.Moves(process.step, observe, observe_info),
        n_steps=n_steps,
        every=every,
        keep_state=keep_state,
        mode=mode,
        check_finite=check_finite,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        checkpoint_seconds=checkpoint_seconds,
        resume=resume,
        block_seconds=block_seconds,
        buffer_bytes=buffer_bytes,
        progress=progress,
        label=label,
    )
    if replicas is None:
        require(memory_budget is None, "replicas", "be given with memory_budget", replicas)
        return _run_chunk(task, process, key, x0, None)
    n_replicas = check_integer("replicas", replicas, 1)
    keys = jax.random.split(key, n_replicas)
    chunk = n_replicas
    if memory_budget is not None:
        check_real("memory_budget", memory_budget, 0, open_low=True)
        each = bytes_of_a_replica(task, process, keys, x0)
        require(each <= memory_budget, "memory_budget", f"hold one replica, {each:.3g} bytes", memory_budget)
        chunk = math.ceil(n_replicas / math.ceil(n_replicas * each / memory_budget))
    if chunk >= n_replicas:
        return _run_chunk(task, process, keys, x0, n_replicas)
    runs = []
    for start in range(0, n_replicas, chunk):
        part = np.minimum(np.arange(start, start + chunk), n_replicas - 1)
        name = f"{label} [{start}:{min(start + chunk, n_replicas)}]"
        path = task.checkpoint and task.checkpoint.with_suffix(f".{start}{task.checkpoint.suffix}")
        piece = _run_chunk(task._replace(label=name, checkpoint=path), process, keys[part], x0, chunk)
        runs.append((piece, min(chunk, n_replicas - start)))
    sizes = [n for _, n in runs]

    def gather(join: Callable[..., Any], trees: list[PyTree]) -> PyTree:
        return jax.tree.map(lambda *x: join([a[:n] for a, n in zip(x, sizes, strict=True)]), *trees)

    return Run(
        state=gather(jnp.concatenate, [piece.state for piece, _ in runs]),
        times=runs[0][0].times,
        values=gather(np.concatenate, [piece.values for piece, _ in runs]),
        infos=gather(np.concatenate, [piece.infos for piece, _ in runs]),
        n_steps=n_steps,
    )


def _run_chunk(task: Task, process: Process, keys: Array, x0: PyTree, n: int | None) -> Run:
    setting, arrays = begin(task, process, keys, x0, n)
    memory = Memory(task, setting, arrays)
    if task.resume and task.checkpoint is not None and task.checkpoint.exists():
        arrays = memory.restore(task.checkpoint, arrays)
    elif task.moves.observe is not None:
        memory.add_value(jax.tree.map(lambda x: x[None], program.look(setting.plan, setting.data, arrays)))
    move = move_in_blocks if setting.mode == "block" else move_in_steps
    reporter = Reporter(task.progress, task.label, task.n_steps, memory.t)
    begun = saved = time.monotonic()
    with _interrupts() as interrupted, reporter:
        for now in move(task, setting, memory, arrays):
            arrays = now
            reporter.update(memory.t)
            moment = time.monotonic()
            due = moment - saved >= task.checkpoint_seconds or interrupted.is_set()
            if memory.t >= task.n_steps:
                due |= memory.n_bytes(arrays) <= _WRITTEN_A_SECOND * (moment - begun)
            if task.checkpoint is not None and due:
                memory.save(task.checkpoint, arrays)
                saved = time.monotonic()
            if interrupted.is_set() and memory.t < task.n_steps:
                where = f"; {task.checkpoint} holds it all" if task.checkpoint is not None else ""
                stop = RunInterrupted(f"{task.label} stopped at step {memory.t} of {task.n_steps}{where}.")
                stop.run = memory.result(arrays)
                raise stop
    made = memory.result(arrays)
    return made if task.keep_state else made._replace(state=None)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second Ctrl-C stops at once. Only the main thread can listen."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    previous = signal.getsignal(signal.SIGINT)

    def listen(number: int, frame: Any) -> None:
        if asked.is_set() and callable(previous):
            previous(number, frame)
        asked.set()

    signal.signal(signal.SIGINT, listen)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, previous)
