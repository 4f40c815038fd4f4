"""What a run returns and what it has seen so far, kept on the host and in checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from neuromanifold._base import require
from neuromanifold.dynamics import _program as program
from neuromanifold.dynamics._checkpoint import CheckpointError, digest, like, load, save, to_numpy
from neuromanifold.dynamics._setting import Setting, Task


class Run(NamedTuple):
    """What a run returns.

    Args:
        state: the final state, with replicas every leaf with a leading axis of replicas; None where it was
            not kept.
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


def _first(leaf: jax.Array, n: int) -> np.ndarray:
    """The first n entries on the host; a part is copied, so that the buffer it is of can be freed."""
    values = np.asarray(leaf)
    return values if n == len(values) else values[:n].copy()


class Memory:
    """What a run has seen: the step it is at and the observations up to there."""

    def __init__(self, task: Task, setting: Setting, first: PyTree) -> None:
        self._task, self._setting = task, setting
        self.t = 0
        self._values: list[list[np.ndarray]] = []
        self._infos: list[list[np.ndarray]] = []
        value, info = setting.shapes.value, setting.shapes.info
        self._value_structure, self._value_shapes = jax.tree.structure(value), jax.tree.leaves(value)
        self._info_structure, self._info_shapes = jax.tree.structure(info), jax.tree.leaves(info)
        self._fingerprint: dict[str, Any] = {}
        if task.checkpoint is not None:
            self._fingerprint = {
                "begun with": digest(first, setting.data, setting.keys),
                "every": task.every,
                "mode": setting.mode,
                "jax": jax.__version__,
            }

    def add_value(self, value: PyTree, n: int = 1) -> None:
        """Append the first n of some observations, each leaf with a leading axis."""
        self._values.append([_first(x, n) for x in jax.tree.leaves(value)])

    def add_info(self, info: PyTree, n: int = 1) -> None:
        """Append the first n of some infos, each leaf with a leading axis."""
        self._infos.append([_first(x, n) for x in jax.tree.leaves(info)])

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

    def n_bytes(self, arrays: PyTree) -> int:
        """Bytes that `save` would write."""
        seen = [x.nbytes for pieces in (self._values, self._infos) for leaves in pieces for x in leaves]
        return sum(seen) + sum(x.nbytes for x in self._stored(arrays))

    def _stored(self, arrays: PyTree) -> list[Any]:
        """Leaves of the state that a checkpoint holds: none at the end of a run that returns none."""
        over = self.t >= self._task.n_steps
        return [] if over and not self._task.keep_state else jax.tree.leaves(arrays)

    def save(self, path: Path, arrays: PyTree) -> None:
        """Write everything to a file."""
        named = {f"state {i}": to_numpy(x) for i, x in enumerate(self._stored(arrays))}
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
        if not self._stored(first):
            return first
        if leaves and "state 0" not in named:
            raise CheckpointError(
                f"the checkpoint {path} holds no state to go on from, only what was seen until step {self.t} "
                "(keep_state=False); delete it to begin anew."
            )
        restored = [like(leaf, named[f"state {i}"]) for i, leaf in enumerate(leaves)]
        return jax.tree.unflatten(structure, restored)
