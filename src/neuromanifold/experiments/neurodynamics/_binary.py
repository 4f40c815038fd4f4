"""Theory curves of random +-1 networks with their 1/n corrections, and networks to set against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int8, Key

from neuromanifold.data import overlap_cue, random_patterns
from neuromanifold.dynamics import run as run_here
from neuromanifold.evidence import Prediction
from neuromanifold.networks.random import BinaryState, binary_activities, binary_network, hamming_from_first
from neuromanifold.theory.meanfield import Fluctuations, binary_process

# Networks move uncut while their weights take no more than this: to find chunks costs compilations.
_BYTES = 2**28

NEXT_ORDER = "the next order in 1/n"


class Curve(NamedTuple):
    """Order parameters against time: at n -> infinity, n times bias and variance; (n_steps + 1, k)."""

    mean: np.ndarray
    bias: np.ndarray
    variance: np.ndarray

    def at_size(self, n_units: int, component: int) -> Prediction:
        """Mean at n units; each order in 1/n brings a factor of the relative fluctuation and bias."""
        mean, bias, variance = (x[:, component] for x in self)
        scale = np.maximum(np.abs(mean), 1e-3)
        relative = variance / (n_units * scale**2) + np.abs(bias) / (n_units * scale)
        return Prediction(mean + bias / n_units, np.abs(bias) / n_units * relative, NEXT_ORDER)

    def spread_at_size(self, n_units: int, component: int) -> Prediction:
        """Standard deviation at n units, to leading order; the next one is relatively as large as for means.

        After one step from fixed states it is exact.
        """
        mean, bias, variance = (x[:, component] for x in self)
        scale = np.maximum(np.abs(mean), 1e-3)
        relative = variance / (n_units * scale**2) + np.abs(bias) / (n_units * scale)
        relative[:2] = 0.0
        spread = np.sqrt(variance / n_units)
        return Prediction(spread, spread * relative, NEXT_ORDER)


def _all(state: Fluctuations) -> Fluctuations:
    return state


def curve(start: tuple[float, ...], n_steps: int, **law: float) -> Curve:
    """The theory from (X,) or (X, Y, D); `law` are the arguments of `binary_process`."""
    with jax.enable_x64(True):
        made = run_here(
            binary_process(**law), jax.random.key(0), np.array(start, np.float64), n_steps, observe=_all
        ).values
    spread = np.diagonal(np.asarray(made.covariance), axis1=1, axis2=2)
    return Curve(np.asarray(made.mean), np.asarray(made.bias), spread)


def nearest(value: float, n_units: int) -> float:
    """The nearest Hamming distance that n units can have, counted as `data.overlap_cue` counts."""
    return float(np.round(np.float32(n_units * (1 - np.float32(1 - 2 * value)) / 2)) / n_units)


def reference_and_others(
    key: Key[Array, ""], n_units: int, distances: tuple[float, ...], activity: float = 0.0
) -> Int8[Array, "n_states n_units"]:
    """A state, and one at each Hamming distance from it.

    Without activity the first is random; with activity X it is +1 in exactly round(n (1 + X)/2) units, and each
    other one differs from it in the same share of its +1 and of its -1 units as far as n allows.
    """
    key_first, key_others = jax.random.split(key)
    keys = jax.random.split(key_others, len(distances))
    overlaps = 1.0 - 2.0 * jnp.asarray(distances)
    if activity == 0.0:
        first = random_patterns(key_first, 1, n_units)[0]
        others = jax.vmap(overlap_cue, (0, None, 0))(keys, first, overlaps)
    else:
        n_up = round(n_units * (1 + activity) / 2)
        first = jnp.where(jnp.arange(n_units) < n_up, 1, -1).astype(jnp.int8)
        parts = [jax.vmap(overlap_cue, (0, None, 0))(keys, part, overlaps) for part in (first[:n_up], first[n_up:])]
        others = jnp.concatenate(parts, axis=1)
    return jnp.concatenate([first[None], others])


def _watch(state: BinaryState) -> tuple[Array, Array]:
    return binary_activities(state), hamming_from_first(state)


def _return(info: Array) -> Array:
    return info


def simulate_networks(
    run: Callable[..., Any],
    key: Key[Array, ""],
    states: Any,
    n_steps: int,
    n_networks: int,
    label: str,
    *,
    weights: str = "fresh",
    observe: Callable[[BinaryState], Any] = _watch,
    **law: float,
) -> tuple[Any, np.ndarray]:
    """What was observed (network, time, state) and the overlaps with two steps before (network, step, state).

    By default activities of all states and Hamming distances from the first.
    """
    n_units = states.shape[1]
    needed = 4 * n_networks * (n_units + 1) ** 2
    made = run(
        binary_network(n_units, weights=weights, **law),
        key,
        states,
        n_steps,
        observe=observe,
        observe_info=_return,
        replicas=n_networks,
        memory_budget=None if needed <= _BYTES else float(4 * _BYTES),
        label=label,
    )
    return jax.tree.map(lambda x: np.asarray(x, np.float64), made.values), np.asarray(made.infos, np.float64)


def spread_samples(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation over networks (axis 0) and its standard error, from the fourth moment."""
    centred = values - values.mean(0)
    squares = centred**2
    variance = squares.sum(0) / (len(values) - 1)
    error = squares.std(0, ddof=1) / np.sqrt(len(values))
    spread = np.sqrt(np.maximum(variance, 1e-300))
    return np.sqrt(variance), error / (2 * spread)
