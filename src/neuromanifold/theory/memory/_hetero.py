"""Macroscopic laws of hetero-association: layers that recall each other's patterns.

P random patterns, xi^mu in a layer of n_x units, eta^mu in the next of n_y; y = sgn(W x),
W = (1/n_x) sum_mu eta^mu xi^mu^T; loads alpha_x = P/n_x, alpha_y = P/n_y; m the overlap with the pattern
recalled, sigma the standard deviation of the noise in the field, u = m/sigma, p the standard normal density.

Layered, each layer with patterns of its own. The field of layer l + 1 is the signal m_l plus a sum over the
other patterns, sqrt(alpha_l) times their overlaps M_l (in units of 1/sqrt(n_l)). As patterns of layer l + 1
appear nowhere before, M_{l+1} = A + sqrt(n_{l+1}/n_l) (2 p(u_l)/sigma_l) M_l with A of variance 1 and
independent of M_l: no correlation of the noise arises, and for n -> infinity exactly

    m_{l+1} = erf(m_l / sqrt(2 sigma_l^2)),   sigma_{l+1}^2 = alpha_{l+1} + 4 p(u_l)^2,   sigma_0^2 = alpha_0,

for layers of any sizes. With equal sizes it is the law of a sequence memory, with capacity .2691.

Bidirectional, there and back by the same patterns. The first layer's state x(0) goes through W and W^T and
comes back to its own units with weight alpha_x U, U = 2 p(u_0)/sigma_0. There and back once is exact for n ->
infinity:

    m_y = erf(m_0 / sqrt(2 alpha_x)),   sigma_y^2 = alpha_y + 4 p(u_0)^2,
    m_x = sum_{s = +-1} (1 + s m_0)/2 erf((m_y + s alpha_x U) / (sqrt 2 sigma_y)).

Later such terms multiply; the law of layers is then only near. In the end, for equal sizes and by the same
self-consistent reckoning that gives Amit, Gutfreund and Sompolinsky's r = 1/(1 - C)^2 for one layer,

    m = erf(u / sqrt 2),   sigma^2 = alpha (1 + C^2)/(1 - C^2)^2,   C = 2 p(u)/sigma,   u = m/sigma,

because M_y = A_y + C M_x and M_x = A_x + C M_y. Its capacity is .1998. Recall from a pattern ends in states
of slightly larger overlap (.9765 against .9727 at a load of .18). Replica symmetry is assumed, and
breaks at zero temperature near capacity as it does in one layer.

Source: Domany, Meir and Kinzel 1986, Europhys. Lett. 2:175; Meir and Domany 1987, Phys. Rev. Lett. 59:359
(layers, equal sizes); the rest is derived above.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erf as erf_exact

from neuromanifold._base import check_finite, check_real, require
from neuromanifold.dynamics import Process, run
from neuromanifold.theory.memory._signal_to_noise import Branch, DynamicalCapacity, Recall


class LayerState(NamedTuple):
    """Overlap m_l and noise sigma_l, of one shape."""

    overlap: Float[Array, "*starts"]
    noise: Float[Array, "*starts"]


class LayeredLaw(eqx.Module):
    """The macroscopic law of a layered memory as a `Process` on `LayerState`; a step is a layer."""

    alphas: Float[Array, " n_layers"]

    def process(self) -> Process:
        """The process; it begins with overlaps m_0 of any shape."""
        return Process(self.init, self.step)

    def init(self, key: Any, overlap: Any) -> LayerState:
        """The state of layer 0."""
        del key
        m = jnp.asarray(overlap, self.alphas.dtype)
        return LayerState(m, jnp.full_like(m, jnp.sqrt(self.alphas[0])))

    def step(self, key: Any, t: Any, state: LayerState) -> tuple[LayerState, None]:
        """Overlap and noise of the next layer; the last layer's load goes on for ever."""
        del key
        u = state.overlap / state.noise
        alpha = self.alphas[jnp.minimum(t + 1, self.alphas.size - 1)]
        variance = alpha + 2 / jnp.pi * jnp.exp(-(u**2))
        return LayerState(erf(u / jnp.sqrt(2.0)), jnp.sqrt(variance)), None


def _both(state: LayerState) -> LayerState:
    return state


