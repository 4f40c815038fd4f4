"""Cells that are units of a memory: what a recording from a network that recalls would see."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold.data import hierarchical_patterns, overlap_cue
from neuromanifold.data.populations import Stimuli
from neuromanifold.dynamics import Process, little
from neuromanifold.networks.memory import Hopfield


class StimulatedMemory(NamedTuple):
    """A memory of the details, and its state after each stimulus.

    Args:
        memory: one pattern a detail; those of one category are children of one parent.
        units: state for each stimulus.
    """

    memory: Hopfield
    units: Float[Array, "n_stimuli n_units"]


class Seen(NamedTuple):
    """What is recorded.

    Args:
        activity: tanh(beta h), the mean of a cell in the next update, shape (n_stimuli, n_cells).
        child: overlap with the detail shown, mean over the stimuli of each category, shape (n_categories,).
        sibling: overlap with the other details of its category, likewise.
    """

    activity: Float[Array, "n_stimuli n_cells"]
    child: Float[Array, " n_categories"]
    sibling: Float[Array, " n_categories"]


class MemoryCells(eqx.Module):
    """Recall of every stimulus by heat bath in a memory drawn anew for each replica.

    A stimulus is a cue: a noisy copy of the pattern of its detail, different for each stimulus.

    Args:
        stimuli: what is shown.
        n_units: N.
        n_cells: units that are recorded from.
        correlation: b of a detail's pattern with its category's parent.
        beta: inverse temperature.
    """

    category: tuple[int, ...] = eqx.field(static=True)
    detail: tuple[int, ...] = eqx.field(static=True)
    n_units: int = eqx.field(static=True)
    n_cells: int = eqx.field(static=True)
    correlation: float = eqx.field(static=True)
    beta: float = eqx.field(static=True)

    def __init__(self, stimuli: Stimuli, n_units: int, n_cells: int, correlation: float, beta: float):
        self.category = tuple(stimuli.category_of_detail.tolist())
        self.detail = tuple(stimuli.detail.tolist())
        self.n_units, self.n_cells = n_units, n_cells
        self.correlation, self.beta = correlation, beta

    def process(self) -> Process:
        """The process; it begins with the overlap of a stimulus with its detail."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], overlap: Any) -> StimulatedMemory:
        """Draw families of as many children as their categories have details, store them, draw cues."""
        key_patterns, key_cues = jax.random.split(key)
        sizes = np.bincount(self.category)
        largest = int(sizes.max())
        trees = hierarchical_patterns(key_patterns, self.n_units, len(sizes), largest, self.correlation)
        rows = np.concatenate([family * largest + np.arange(size) for family, size in enumerate(sizes)])
        patterns = trees.patterns[rows]
        shown = patterns[np.array(self.detail)]
        cues = jax.vmap(overlap_cue, (0, 0, None))(jax.random.split(key_cues, len(shown)), shown, overlap)
        return StimulatedMemory(Hopfield(patterns, storage="float32"), cues.astype(jnp.float32))

    def step(self, key: Key[Array, ""], t: Any, state: StimulatedMemory) -> tuple[StimulatedMemory, None]:
        """One update of all units for every stimulus, each with noise of its own."""
        moves = little(state.memory.field, self.beta)
        keys = jax.random.split(key, len(self.detail))
        units = jax.vmap(lambda key, x: moves.step(key, t, x)[0])(keys, state.units)
        return state._replace(units=units), None

    def observe(self, state: StimulatedMemory) -> Seen:
        """Activities of the first cells, and overlaps."""
        patterns = state.memory.patterns
        overlaps = state.memory.overlaps(state.units)
        own_unit = len(patterns) / self.n_units * state.units[:, : self.n_cells]
        activity = jnp.tanh(self.beta * (overlaps @ patterns[:, : self.n_cells] - own_unit))
        detail, category = np.array(self.detail), np.array(self.category)
        same = detail[:, None] == np.arange(len(category))
        near = (category[detail][:, None] == category) & ~same
        of_category = category[detail] == np.arange(category.max() + 1)[:, None]

        def mean(mask: np.ndarray) -> Array:
            weight = mask / np.maximum(mask.sum(1, keepdims=True), 1)
            each = jnp.sum(overlaps * weight.astype(np.float32), 1)
            return (of_category / of_category.sum(1, keepdims=True)).astype(np.float32) @ each

        return Seen(activity, mean(same), mean(near))
