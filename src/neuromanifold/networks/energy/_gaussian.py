"""Learning of a Gaussian Boltzmann machine from a covariance: a flow, and steps that stay inside the border.

Two Gaussian layers, q(v, h) ~ exp(-|v|^2/2 - |h|^2/2 + h^T W v), exist while the largest singular value of W
is below 1. Averages over data of covariance C are exact:

    <h v^T>_data  = W C
    <h v^T>_model = (I - W W^T)^{-1} W          maximum likelihood ("ml")
    <h v^T>_1     = W (A C A + A + I),  A = W^T W    after one Gibbs step from the data ("cd")

and dW/dt is the difference. A discrete step that would reach the border is halved until it does not; how
often is reported.

Source: Karakida, Okada and Amari 2016, Neural Networks 79:78.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_choice, check_finite, check_real, require
from neuromanifold.dynamics import Flow, Process

# Largest singular value that a step may lead to; the law needs less than 1.
BORDER = 1.0 - 1e-4


class GaussianInfo(NamedTuple):
    """Diagnostics of a step.

    Args:
        halvings: how often the step was halved to stay inside the border.
        norm: largest singular value of W after it.
    """

    halvings: Int[Array, ""]
    norm: Float[Array, ""]


class GaussianLearning(eqx.Module):
    """What a Gaussian machine learns from data of a given covariance.

    Args:
        covariance: C, shape (n, n), symmetric and positive semidefinite.
        rule: "ml" or "cd".

    Raises:
        ValueError: a covariance that is none, or another rule.
    """

    covariance: Float[Array, "n n"]
    rule: str = eqx.field(static=True)

    def __init__(self, covariance: Any, rule: str = "ml") -> None:
        self.rule = check_choice("rule", rule, ("ml", "cd"))
        if not isinstance(covariance, Tracer):
            matrix = check_finite("covariance", covariance)
            square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
            require(square, "covariance", "be a square matrix", matrix.shape)
            scale = np.abs(matrix).max()
            require(np.abs(matrix - matrix.T).max() <= 1e-6 * scale, "covariance", "be symmetric", covariance)
            smallest = float(np.linalg.eigvalsh(matrix)[0])
            require(smallest >= -1e-6 * scale, "covariance", "be positive semidefinite", smallest)
        self.covariance = jnp.asarray(covariance, float)

    def velocity(self, t: Any, couplings: Float[Array, "k n"]) -> Float[Array, "k n"]:
        """dW/dt."""
        w, c = couplings, self.covariance
        if self.rule == "ml":
            return w @ c - jnp.linalg.solve(jnp.eye(len(w), dtype=w.dtype) - w @ w.T, w)
        a = w.T @ w
        return w @ c - w @ (a @ c @ a + a) - w

    def divergence(self, couplings: Float[Array, "k n"]) -> Float[Array, ""]:
        """KL of Gaussian data of this covariance from the machine, in nats; C must be positive definite."""
        precision = jnp.eye(len(self.covariance), dtype=couplings.dtype) - couplings.T @ couplings
        logs = jnp.linalg.slogdet(self.covariance)[1] + jnp.linalg.slogdet(precision)[1]
        return 0.5 * (jnp.sum(precision * self.covariance) - len(precision) - logs)

    def flow(self) -> Flow:
        """Learning in continuous time; maximum likelihood never raises the divergence."""
        return Flow(self.velocity, descends=self.divergence if self.rule == "ml" else None)

    def process(self, rate: float) -> Process:
        """Learning in steps W + rate dW/dt that stay inside the border; its info is `GaussianInfo`.

        Args:
            rate: > 0.
        """
        steps = _Steps(self, check_real("rate", rate, 0, open_low=True))
        return Process(steps.init, steps.step)


class _Steps(eqx.Module):
    learning: GaussianLearning
    rate: float

    def init(self, key: Key[Array, ""], x0: Any) -> Array:
        """Couplings inside the border."""
        n = len(self.learning.covariance)
        shape = np.shape(x0)
        require(len(shape) == 2 and shape[1] == n, "x0", f"have shape (k, {n})", shape)
        if not isinstance(x0, Tracer):
            norm = float(np.linalg.norm(check_finite("x0", x0), 2))
            require(norm < 1, "x0", "have a largest singular value below 1", norm)
        return jnp.asarray(x0, self.learning.covariance.dtype)

    def step(self, key: Key[Array, ""], t: Any, w: Array) -> tuple[Array, GaussianInfo]:
        """One step, halved until it ends inside."""
        change = self.rate * self.learning.velocity(t, w)
        highest = jnp.maximum(BORDER, _norm(w))

        def outside(halvings: Array) -> Array:
            return (_norm(w + change * 0.5**halvings) > highest) & (halvings < 60)

        halvings = jax.lax.while_loop(outside, lambda h: h + 1, jnp.int32(0))
        moved = w + change * 0.5**halvings
        return moved, GaussianInfo(halvings, _norm(moved))


def _norm(w: Array) -> Array:
    return jnp.sqrt(jnp.linalg.eigvalsh(w @ w.T)[-1])
