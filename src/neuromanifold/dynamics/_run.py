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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.dynamics import _program as program
from neuromanifold.dynamics._checkpoint import digest, like, load, save, to_numpy
from neuromanifold.dynamics._process import Process
from neuromanifold.dynamics._progress import ProgressReport, Reporter

_BLOCK_SECONDS = 0.25
_BUFFER_BYTES = 2**25
_BUFFER_LENGTH = 4096


class Run(NamedTuple):
    """What a run returns.

    Args:
        state: the final state; with replicas every leaf has a leading axis of replicas.
        times: steps taken at each observation, shape (n_observations,), starting with 0.
        values: what `observe` saw, every leaf (n_observations, ...); with replicas
            (n_replicas, n_observations, ...).
        infos: what `observe_info` saw at times[1:], every leaf (n_observations - 1, ...), replicas as above.
        n_steps: steps taken.
    """

    state: PyTree
    times: np.ndarray
    values: PyTree
    infos: PyTree
    n_steps: int


class NonFiniteError(FloatingPointError):
    """A state with NaN or infinity; the message names the step and the leaf, `run` holds what came before."""

    run: Run


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C during a run; `run` holds what was observed, the checkpoint, if asked for, is on disk."""

    run: Run


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
    mode: str = "auto",
    check_finite: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    resume: bool = False,
    progress: bool | ProgressReport | None = None,
    label: str = "run",
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
        mode: "block" compiles the loop, "step" calls a compiled step from Python, "auto" takes "step" for
            convolutions on the CPU and "block" for all else.
        check_finite: stop on NaN or infinity in the state.
        checkpoint: a file that receives state and observations every `checkpoint_seconds`, at the end, and on
            Ctrl-C; replicas in several chunks add the chunk's number to its name.
        checkpoint_seconds: seconds between checkpoints, >= 0; 0 writes one after every block.
        resume: go on from the checkpoint where there is one. A finished run returns at once; asked for more
            steps it goes on. The result equals that of an uninterrupted run bit for bit.
        progress: None is silent; True shows a bar on a terminal and plain lines elsewhere; or a callable
            `(label, done, total, seconds)`.
        label: name of the run in progress and error messages.

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
    require(
        isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == (),
        "key",
        "be one typed key as made by jax.random.key",
        key,
    )
    require(not resume or checkpoint is not None, "checkpoint", "be given to resume", checkpoint)
    task = _Task(
        moves=program.Moves(process.step, observe, observe_info),
        n_steps=n_steps,
        every=every,
        mode=mode,
        check_finite=check_finite,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        checkpoint_seconds=checkpoint_seconds,
        resume=resume,
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
        each = _bytes_of_a_replica(task, process, keys, x0)
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


class _Task(NamedTuple):
    moves: program.Moves
    n_steps: int
    every: int
    mode: str
    check_finite: bool
    checkpoint: Path | None
    checkpoint_seconds: float
    resume: bool
    progress: bool | ProgressReport | None
    label: str


class _Setting(NamedTuple):
    """What stays the same during a run: program, data, keys, and how the state is put together."""

    plan: program.Plan
    data: PyTree
    keys: Array
    mode: str


def _strong(leaf: Any) -> Any:
    """An array leaf of definite type; everything that is no number is left as it is."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    if isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | complex):
        array = jnp.asarray(leaf)
        return jnp.asarray(array, array.dtype)
    return leaf


