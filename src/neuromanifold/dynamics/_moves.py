"""Moving a run block by block, each as long as the step allows, and finding the step that fails."""

from __future__ import annotations

import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from neuromanifold.dynamics import _program as program
from neuromanifold.dynamics._seen import Memory, NonFiniteError
from neuromanifold.dynamics._setting import Setting, Task


class _Pace:
    """How many steps to take before looking up: as many as fit the seconds of a block."""

    def __init__(self, block_seconds: float) -> None:
        self.steps = 1
        self._block_seconds = block_seconds
        self._warm = False

    def took(self, steps: int, seconds: float) -> None:
        """Learn from a block; the first one is not counted, since it compiles."""
        if self._warm and steps > 0:
            factor = self._block_seconds / max(seconds, 1e-6)
            self.steps = max(1, int(min(steps * factor, 64.0 * steps)))
        self._warm = True


def move_in_blocks(task: Task, setting: Setting, memory: Memory, arrays: PyTree) -> Iterator[PyTree]:
    plan, every, pace = setting.plan, task.every, _Pace(task.block_seconds)
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
            memory.add_value(done.values, outer)
            memory.add_info(done.infos, outer)
        yield arrays


def move_in_steps(task: Task, setting: Setting, memory: Memory, arrays: PyTree) -> Iterator[PyTree]:
    plan, pace = setting.plan, _Pace(task.block_seconds)
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


def _report(task: Task, setting: Setting, memory: Memory, arrays: PyTree, steps: int) -> None:
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
