"""Perceptron learning of a memory: every unit is a perceptron that must have every pattern for itself.

The stability of unit i in pattern mu is the field in units of the couplings' length,

    Delta_i^mu = xi_i^mu sum_j J_ij xi_j^mu / |J_i|,   |J_i|^2 = sum_{j != i} J_ij^2.

A step goes once through the patterns. Wherever Delta_i^mu < kappa the unit learns, as in Gardner 1988,

    J_ij <- J_ij + (1/N) xi_i^mu xi_j^mu                        asymmetric couplings
    J_ij <- J_ij + (1/N) (e_i + e_j) xi_i^mu xi_j^mu            symmetric: e_i = 1 where unit i is not served

If couplings with all stabilities above kappa exist, asymmetric learning finds some after finitely many steps;
if not it goes on for ever, which is told and not hidden. All units learn side by side as one matrix.

Time: one step is one pass over all patterns, O(P N^2).

Source: Gardner 1988, J. Phys. A 21:257; Diederich and Opper 1987, Phys. Rev. Lett. 58:949.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from neuromanifold._base import check_integer, check_real, check_signs, require
from neuromanifold.dynamics import Process, run
from neuromanifold.networks.memory._dense import DenseHopfield


class NotLearnedError(RuntimeError):
    """Learning that did not reach what was asked; the message says for how many units."""


class PerceptronState(NamedTuple):
    """Couplings, and which units had every pattern in the last pass.

    Args:
        couplings: J, zero diagonal.
        served: units whose stabilities were all at least kappa when each pattern came by, without a change.
    """

    couplings: Float[Array, "n_units n_units"]
    served: Bool[Array, " n_units"]


class PerceptronInfo(NamedTuple):
    """Number of changes that a pass made, over units and patterns."""

    changes: Int[Array, ""]


class PerceptronLearning(eqx.Module):
    """Perceptron learning as a process that begins with couplings; `perceptron` runs it.

    Args:
        patterns: +-1, shape (n_patterns, n_units); rows of zeros are places without a pattern.
        margin: kappa, >= 0.
        symmetric: keep the couplings symmetric.
    """

    patterns: Num[Array, "n_patterns n_units"]
    margin: float
    symmetric: bool = eqx.field(static=True, default=False)

    def process(self) -> Process:
        """The process."""
        return Process(self.init, self.step)

    def init(self, key: Any, couplings: Any) -> PerceptronState:
        """Couplings to begin with."""
        del key
        start = jnp.asarray(couplings, jnp.result_type(float))
        return PerceptronState(start, jnp.zeros(len(start), bool))

    def step(self, key: Any, t: Any, state: PerceptronState) -> tuple[PerceptronState, PerceptronInfo]:
        """One pass; nothing is done once every unit is served."""
        del key, t

        def sweep(state: PerceptronState) -> tuple[PerceptronState, PerceptronInfo]:
            start = (state.couplings, jnp.zeros(state.served.shape, jnp.int32))

            def learn(carry: tuple[Array, Array], pattern: Array) -> tuple[tuple[Array, Array], None]:
                return self._learn(carry, pattern), None

            (couplings, changes), _ = jax.lax.scan(learn, start, self.patterns)
            return PerceptronState(couplings, changes == 0), PerceptronInfo(jnp.sum(changes))

        def rest(state: PerceptronState) -> tuple[PerceptronState, PerceptronInfo]:
            return state, PerceptronInfo(jnp.int32(0))

        return jax.lax.cond(jnp.all(state.served), rest, sweep, state)

    def _learn(self, carry: tuple[Array, Array], pattern: Array) -> tuple[Array, Array]:
        couplings, changes = carry
        xi = pattern.astype(couplings.dtype)
        aligned = xi * (couplings @ xi)
        length = jnp.sqrt(jnp.sum(couplings**2, 1))
        # Of no couplings at all the stability is none, whatever the margin.
        wanting = ((aligned < self.margin * length) | (length == 0)) & (xi != 0)
        error = wanting.astype(couplings.dtype)
        taught = error[:, None] + error[None] if self.symmetric else error[:, None]
        off = 1.0 - jnp.eye(len(xi), dtype=couplings.dtype)
        couplings = couplings + taught * jnp.outer(xi, xi) * off / len(xi)
        changes = changes + wanting
        if self.symmetric:  # a unit is also changed by others
            changes = changes + jnp.any(wanting) * (xi != 0)
        return couplings, changes


class Learned(NamedTuple):
    """A memory that was learnt under a condition on its stabilities.

    Args:
        network: the memory.
        margin: the smallest stability of each unit over the patterns, min_mu Delta_i^mu.
        converged: the units that reached what was asked.
        n_sweeps: passes over the patterns that were made at most.
    """

    network: Any
    margin: np.ndarray
    converged: np.ndarray
    n_sweeps: int


def perceptron(
    patterns: Any,
    margin: float = 0.0,
    *,
    symmetric: bool = False,
    max_sweeps: int = 1000,
    throw: bool = True,
) -> Learned:
    """The memory that perceptron learning finds for patterns, from couplings zero: N x N couplings.

    Args:
        patterns: +-1, shape (n_patterns, n_units).
        margin: kappa, the stability wanted, >= 0. Random patterns have such couplings up to the load
            alpha_c(kappa) of Gardner's bound, 2 at kappa = 0.
        symmetric: learn symmetric couplings, which have an energy; they hold no more than that.
        max_sweeps: passes over the patterns at most, >= 1.
        throw: raise where a unit is not served in the end; otherwise `converged` says so.

    Raises:
        ValueError: patterns that are no +-1 matrix, a margin below zero.
        NotLearnedError: with `throw`, not every unit reached the margin in max_sweeps passes.

    >>> import jax
    >>> from neuromanifold.data import random_patterns
    >>> from neuromanifold.networks.memory import perceptron
    >>> learned = perceptron(random_patterns(jax.random.key(0), 15, 50), margin=0.5)
    >>> bool((learned.margin >= 0.5).all())
    True
    """
    shape = np.shape(patterns)
    require(len(shape) == 2 and min(shape) >= 1, "patterns", "have shape (n_patterns, n_units)", shape)
    check_signs("patterns", patterns)
    margin = check_real("margin", margin, 0)
    max_sweeps = check_integer("max_sweeps", max_sweeps, 1)
    learning = PerceptronLearning(jnp.asarray(patterns), margin, symmetric)
    start = jnp.zeros((shape[1], shape[1]))
    state = run(learning.process(), jax.random.key(0), start, max_sweeps, label="perceptron").state
    reached = stabilities(state.couplings, jnp.asarray(patterns)).min(0)
    return report(DenseHopfield(state.couplings), reached, np.asarray(state.served), max_sweeps, throw)


def report(network: Any, reached: np.ndarray, converged: np.ndarray, n_sweeps: int, throw: bool) -> Learned:
    """A `Learned`, or an error that says how many units were not served."""
    wanting = int((~converged).sum())
    if throw and wanting:
        raise NotLearnedError(
            f"{wanting} of {len(converged)} units did not reach the stability asked for in {n_sweeps} "
            "passes; the load may be above Gardner's bound: fewer patterns, a smaller margin or more passes."
        )
    return Learned(network, np.asarray(reached), converged, n_sweeps)


def stabilities(couplings: Any, patterns: Any) -> np.ndarray:
    """Delta_i^mu = xi_i^mu sum_j J_ij xi_j^mu / |J_i|, shape (n_patterns, n_units).

    Args:
        couplings: J, shape (n_units, n_units), zero diagonal; a unit without couplings has stability zero.
        patterns: +-1, shape (n_patterns, n_units).
    """
    matrix, xi = np.asarray(couplings, np.float64), np.asarray(patterns, np.float64)
    length = np.sqrt((matrix**2).sum(1))
    return xi * (xi @ matrix.T) / np.where(length > 0, length, 1.0)
