"""What a self-organising neuron learns from: a finite set of inputs, each with its probability.

An average over inputs is a weighted sum, exact for a finite set and a quadrature for a continuous law.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_finite, check_integer, require


class Inputs(eqx.Module):
    """Inputs v with probabilities p(v).

    Args:
        points: shape (n_points, n_synapses), finite.
        probabilities: shape (n_points,), >= 0, of sum 1; None makes all points alike.

    Raises:
        ValueError: points that are no finite matrix, probabilities below 0 or of another sum.

    >>> import numpy as np
    >>> from neuromanifold.networks.selforganizing import Inputs
    >>> Inputs(np.eye(3), [0.5, 0.25, 0.25]).mean(np.arange(3.0)).item()
    0.75
    """

    points: Float[Array, "n_points n_synapses"]
    probabilities: Float[Array, " n_points"]

    def __init__(self, points: Any, probabilities: Any = None):
        shape = np.shape(points)
        require(len(shape) == 2 and min(shape) >= 1, "points", "have shape (n_points, n_synapses)", shape)
        if not isinstance(points, Tracer):
            check_finite("points", points)
        self.points = jnp.asarray(points, jnp.result_type(float, jnp.asarray(points)))
        if probabilities is None:
            probabilities = jnp.full(shape[0], 1.0 / shape[0], self.points.dtype)
        require(
            np.shape(probabilities) == shape[:1],
            "probabilities",
            f"have shape ({shape[0]},)",
            np.shape(probabilities),
        )
        if not isinstance(probabilities, Tracer):
            values = check_finite("probabilities", probabilities).astype(np.float64)
            require(values.min() >= 0, "probabilities", "be >= 0", float(values.min()))
            total = float(values.sum())
            # Thousands of float32 terms add up to one within some 1e-6.
            require(abs(total - 1) <= 1e-5, "probabilities", "have sum 1", total)
        self.probabilities = jnp.asarray(probabilities, self.points.dtype)

    @property
    def n_synapses(self) -> int:
        """Number of components of an input."""
        return self.points.shape[1]

    def mean(self, values: ArrayLike) -> Array:
        """<values> = sum_i p_i values_i over the leading axis."""
        return jnp.tensordot(self.probabilities, jnp.asarray(values, self.points.dtype), 1)

    def draw(self, key: Key[Array, ""]) -> Float[Array, " n_synapses"]:
        """One input at random."""
        return self.points[jax.random.choice(key, len(self.points), p=self.probabilities)]

    def length(self) -> float:
        """The common length r of all inputs that occur.

        Raises:
            ValueError: the lengths differ by more than round-off.
        """
        lengths = np.linalg.norm(np.asarray(self.points, np.float64), axis=1)
        lengths = lengths[np.asarray(self.probabilities) > 0]
        spread = float(np.ptp(lengths))
        require(
            spread <= 1e-5 * float(lengths.max()),
            "points",
            "have one length, so that receptive fields are caps",
            f"lengths from {lengths.min():g} to {lengths.max():g}",
        )
        return float(lengths.mean())


def circle(n_points: int) -> Inputs:
    """Equally spaced points of the unit circle, all alike: the uniform law up to an angle of pi/n_points.

    Args:
        n_points: >= 3.

    Raises:
        ValueError: fewer than three points.
    """
    angles = 2 * np.pi * np.arange(check_integer("n_points", n_points, 3)) / n_points
    return Inputs(np.stack([np.cos(angles), np.sin(angles)], 1).astype(jnp.result_type(float)))
