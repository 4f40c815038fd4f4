"""The receptive field of a neuron: the inputs that it fires for, and where their centres lie.

    R = {v : u(v) > 0},   P = p(R),   centre w/|w|,   centre of gravity E[v|R]

For inputs of one length r and a field w.v - tau, R is the cap of angular radius d about w, |w| r cos d = tau.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from neuromanifold._base import check_finite, check_real, require
from neuromanifold.dynamics import Flow, solve
from neuromanifold.networks.selforganizing._inputs import Inputs


class ReceptiveField(NamedTuple):
    """What a neuron answers to.

    Args:
        mask: which inputs it fires for.
        probability: P, of all inputs in the field.
        centre: w/|w|.
        gravity: E[v|R], the centre of gravity of the field; zero for an empty field.
        misalignment: angle between centre and centre of gravity, radians; NaN for an empty field.
    """

    mask: Bool[Array, " n_points"]
    probability: Float[Array, ""]
    centre: Float[Array, " n_synapses"]
    gravity: Float[Array, " n_synapses"]
    misalignment: Float[Array, ""]


class Learned(NamedTuple):
    """Where learning led.

    Args:
        weights: the weights at the end.
        silent: whether the neuron fires for no input any more.
        speed: length of the rule's right-hand side at the end; 0 at rest.
    """

    weights: Any
    silent: bool
    speed: float


def field_of(mask: Array, weights: Array, inputs: Inputs) -> ReceptiveField:
    """The receptive field from the inputs that a neuron of given weights fires for."""
    inside = jnp.where(mask, inputs.probabilities, 0)
    probability = jnp.sum(inside)
    gravity = inside @ inputs.points / jnp.where(probability > 0, probability, 1)
    length = jnp.linalg.norm(weights)
    centre = weights / jnp.where(length > 0, length, 1)
    along = gravity @ centre
    across = jnp.linalg.norm(gravity - along * centre)
    angle = jnp.where(jnp.any(gravity != 0) & (length > 0), jnp.arctan2(across, along), jnp.nan)
    return ReceptiveField(mask, probability, centre, gravity, angle)


def cap_angle(threshold: float, length: float, inputs: Inputs) -> float:
    """D with |w| r cos d = threshold.

    Raises:
        ValueError: inputs of different lengths, or a threshold beyond |w| r, where there is no cap.
    """
    reach = length * inputs.length()
    require(0 < reach >= abs(threshold), "threshold", f"lie within +-|w| r = +-{reach:g}", threshold)
    return math.acos(threshold / reach)


def check_weights(name: str, weights: Any, shape: tuple[int, ...], like: Array) -> Array:
    """Weights to begin with.

    Raises:
        ValueError: another shape, or a value that is not finite.
    """
    values = check_finite(name, weights)
    require(values.shape == shape, name, f"have shape {shape}", values.shape)
    return jnp.asarray(values, like.dtype)


def follow(flow: Flow, start: PyTree, duration: float, dt: float) -> tuple[PyTree, float]:
    """The state at the end of Euler's steps, and the length of the velocity there.

    Raises:
        ValueError: a duration that is not positive, or a step outside (0, 1].
    """
    duration = check_real("duration", duration, 0.0, open_low=True)
    dt = check_real("dt", dt, 0.0, 1.0, open_low=True)
    path = solve(flow, start, [0.0, duration], solver=diffrax.Euler(), dt=dt)
    last = jax.tree.map(lambda x: x[-1], path.states)
    moving = [np.sum(np.asarray(x, np.float64) ** 2) for x in jax.tree.leaves(flow.velocity(0.0, last))]
    return last, math.sqrt(sum(moving))


def warn_silent() -> None:
    """Tell that a neuron begins in the silence that it cannot leave."""
    warnings.warn(
        "the neuron fires for no input at the start, and a silent neuron with a threshold of zero or more "
        "never learns.",
        stacklevel=3,
    )
