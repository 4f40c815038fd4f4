"""Clusters of stimuli, window by window, found by mixtures that choose their number by themselves.

A window gives one point a stimulus and, with a few tens of stimuli, far too few points for a covariance
matrix of each cluster in as many dimensions as there are cells. Counts summed over trials are therefore made
of equal variance, projected on the first principal components of the window, and fitted with one covariance
matrix for all clusters ("tied"), which all points share in estimating.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from neuromanifold.data.populations import population_trajectory, stabilise
from neuromanifold.dynamics import Process
from neuromanifold.geometry import adjusted_rand_index
from neuromanifold.learning.mixture import (
    MixtureAscent,
    MixtureState,
    cut,
    default_prior,
    expectation,
    initial_labels,
    log_joint,
)


class Clusters(NamedTuple):
    """Clusters of each set of points.

    Args:
        labels: component that owns each point, shape (n_sets, n_points).
        found: components that own a point, shape (n_sets,).
    """

    labels: Int[np.ndarray, "n_sets n_points"]
    found: Int[np.ndarray, " n_sets"]


class _Fits(eqx.Module):
    """Ascents on many sets of points, each from several beginnings, one after the other in one program."""

    ascents: MixtureAscent

    def init(self, key: Key[Array, ""], labels: Int[Array, "n_sets n_starts n_points"]) -> MixtureState:
        def one(piece: tuple[MixtureAscent, Array]) -> MixtureState:
            return jax.vmap(lambda start: piece[0].init(key, start))(piece[1])

        return jax.lax.map(one, (self.ascents, labels))

    def step(self, key: Key[Array, ""], t: Any, state: MixtureState) -> tuple[MixtureState, None]:
        # A map and not a batch: what has converged then costs nothing.
        def one(piece: tuple[MixtureAscent, MixtureState]) -> MixtureState:
            return jax.lax.map(lambda start: piece[0].step(key, t, start)[0], piece[1])

        return jax.lax.map(one, (self.ascents, state)), None


@jax.jit
def _owners(ascents: MixtureAscent, states: MixtureState) -> Int[Array, "n_sets n_places"]:
    def one(piece: tuple[MixtureAscent, MixtureState]) -> Array:
        moves, state = piece
        best = jax.tree.map(lambda leaf: leaf[jnp.argmax(state.bound)], state.statistics)
        return jnp.argmax(log_joint(moves.prior, expectation(moves.prior, best), moves.chunks), axis=-1)

    return jax.lax.map(one, (ascents, states))


def find_clusters(
    run: Callable[..., Any],
    key: Key[Array, ""],
    points: Float[np.ndarray, "n_sets n_points n_features"],
    n_components: int,
    n_starts: int,
    n_steps: int,
    label: str,
    covariance: str = "tied",
) -> Clusters:
    """Mixtures fitted to each set of points, the best of several beginnings each."""
    n_points = points.shape[1]
    ascents, starts = [], []
    for number, values in enumerate(points.astype(np.float32)):
        prior = default_prior(values, n_components, covariance=covariance)
        chunks = cut(prior, values, n_points, missing=False)
        ascents.append(MixtureAscent(prior, chunks, jnp.float32(1e-3), n_components))
        keys = jax.random.split(jax.random.fold_in(key, number), n_starts)
        starts.append(np.stack([initial_labels(one, values, n_components) for one in keys]))
    fits = _Fits(jax.tree.map(lambda *leaves: jnp.stack(leaves), *ascents))
    process = Process(fits.init, fits.step)
    state = run(process, key, jnp.asarray(np.stack(starts)), n_steps, label=label).state
    owners = np.asarray(_owners(fits.ascents, state))[:, :n_points]
    return Clusters(owners, np.array([len(np.unique(row)) for row in owners]))


class ClusterCurves(NamedTuple):
    """Clusters of stimuli against the labels, one row a recording, shape (n_recordings, n_windows).

    Args:
        category: adjusted Rand index with the categories.
        detail: adjusted Rand index with the details.
        found: number of clusters.
    """

    category: Float[np.ndarray, "n_recordings n_windows"]
    detail: Float[np.ndarray, "n_recordings n_windows"]
    found: Float[np.ndarray, "n_recordings n_windows"]


def cluster_curves(
    run: Callable[..., Any],
    key: Key[Array, ""],
    counts: Int[np.ndarray, "n_recordings n_stimuli n_windows n_cells"],
    category: Int[np.ndarray, " n_stimuli"],
    detail: Int[np.ndarray, " n_stimuli"],
    *,
    n_principal: int,
    n_components: int,
    n_starts: int,
    n_steps: int,
    label: str,
) -> ClusterCurves:
    """Clusters in every window of every recording, from counts summed over trials."""
    n_recordings, n_stimuli, n_windows, n_cells = counts.shape
    sets = np.moveaxis(counts, 2, 1).reshape(-1, n_stimuli, n_cells)
    points = np.stack([population_trajectory(stabilise(one), n_principal).scores for one in sets])
    made = find_clusters(run, key, points, n_components, n_starts, n_steps, label)

    def agreement(labels: np.ndarray) -> np.ndarray:
        values = [adjusted_rand_index(labels, clusters) for clusters in made.labels]
        return np.array(values).reshape(n_recordings, n_windows)

    found = made.found.reshape(n_recordings, n_windows).astype(float)
    return ClusterCurves(agreement(category), agreement(detail), found)
