"""Theory curves of random +-1 networks with their 1/n corrections, and networks to set against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key
from numpy.typing import NDArray

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


def reference_and_others(
    n_units: int, distances: tuple[float, ...], activity: float = 1.0
) -> NDArray[np.float32]:
    """A state of given activity, and one at each Hamming distance from it.

    Units of a random network are exchangeable, so that it does not matter which of them are +1: the first
    ones are. Each other state differs from the reference in the same share of its +1 and of its -1 units, as
    far as n allows, so that its activity is X (1 - 2D).
    """
    n_up = round(n_units * (1 + activity) / 2)
    states = np.ones((1 + len(distances), n_units), np.float32)
    states[:, n_up:] = -1
    for state, distance in zip(states[1:], distances, strict=True):
        state[: round(distance * n_up)] *= -1
        state[n_up : n_up + round(distance * (n_units - n_up))] *= -1
    return states


def order_parameters(states: NDArray[np.float32], other: int) -> tuple[float, float, float]:
    """(X, Y, D) of the reference and another of the states."""
    first, second = states[0].astype(float), states[other].astype(float)
    return float(first.mean()), float(second.mean()), float((first != second).mean())


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
    **law: Any,
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
        keep_state=False,
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
    return np.asarray(np.sqrt(variance)), np.asarray(error / (2 * spread))