def _begin(task: _Task, process: Process, keys: Array, x0: PyTree, n: int | None) -> tuple[_Setting, PyTree]:
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
    if task.moves.observe is not None or task.moves.observe_info is not None:
        value = jax.eval_shape(lambda a: program.look(plan, data, a), arrays)
        bytes_each = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(value))
        longest = max(1, min(_BUFFER_LENGTH, _BUFFER_BYTES // max(bytes_each, 1)))
        wanted = max(1, task.n_steps // task.every)
        plan = plan._replace(capacity=min(2 ** math.ceil(math.log2(wanted)), longest))
    mode = task.mode
    if mode == "auto":
        mode = program.choose_mode(plan, data, keys_of_steps, arrays)
    return _Setting(plan, data, keys_of_steps, mode), arrays


def _bytes_of_a_replica(task: _Task, process: Process, keys: Array, x0: PyTree) -> float:
    """Bytes that one replica adds: difference of the compiled programs for two replicas and for one."""
    sizes = []
    for n in (1, 2):
        setting, arrays = _begin(task, process, keys[jnp.arange(n) % len(keys)], x0, n)
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


def _run_chunk(task: _Task, process: Process, keys: Array, x0: PyTree, n: int | None) -> Run:
    setting, arrays = _begin(task, process, keys, x0, n)
    memory = _Memory(task, setting, arrays)
    if task.resume and task.checkpoint is not None and task.checkpoint.exists():
        arrays = memory.restore(task.checkpoint, arrays)
    elif task.moves.observe is not None:
        memory.add_value(jax.tree.map(lambda x: x[None], program.look(setting.plan, setting.data, arrays)))
    move = _move_in_blocks if setting.mode == "block" else _move_in_steps
    reporter = Reporter(task.progress, task.label, task.n_steps, memory.t)
    saved = time.monotonic()
    with _interrupts() as interrupted, reporter:
        for now in move(task, setting, memory, arrays):
            arrays = now
            reporter.update(memory.t)
            due = time.monotonic() - saved >= task.checkpoint_seconds
            if task.checkpoint is not None and (due or interrupted.is_set() or memory.t >= task.n_steps):
                memory.save(task.checkpoint, arrays)
                saved = time.monotonic()
            if interrupted.is_set() and memory.t < task.n_steps:
                where = f"; {task.checkpoint} holds it all" if task.checkpoint is not None else ""
                stop = RunInterrupted(f"{task.label} stopped at step {memory.t} of {task.n_steps}{where}.")
                stop.run = memory.result(arrays)
                raise stop
    return memory.result(arrays)


class _Memory:
    """What a run has seen: the step it is at and the observations up to there."""

    def __init__(self, task: _Task, setting: _Setting, first: PyTree) -> None:
        self._task, self._setting = task, setting
        self.t = 0
        self._values: list[list[np.ndarray]] = []
        self._infos: list[list[np.ndarray]] = []
        self._last_info: list[np.ndarray] = []
        plan, data, keys = setting.plan, setting.data, setting.keys
        value = jax.eval_shape(lambda a: program.look(plan, data, a), first)
        info = jax.eval_shape(lambda a: program.one_step(plan, data, keys, jnp.int32(0), a)[1], first)
        self._value_structure, self._value_shapes = jax.tree.structure(value), jax.tree.leaves(value)
        self._info_structure, self._info_shapes = jax.tree.structure(info), jax.tree.leaves(info)
        self._fingerprint: dict[str, Any] = {}
        if task.checkpoint is not None:
            self._fingerprint = {
                "begun with": digest(first, data, keys),
                "every": task.every,
                "mode": setting.mode,
                "jax": jax.__version__,
            }

    def add_value(self, value: PyTree) -> None:
        """Append observations, each leaf with a leading axis."""
        self._values.append([np.asarray(x) for x in jax.tree.leaves(value)])

    def add_info(self, info: PyTree) -> None:
        """Append infos, each leaf with a leading axis."""
        self._infos.append([np.asarray(x) for x in jax.tree.leaves(info)])

    @staticmethod
    def _joined(pieces: list[list[np.ndarray]], shapes: list[Any]) -> list[np.ndarray]:
        if not pieces:
            return [np.zeros((0, *x.shape), x.dtype) for x in shapes]
        return [np.concatenate(column) for column in zip(*pieces, strict=True)]

    def result(self, arrays: PyTree) -> Run:
        """The run so far."""
        values = self._joined(self._values, self._value_shapes)
        infos = self._joined(self._infos, self._info_shapes)
        if self._setting.plan.replicas is not None:
            values, infos = ([np.moveaxis(x, 1, 0) for x in leaves] for leaves in (values, infos))
        return Run(
            state=program.join(arrays, self._setting.plan.state),
            times=np.arange(0, self.t + 1, self._task.every),
            values=jax.tree.unflatten(self._value_structure, values),
            infos=jax.tree.unflatten(self._info_structure, infos),
            n_steps=self.t,
        )

    def save(self, path: Path, arrays: PyTree) -> None:
        """Write everything to a file."""
        named = {f"state {i}": to_numpy(x) for i, x in enumerate(jax.tree.leaves(arrays))}
        values = self._joined(self._values, self._value_shapes)
        infos = self._joined(self._infos, self._info_shapes)
        self._values, self._infos = [values], [infos]
        named |= {f"value {i}": x for i, x in enumerate(values)}
        named |= {f"info {i}": x for i, x in enumerate(infos)}
        save(path, named, {**self._fingerprint, "t": self.t})

    def restore(self, path: Path, first: PyTree) -> PyTree:
        """Read everything from a file; returns the arrays of the state."""
        named, header = load(path, self._fingerprint)
        require(
            header["t"] <= self._task.n_steps,
            "n_steps",
            f"be at least {header['t']}, where the checkpoint is",
            self._task.n_steps,
        )
        self.t = int(header["t"])
        self._values = [[named[f"value {i}"] for i in range(len(self._value_shapes))]]
        self._infos = [[named[f"info {i}"] for i in range(len(self._info_shapes))]]
        leaves, structure = jax.tree.flatten(first)
        restored = [like(leaf, named[f"state {i}"]) for i, leaf in enumerate(leaves)]
        return jax.tree.unflatten(structure, restored)


class _Pace:
    """How many steps to take before looking up: as many as fit a quarter of a second."""

    def __init__(self) -> None:
        self.steps = 1
        self._warm = False

    def took(self, steps: int, seconds: float) -> None:
        """Learn from a block; the first one is not counted, since it compiles."""
        if self._warm and steps > 0:
            factor = _BLOCK_SECONDS / max(seconds, 1e-6)
            self.steps = max(1, int(min(steps * factor, 64.0 * steps)))
        self._warm = True


def _move_in_blocks(task: _Task, setting: _Setting, memory: _Memory, arrays: PyTree) -> Iterator[PyTree]:
    plan, every, pace = setting.plan, task.every, _Pace()
    observing = plan.capacity > 0
    while memory.t < task.n_steps:
        steps = min(pace.steps, task.n_steps - memory.t)
        to_next = every - memory.t % every
        if not observing:
            outer, inner = (steps, 1) if plan.single else (1, steps)
        elif steps >= every and to_next == every:
            outer, inner = min(steps // every, plan.capacity), every
        else:
            outer, inner = 1, min(steps, to_next)
        started = time.perf_counter()
        done = program.block(
            plan, setting.data, setting.keys, np.int32(memory.t), np.int32(outer), np.int32(inner), arrays
        )
        healthy = bool(done.finite)
        pace.took(outer * inner, time.perf_counter() - started)
        if task.check_finite and not healthy:
            _report(task, setting, memory, arrays, outer * inner)
        arrays, memory.t = done.arrays, memory.t + outer * inner
        if observing and memory.t % every == 0:
            memory.add_value(jax.tree.map(lambda x, n=outer: x[:n], done.values))
            memory.add_info(jax.tree.map(lambda x, n=outer: x[:n], done.infos))
        yield arrays


def _move_in_steps(task: _Task, setting: _Setting, memory: _Memory, arrays: PyTree) -> Iterator[PyTree]:
    plan, pace = setting.plan, _Pace()
    while memory.t < task.n_steps:
        steps = min(pace.steps, task.n_steps - memory.t)
        before, values, infos = arrays, [], []
        started = time.perf_counter()
        for t in range(memory.t, memory.t + steps):
            arrays, info = program.one_step(plan, setting.data, setting.keys, np.int32(t), arrays)
            if plan.capacity > 0 and (t + 1) % task.every == 0:
                values.append(program.look(plan, setting.data, arrays))
                infos.append(info)
        healthy = bool(program.finite(arrays))
        pace.took(steps, time.perf_counter() - started)
        if task.check_finite and not healthy:
            _report(task, setting, memory, before, steps)
        memory.t += steps
        for value, info in zip(values, infos, strict=True):
            memory.add_value(jax.tree.map(lambda x: x[None], value))
            memory.add_info(jax.tree.map(lambda x: x[None], info))
        yield arrays


def _report(task: _Task, setting: _Setting, memory: _Memory, arrays: PyTree, steps: int) -> None:
    """Find the first step after a healthy state that makes it non-finite, by bisection, and raise."""

    def after(arrays: PyTree, t: int, steps: int) -> PyTree:
        if setting.mode == "step":
            for now in range(t, t + steps):
                arrays, _ = program.one_step(setting.plan, setting.data, setting.keys, np.int32(now), arrays)
            return arrays
        outer, inner = (steps, 1) if setting.plan.single else (1, steps)
        if setting.plan.single and setting.plan.capacity:
            for start in range(0, steps, setting.plan.capacity):
                part = min(setting.plan.capacity, steps - start)
                arrays = program.block(
                    setting.plan,
                    setting.data,
                    setting.keys,
                    np.int32(t + start),
                    np.int32(part),
                    np.int32(1),
                    arrays,
                ).arrays
            return arrays
        return program.block(
            setting.plan, setting.data, setting.keys, np.int32(t), np.int32(outer), np.int32(inner), arrays
        ).arrays

    partial = memory.result(arrays)
    t = memory.t
    if bool(program.finite(arrays)):
        while steps > 1:
            half = steps // 2
            middle = after(arrays, t, half)
            if bool(program.finite(middle)):
                arrays, t, steps = middle, t + half, steps - half
            else:
                steps = half
        arrays = after(arrays, t, 1)
        t += 1
    for path, leaf in jax.tree_util.tree_flatten_with_path(program.join(arrays, setting.plan.state))[0]:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.inexact):
            values = np.asarray(leaf)
            bad = int((~np.isfinite(values)).sum())
            if bad:
                name = jax.tree_util.keystr(path) or "(the state itself)"
                error = NonFiniteError(
                    f"{task.label}: the state stopped being finite at step {t}: leaf {name} has "
                    f"{bad} of {values.size} entries NaN or infinite."
                )
                error.run = partial
                raise error


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