def layered_recall(alphas: ArrayLike, overlap: ArrayLike) -> Recall:
    """Overlap and noise of every layer of a layered memory, exact for n -> infinity.

    Args:
        alphas: loads alpha_l = P/n_l of the layers 0 ... L, > 0, shape (n_layers,), n_layers >= 2.
        overlap: overlap m_0 of layer 0 in [-1, 1], any shape; the layers are the last axis of the result.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import layered_recall
    >>> layered_recall([0.2] * 5, 0.407).overlap.round(3).tolist()
    [0.407, 0.637, 0.643, 0.651, 0.66]
    """
    loads = check_finite("alphas", alphas).astype(np.float64)
    rule = "have shape (n_layers,) with n_layers >= 2"
    require(loads.ndim == 1 and len(loads) >= 2, "alphas", rule, loads.shape)
    require(np.all(loads > 0), "alphas", "be > 0", alphas)
    starts = check_finite("overlap", overlap).astype(np.float64)
    require(np.all(np.abs(starts) <= 1), "overlap", "lie in [-1, 1]", overlap)
    with jax.enable_x64(True):
        law = LayeredLaw(jnp.asarray(loads))
        made = run(law.process(), jax.random.key(0), jnp.asarray(starts), len(loads) - 1, observe=_both)
        m, sigma = (np.moveaxis(np.asarray(x), 0, -1) for x in made.values)
    return Recall(m, sigma)


class ThereAndBack(NamedTuple):
    """Overlaps after a cue went to the second layer and back, of one shape.

    Args:
        second: m_y, of the second layer.
        first: m_x, of the first layer afterwards.
        first_without: m_x if the cue did not come back to its own units: the law of layers.
    """

    second: NDArray[np.float64]
    first: NDArray[np.float64]
    first_without: NDArray[np.float64]


def there_and_back(alpha_first: ArrayLike, alpha_second: ArrayLike, overlap: ArrayLike) -> ThereAndBack:
    """One step of a bidirectional memory, exact for n -> infinity.

    Args:
        alpha_first: P/n_x, > 0; all arguments broadcast.
        alpha_second: P/n_y, > 0.
        overlap: overlap m_0 of the cue in [-1, 1].

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import there_and_back
    >>> [round(float(m), 4) for m in there_and_back(0.15, 0.15, 0.25)]
    [0.4814, 0.5075, 0.4764]
    """
    one, other = check_finite("alpha_first", alpha_first), check_finite("alpha_second", alpha_second)
    require(np.all(one > 0), "alpha_first", "be > 0", alpha_first)
    require(np.all(other > 0), "alpha_second", "be > 0", alpha_second)
    start = check_finite("overlap", overlap)
    require(np.all(np.abs(start) <= 1), "overlap", "lie in [-1, 1]", overlap)
    density = np.exp(-(start**2) / (2 * one)) / np.sqrt(2 * np.pi)
    second = erf_exact(start / np.sqrt(2 * one))
    scale = np.sqrt(2 * (other + 4 * density**2))
    back = 2 * density * np.sqrt(one)
    first = sum((1 + s * start) / 2 * erf_exact((second + s * back) / scale) for s in (1, -1))
    return ThereAndBack(np.asarray(second), np.asarray(first), np.asarray(erf_exact(second / scale)))


def bidirectional_branch(signal: ArrayLike) -> Branch:
    """End states of a bidirectional memory of equal layers along u = m/sigma, explicitly.

    Args:
        signal: u, any shape, > 0; larger u on the stable side of the fold.

    Returns:
        A `Branch`; the load is 0 where C >= 1, where no such state exists.

    Raises:
        ValueError: a u that is not positive and finite.
    """
    u = check_finite("signal", signal).astype(np.float64)
    require(np.all(u > 0), "signal", "be > 0", signal)
    m = erf_exact(u / np.sqrt(2))
    sigma = m / u
    c = 2 * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) / sigma
    load = np.where(c < 1, sigma**2 * (1 - c**2) ** 2 / (1 + c**2), 0.0)
    return Branch(load, m)


def _fold() -> float:
    """U at which the load of the branch is largest."""
    found: Any = minimize_scalar(
        lambda u: -float(bidirectional_branch(u).load),
        bounds=(1.0, 3.0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(found.x)


def bidirectional_capacity() -> DynamicalCapacity:
    """The largest load P/n of a bidirectional memory of two equal layers, and the overlap there.

    >>> from neuromanifold.theory.memory import bidirectional_capacity
    >>> print(f"{bidirectional_capacity().load:.5f} {bidirectional_capacity().overlap:.4f}")
    0.19980 0.9328
    """
    point = bidirectional_branch(_fold())
    return DynamicalCapacity(float(point.load), float(point.overlap))


def bidirectional_overlap(alpha: float) -> float:
    """Overlap of both layers with their patterns in the end, from a cue near them.

    Args:
        alpha: P/n of both layers, in (0, capacity).

    Raises:
        ValueError: alpha outside its range.
    """
    fold = _fold()
    largest = float(bidirectional_branch(fold).load)
    check_real("alpha", alpha, 0.0, largest, open_low=True, open_high=True)
    # m/sigma <= 1/sqrt(alpha), because the noise is never below sqrt(alpha).
    root: Any = brentq(
        lambda u: float(bidirectional_branch(u).load) - alpha, fold, 1.0 / np.sqrt(alpha) + 1.0, xtol=1e-13
    )
    return float(bidirectional_branch(root).overlap)
