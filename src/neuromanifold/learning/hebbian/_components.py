"""Linear Hebbian learning of principal components: Oja's rule for one neuron, Sanger's for several.

    Oja       dw = y (v - y w),                  y = w.v
    Sanger    dW = y v^T - tril(y y^T) W,        y = W v

Averaged over inputs of covariance C, Oja's rule is dw/dt = C w - (w.C w) w: it ends at the unit eigenvector
of the largest eigenvalue, and the others fade at the rates lambda_1 - lambda_k. Sanger's neurons end at the
eigenvectors in the order of their eigenvalues.

Source: Oja 1982, J. Math. Biol. 15:267; Sanger 1989, Neural Networks 2:459.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def oja_change(
    weights: Float[Array, " n_synapses"], point: Float[Array, " n_synapses"]
) -> Float[Array, " n_synapses"]:
    """What one input wants to change in one neuron, y (v - y w).

    Args:
        weights: w.
        point: v, of mean zero over the inputs.
    """
    y = weights @ point
    return y * (point - y * weights)


def sanger_change(
    weights: Float[Array, "n_neurons n_synapses"], point: Float[Array, " n_synapses"]
) -> Float[Array, "n_neurons n_synapses"]:
    """What one input wants to change in all neurons, y v^T - tril(y y^T) W.

    Args:
        weights: W, one neuron a row.
        point: v, of mean zero over the inputs.
    """
    y = weights @ point
    return y[:, None] * point[None] - jnp.tril(y[:, None] * y[None]) @ weights


def sanger_velocity(
    weights: Float[Array, "n_neurons n_synapses"], covariance: Float[Array, "n_synapses n_synapses"]
) -> Float[Array, "n_neurons n_synapses"]:
    """The average of `sanger_change` over inputs of a covariance, W C - tril(W C W^T) W.

    Args:
        weights: W, one neuron a row; one row is Oja's rule.
        covariance: C.
    """
    passed = weights @ covariance
    return passed - jnp.tril(passed @ weights.T) @ weights
