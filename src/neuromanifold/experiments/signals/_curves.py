"""Theory curves with their 1/width corrections, and networks to set against them.

The two halves share names of activations and nothing else: the network's functions are written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key

from neuromanifold.dynamics import run as run_here
from neuromanifold.evidence import Claim, Prediction, compare, read_measured, read_predicted
from neuromanifold.networks.random import SignalState, activities, distances_from_first, random_deep_network
from neuromanifold.theory.meanfield import Fluctuations, activation, finite_width_process

# Networks move uncut while their weights take no more than this: to find chunks costs compilations.
_BYTES = 2**28

NEXT_ORDER = "the next order in 1/width"


def _erf(u: Array) -> Array:
    return jax.scipy.special.erf(u / math.sqrt(2.0))


UNITS: dict[str, Callable[[Any], Any]] = {"tanh": jnp.tanh, "erf": _erf, "relu": jax.nn.relu}


class Curve(NamedTuple):
    """Order parameters against depth: infinite width, n times bias and variance; (depth + 1, k)."""

    mean: np.ndarray
    bias: np.ndarray
    variance: np.ndarray

    def at_width(self, n_units: int, component: int) -> Prediction:
        """Mean at a width, with the size of the next order as error.

        Each order in 1/n brings a factor of the squared relative fluctuation, variance / (n mean^2), and the
        part of the bias that is already there, bias / (n mean).
        """
        mean, bias, variance = (x[:, component] for x in self)
        scale = np.where(mean > 0, mean, 1.0)
        relative = variance / (n_units * scale**2) + np.abs(bias) / (n_units * scale)
        return Prediction(mean + bias / n_units, np.abs(bias) / n_units * relative, NEXT_ORDER)


def _all(state: Fluctuations) -> Fluctuations:
    return state


def curve(name: str, sigma_w: float, sigma_b: float, start: tuple[float, ...], depth: int) -> Curve:
    """The theory from an activity (A,) or a pair (A_x, A_y, D)."""
    with jax.enable_x64(True):
        process = finite_width_process(activation(name), sigma_w=sigma_w, sigma_b=sigma_b)
        values = run_here(process, jax.random.key(0), np.array(start), depth, observe=_all).values
    spread = np.diagonal(np.asarray(values.covariance), axis1=1, axis2=2)
    return Curve(np.asarray(values.mean), np.asarray(values.bias), spread)


def _observe(state: SignalState) -> tuple[Array, Array]:
    return activities(state), distances_from_first(state)


def simulate_networks(
    run: Callable[..., Any],
    key: Key[Array, ""],
    name: str,
    sigma_w: float,
    sigma_b: float,
    inputs: Float[Array, "n_inputs n_units"],
    depth: int,
    n_networks: int,
    label: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Activities (network, depth, input) and distances from the first input (network, depth, input - 1)."""
    process = random_deep_network(UNITS[name], inputs.shape[1], sigma_w=sigma_w, sigma_b=sigma_b)
    weights = 4 * n_networks * (inputs.shape[1] + 1) ** 2
    budget = None if weights <= _BYTES else float(4 * _BYTES)
    made = run(
        process, key, inputs, depth, observe=_observe, replicas=n_networks, memory_budget=budget, label=label
    )
    activity, distance = (np.asarray(x, dtype=np.float64) for x in made.values)
    return activity, distance


def rate_of_means(values: np.ndarray, layers: int) -> tuple[float, float]:
    """ln(mean last / mean first) / layers and its jackknife error; values (network, 2)."""
    n = len(values)
    total = values.sum(0)
    left_out = (total[None, :] - values) / (n - 1)
    rates = np.log(left_out[:, 1] / left_out[:, 0]) / layers
    centre = math.log(total[1] / total[0]) / layers
    return centre, math.sqrt((n - 1) / n * float(((rates - rates.mean()) ** 2).sum()))


def curve_claims(
    record: xr.Dataset,
    name: str,
    quantity: str,
    begun: str,
    depths: Sequence[int],
    system: str,
    resolution: float,
) -> list[Claim]:
    """Claims that networks follow the theory of finite width, at some depths from every start.

    Args:
        record: holds `<name>_finite` and `<name>_<quantity>` over `begun` and depth.
        name: of the setting.
        quantity: what is measured.
        begun: the coordinate of starts.
        depths: at which it is claimed.
        system: the number of the system.
        resolution: share of the prediction that the comparison must resolve.
    """
    made = []
    for start in record[begun].values:
        for depth in depths:
            at = record.sel({begun: start, "depth": depth})
            prediction = read_predicted(at, f"{name}_finite")
            made.append(
                compare(
                    prediction,
                    read_measured(at, f"{name}_{quantity}"),
                    statement=f"{name}: {quantity} after {depth} layers from {begun} {start:g}",
                    system=system,
                    resolution=resolution * float(prediction.value),
                )
            )
    return made
