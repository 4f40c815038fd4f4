"""Averaged learning of a machine with Gaussian visible units: components, and Hebb units that interact.

For data with weights p and a machine q(v, h) the flow of maximum likelihood is, in couplings,

    dW/dt = <h v^T>_p - <h v^T>_q,     <h v^T>_q = R W + <h>_q b^T,     R_ij = <h_i h_j>_q,

multiplied by the visible variance: every hidden unit follows the centre of gravity of the signals that excite
it, and is held off by the units that fire with it. R is a sum over hidden states; averages over v are done.
For hidden signs without biases CD-1 is closed too: v' = W^T h + sigma z after one step from data gives

    <h'_i v'_j> = <tanh(u_i) (W^T h)_j + sech^2(u_i) W_ij>,   u_i = (w_i . W^T h)/sigma^2 + |w_i| z/sigma,

with z normal, an average in one dimension.

Source: Karakida, Okada and Amari 2016, Neural Networks 79:78.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from neuromanifold._base import check_choice, check_finite, require
from neuromanifold.dynamics import Flow
from neuromanifold.networks.energy._restricted import RestrictedBoltzmann
from neuromanifold.networks.energy._units import Bernoulli, Gaussian, Spins

# Trapezoid rule for the normal law: it errs below 1e-12 for what is smooth on a tenth of the spread.
_Z = np.linspace(-8.0, 8.0, 161)
_P = np.exp(-0.5 * _Z**2) / np.exp(-0.5 * _Z**2).sum()


class AveragedLearning(eqx.Module):
    """What a machine with Gaussian visible units and two-valued hidden units learns from weighted data.

    Args:
        points: data, shape (n_points, n).
        weights: probabilities of the points, >= 0; None for equal ones. They are made to sum to one.
        rule: "ml", or "cd" for CD-1 averaged over its noise (hidden signs; biases stay as they are).

    Raises:
        ValueError: points or weights that are not finite, of the wrong shape, or negative.
    """

    points: Float[Array, "n_points n"]
    weights: Float[Array, " n_points"]
    rule: str = eqx.field(static=True)

    def __init__(self, points: Any, weights: Any = None, rule: str = "ml") -> None:
        self.rule = check_choice("rule", rule, ("ml", "cd"))
        shape = np.shape(points)
        require(len(shape) == 2 and shape[0] > 0, "points", "have shape (n_points, n)", shape)
        if not isinstance(points, Tracer):
            check_finite("points", points)
        self.points = jnp.asarray(points, float)
        if weights is None:
            self.weights = jnp.full(shape[0], 1.0 / shape[0])
            return
        values = check_finite("weights", weights)
        require(values.shape == shape[:1], "weights", f"have shape {shape[:1]}", values.shape)
        require(np.all(values >= 0) and values.sum() > 0, "weights", "be >= 0 and not all zero", values.min())
        self.weights = jnp.asarray(values / values.sum(), float)

    def log_likelihood(self, machine: RestrictedBoltzmann) -> Float[Array, ""]:
        """Mean log likelihood of the points, in nats."""
        return self.weights @ machine.log_weight(self.points) - machine.log_partition()

    def velocity(self, t: Any, machine: RestrictedBoltzmann) -> RestrictedBoltzmann:
        """d(machine)/dt: couplings and biases; variances rest."""
        if self.rule == "ml":
            change = jax.grad(self.log_likelihood)(machine)
            variance = _variance(machine)
            return jax.tree.map(lambda x: variance * x, change)
        rest = jax.tree.map(jnp.zeros_like, machine)
        return eqx.tree_at(lambda m: m.couplings, rest, self._one_step(machine))

    def flow(self) -> Flow:
        """Learning in continuous time, of a `RestrictedBoltzmann` with Gaussian visible units."""
        return Flow(self.velocity)

    def _one_step(self, machine: RestrictedBoltzmann) -> Array:
        w, variance = machine.couplings, _variance(machine)
        mean = machine.hidden.mean(machine.hidden_field(self.points))
        data = (self.weights[:, None] * mean).T @ self.points
        states = machine.hidden.configuration(jnp.arange(2 ** len(w))).astype(w.dtype)
        # Probability of each hidden state after the data, unit by unit given v.
        chance = jnp.prod(0.5 * (1.0 + states[None] * mean[:, None]), -1)
        chance = self.weights @ chance
        back = states @ w
        size = jnp.sqrt((w**2).sum(1) / variance)
        u = (back @ w.T / variance)[..., None] + size[None, :, None] * jnp.asarray(_Z, w.dtype)[None, None]
        tanh = jnp.tanh(u)
        normal = jnp.asarray(_P, w.dtype)
        first, slope = tanh @ normal, (1.0 - tanh**2) @ normal
        model = (chance[:, None] * first).T @ back + (chance @ slope)[:, None] * w
        return data - model


def interaction_matrix(
    machine: RestrictedBoltzmann, kind: str = "model", points: Any = None, weights: Any = None
) -> Float[Array, "k k"]:
    """R_ij = <h_i h_j>, how often hidden units fire together.

    Args:
        machine: two-valued hidden units, at most 20 where `kind` is "model".
        kind: "model", under the machine's own law, or "data", hidden units given the data. They are equal
            where the machine fits.
        points: data for "data", shape (n_points, n).
        weights: of the points; None for equal ones.

    Raises:
        ValueError: hidden units that are not two-valued, or no data for "data".
    """
    check_choice("kind", kind, ("model", "data"))
    two_valued = isinstance(machine.hidden, Bernoulli | Spins)
    require(two_valued, "machine", "have two-valued hidden units", type(machine.hidden).__name__)
    k = machine.hidden.n_units
    if kind == "model":
        require(k <= 20, "hidden units", "be at most 20 to be summed over", k)
        h = machine.hidden.configuration(jnp.arange(2**k)).astype(machine.couplings.dtype)
        p = jax.nn.softmax(machine.flipped.log_weight(h))
        return (p[:, None] * h).T @ h
    require(points is not None, "points", "be given for the interaction in data", points)
    data = AveragedLearning(points, weights)
    mean = machine.hidden.mean(machine.hidden_field(data.points))
    together = (data.weights[:, None] * mean).T @ mean
    own = data.weights @ mean if isinstance(machine.hidden, Bernoulli) else jnp.ones(k, mean.dtype)
    return together - jnp.diag(jnp.diag(together)) + jnp.diag(own)


def interaction_solution(
    machine: RestrictedBoltzmann, points: Any, weights: Any = None, kind: str = "model"
) -> Float[Array, "k n"]:
    """R^{-1} (<h v^T>_data - <h> b^T): the couplings at which learning would rest, were R what it is now.

    Args:
        machine: Gaussian visible units of variance 1, two-valued hidden units.
        points: data, shape (n_points, n).
        weights: of the points; None for equal ones.
        kind: of the interaction matrix, as for `interaction_matrix`; <h> is averaged likewise.

    Raises:
        ValueError: a hidden unit that is dead, the double of another, or a combination of several, so that R
            has no inverse; the message names it.
    """
    r = interaction_matrix(machine, kind, points, weights)
    _check_regular(np.asarray(r, np.float64))
    data = AveragedLearning(points, weights)
    mean = machine.hidden.mean(machine.hidden_field(data.points))
    seen = data.weights @ mean
    if kind == "model":
        h = machine.hidden.configuration(jnp.arange(2**machine.hidden.n_units)).astype(r.dtype)
        seen = jax.nn.softmax(machine.flipped.log_weight(h)) @ h
    moments = (data.weights[:, None] * mean).T @ data.points
    return jnp.linalg.solve(r, moments - seen[:, None] * machine.visible_bias[None])


def _check_regular(r: np.ndarray) -> None:
    for i in range(len(r)):
        if r[i, i] < 1e-12:
            raise ValueError(f"the interaction must have an inverse, got hidden unit {i} that never fires.")
    size = np.sqrt(np.diag(r))
    alike = np.abs(r / np.outer(size, size)) - np.eye(len(r))
    i, j = np.unravel_index(np.argmax(alike), r.shape)
    if alike[i, j] > 1 - 1e-9:
        raise ValueError(f"the interaction must have an inverse, got hidden unit {j} that doubles {i}.")
    # What is left of a unit once those before it are taken out: the squares of Cholesky's diagonal.
    left = r / np.outer(size, size)
    for i in range(len(r)):
        if left[i, i] < 1e-12:
            raise ValueError(
                f"the interaction must have an inverse, got hidden unit {i} that depends on those before it."
            )
        left = left - np.outer(left[:, i], left[i]) / left[i, i]


def unmixing_error(couplings: Any, mixing: Any, *, whiten: bool = False) -> float:
    """Amari's index of W B: 0 for a permutation with scales and signs, at most 1.

    A machine at rest reports sources s of unit variance one by one, W = O D S B^-1, only where the columns
    of B are orthogonal and of equal length, as those of whitened data v = (B B^T)^(-1/2) B s are.

    Args:
        couplings: W, shape (k, n).
        mixing: B, shape (n, k).
        whiten: W was learned from whitened data (`whitened`); B is that of the data before, and square.

    Raises:
        ValueError: shapes that do not fit, k < 2, a row or column of zeros, or a mixing that is not
            orthogonal up to a factor (singular, with `whiten`).

    Source: Amari, Cichocki and Yang 1996, NIPS 8:757.
    """
    w, b = check_finite("couplings", couplings), check_finite("mixing", mixing)
    fits = w.ndim == 2 and b.shape == w.shape[::-1] and len(w) >= 2
    require(fits, "mixing", f"have shape {w.shape[::-1]} with k >= 2", b.shape)
    left, sizes, right = np.linalg.svd(b.astype(np.float64), full_matrices=False)
    if whiten:
        full = len(b) == len(w) and sizes[-1] > 1e-12 * sizes[0]
        require(full, "mixing", "be square and regular to be whitened", b)
        b = left @ right
    else:
        equal = sizes[0] - sizes[-1] <= 1e-3 * sizes[0]
        rule = "be orthogonal up to a factor, or whiten be True with couplings learned from whitened data"
        require(equal, "mixing", rule, b)
    p = np.abs(w @ b)
    require(
        p.max(0).min() > 0 and p.max(1).min() > 0, "couplings", "leave no unit or source without weight", w
    )
    rows = (p / p.max(1, keepdims=True)).sum(1) - 1
    columns = (p / p.max(0)).sum(0) - 1
    k = len(p)
    return float((rows.sum() + columns.sum()) / (2 * k * (k - 1)))


def whitened(points: Any) -> tuple[np.ndarray, np.ndarray]:
    """Data with mean zero and unit covariance, and the symmetric matrix that made them so.

    Args:
        points: shape (n_points, n), of full rank.

    Raises:
        ValueError: points in fewer than n dimensions.
    """
    values = check_finite("points", points).astype(np.float64)
    centred = values - values.mean(0)
    spread, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    require(spread[0] > 1e-12 * spread[-1], "points", "span all dimensions", float(spread[0]))
    matrix = (axes / np.sqrt(spread)) @ axes.T
    return centred @ matrix, matrix


def _variance(machine: RestrictedBoltzmann) -> Array:
    visible = machine.visible
    require(isinstance(visible, Gaussian), "machine", "have Gaussian visible units", type(visible).__name__)
    assert isinstance(visible, Gaussian)
    return visible.variance[0]
