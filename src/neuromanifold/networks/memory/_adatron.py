"""AdaTron: the memory of optimal stability, by coordinate ascent on embedding strengths.

Couplings that solve "make |J_i| small while xi_i^mu sum_j J_ij xi_j^mu >= 1 for all mu" have the largest
possible least stability, 1 / |J_i|. They are a sum over patterns with embedding strengths x_i^mu >= 0,

    J_ij = (1/N) sum_mu x_i^mu xi_i^mu xi_j^mu,   i != j,

and the strengths are found by going through the patterns and changing

    x_i^mu <- max(0, x_i^mu + (1 - E_i^mu) N / (N - 1)),   E_i^mu = xi_i^mu sum_j J_ij xi_j^mu,

which raises the dual function sum_mu x^mu - 1/2 sum x^mu B^mu,nu x^nu by the most each time. Fields come from
the P x P overlaps of the patterns, so that a pass costs O(P^2 N) and the couplings stay two P x N factors.
Beyond the capacity no couplings exist and the strengths grow without limit.

Time: one step is one pass over all patterns.

Source: Anlauf and Biehl 1989, Europhys. Lett. 10:687; optimal stability: Krauth and Mezard 1987, J. Phys. A
20:L745.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from neuromanifold._base import check_integer, check_real, check_signs, require
from neuromanifold.dynamics import Process, run
from neuromanifold.networks.memory._factored import FactoredNetwork
from neuromanifold.networks.memory._perceptron import Learned, report


class AdatronState(NamedTuple):
    """Embedding strengths.

    Args:
        strengths: x_i^mu >= 0.
        settled: units for which the last pass found all conditions of the optimum met within the tolerance.
    """

    strengths: Float[Array, "n_patterns n_units"]
    settled: Bool[Array, " n_units"]


class AdatronLearning(eqx.Module):
    """AdaTron as a process that begins with embedding strengths; `adatron` runs it.

    Args:
        patterns: +-1, shape (n_patterns, n_units); rows of zeros are places without a pattern.
        tolerance: largest error of a field E in the conditions of the optimum, > 0.
    """

    patterns: Num[Array, "n_patterns n_units"]
    tolerance: float

    def process(self) -> Process:
        """The process."""
        return Process(self.init, self.step)

    def init(self, key: Any, strengths: Any) -> AdatronState:
        """Strengths to begin with."""
        del key
        start = jnp.asarray(strengths, jnp.result_type(float))
        return AdatronState(start, jnp.zeros(start.shape[1], bool))

    def step(self, key: Any, t: Any, state: AdatronState) -> tuple[AdatronState, None]:
        """One pass; nothing is done once every unit has settled."""
        del key, t
        xi = self.patterns.astype(state.strengths.dtype)
        overlaps = xi @ xi.T / xi.shape[1]

        def sweep(state: AdatronState) -> AdatronState:
            strengths = state.strengths
            own = jnp.sum(strengths * xi**2, 0) / xi.shape[1]
            start = (strengths * xi, own, jnp.zeros(state.settled.shape, strengths.dtype))
            order = jnp.arange(len(xi))

            def learn(carry: tuple[Array, ...], mu: Array) -> tuple[tuple[Array, ...], None]:
                return self._learn(xi, overlaps, carry, mu), None

            (signed, _, error), _ = jax.lax.scan(learn, start, order)
            return AdatronState(signed * xi, error <= self.tolerance)

        return jax.lax.cond(jnp.all(state.settled), lambda s: s, sweep, state), None

    def _learn(self, xi: Array, overlaps: Array, carry: tuple[Array, ...], mu: Array) -> tuple[Array, ...]:
        # Kept as x xi, whose product with the overlaps is the field; its own term J_ii is taken off. Summed
        # anew for every pattern that term would cost as much as the field, so it is carried along a pass.
        signed, own, error = carry
        n = xi.shape[1]
        mine = jax.lax.dynamic_index_in_dim(xi, mu, 0, keepdims=False)
        old = mine * jax.lax.dynamic_index_in_dim(signed, mu, 0, keepdims=False)
        aligned = mine * (overlaps[mu] @ signed) - own
        new = jnp.maximum(0.0, old + (1.0 - aligned) * n / (n - 1))
        # At the optimum E >= 1, and E = 1 where x > 0: the change is zero.
        change = (new - old) * mine**2
        signed = jax.lax.dynamic_update_index_in_dim(signed, new * mine, mu, 0)
        return signed, own + change / n, jnp.maximum(error, jnp.abs(change))


def adatron(patterns: Any, *, tolerance: float = 1e-4, max_sweeps: int = 1000, throw: bool = True) -> Learned:
    """The memory of optimal stability, kept as two P x N factors.

    Args:
        patterns: +-1, shape (n_patterns, n_units), n_units >= 2.
        tolerance: a unit has settled when a pass changes none of its strengths by more, > 0.
        max_sweeps: passes over the patterns at most, >= 1.
        throw: raise where a unit has not settled in the end; otherwise `converged` says so.

    Raises:
        ValueError: patterns that are no +-1 matrix, a tolerance or a number of passes out of range.
        NotLearnedError: with `throw`, not every unit settled in max_sweeps passes.

    >>> import jax
    >>> from neuromanifold.data import random_patterns
    >>> from neuromanifold.networks.memory import adatron
    >>> best = adatron(random_patterns(jax.random.key(0), 25, 50))
    >>> bool((best.margin > 0.5).all())
    True
    """
    shape = np.shape(patterns)
    rule = "have shape (n_patterns, n_units) with two units or more"
    require(len(shape) == 2 and shape[0] >= 1 and shape[1] >= 2, "patterns", rule, shape)
    xi = np.asarray(check_signs("patterns", patterns), np.float64)
    tolerance = check_real("tolerance", tolerance, 0, open_low=True)
    max_sweeps = check_integer("max_sweeps", max_sweeps, 1)
    learning = AdatronLearning(jnp.asarray(patterns), tolerance)
    state = run(learning.process(), jax.random.key(0), jnp.zeros(shape), max_sweeps, label="adatron").state
    network = FactoredNetwork(state.strengths * jnp.asarray(xi, state.strengths.dtype), xi.astype(np.float32))
    margin = embedded_margin(np.asarray(state.strengths), xi)
    return report(network, margin, np.asarray(state.settled), max_sweeps, throw)


def embedded_margin(strengths: np.ndarray, patterns: np.ndarray) -> np.ndarray:
    """The least stability of each unit, min_mu E_i^mu / |J_i|, shape (n_units,).

    Args:
        strengths: x, shape (n_patterns, n_units); a unit without strengths has stability zero.
        patterns: +-1, of the same shape; rows of zeros are places without a pattern.
    """
    xi, x = np.asarray(patterns, np.float64), np.asarray(strengths, np.float64)
    aligned = xi * (xi @ xi.T @ (x * xi)) / xi.shape[1] - x.sum(0) / xi.shape[1]
    square = (x * aligned).sum(0) / xi.shape[1]
    lowest = np.where(xi != 0, aligned, np.inf).min(0)
    return np.where(square > 0, lowest / np.sqrt(np.where(square > 0, square, 1.0)), 0.0)
