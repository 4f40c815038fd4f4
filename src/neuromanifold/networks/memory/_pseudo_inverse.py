"""The pseudo-inverse rule: couplings that project on the patterns.

    J = (1/N) Xi^T C^-1 Xi,   C = Xi Xi^T / N

J is the orthogonal projection on the space that the P patterns span, so that J xi = xi for every one of them,
however correlated they are. Without its diagonal, whose mean is alpha = P/N, the field of a stored pattern is
(1 - J_ii) xi_i > 0: all patterns are fixed points as long as they are linearly independent, P < N.

The diagonal matters for what surrounds them. A self-coupling of alpha holds every unit where it is: with it
the basins of attraction shrink to nothing at alpha = 1/2, without it they last up to alpha = 1.

C is P x P: the rule costs O(P^2 N + P^3), and the couplings stay two P x N factors.

Source: Personnaz, Guyon and Dreyfus 1985, J. Physique Lett. 46:L359; Kanter and Sompolinsky 1987, Phys.
Rev. A 35:380.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float
from scipy.linalg import cho_factor, cho_solve, get_lapack_funcs

from neuromanifold._base import check_signs, require
from neuromanifold.networks.memory._factored import FactoredNetwork

# Patterns whose correlations have a smaller reciprocal condition number count as linearly dependent.
_DEPENDENT = 1e-10


def pseudo_inverse(
    patterns: Any,
    *,
    self_coupling: bool = False,
    thresholds: ArrayLike = 0.0,
    inputs: ArrayLike = 0.0,
    tie: str = "positive",
) -> FactoredNetwork:
    """The memory whose couplings project on its patterns, kept as two P x N factors.

    Args:
        patterns: +-1, shape (n_patterns, n_units), linearly independent, P < N. Inside a compiled function
            they are not looked at, and rows of zeros are places without a pattern.
        self_coupling: keep the diagonal; it excludes an energy and shrinks the basins.
        thresholds: a number or one a unit.
        inputs: a number or one a unit.
        tie: a unit at field zero becomes +1 ("positive") or stays ("keep").

    Raises:
        ValueError: patterns that are no +-1 matrix, as many as units or more, or linearly dependent.

    >>> import jax
    >>> from neuromanifold.data import random_patterns
    >>> from neuromanifold.networks.memory import pseudo_inverse
    >>> patterns = random_patterns(jax.random.key(0), 60, 100)
    >>> memory = pseudo_inverse(patterns)
    >>> states = memory.start(patterns)
    >>> bool((memory.respond(memory.field(states), states) == states).all())
    True
    """
    shape = np.shape(patterns)
    require(len(shape) == 2 and min(shape) >= 1, "patterns", "have shape (n_patterns, n_units)", shape)
    require(
        shape[0] < shape[1],
        "patterns",
        f"be fewer than the {shape[1]} units for the pseudo-inverse",
        shape[0],
    )
    dual: Any = _traced_dual(patterns) if isinstance(patterns, Tracer) else _dual(patterns)
    return FactoredNetwork(
        jnp.asarray(patterns, dual.dtype),
        dual,
        symmetric=True,
        self_coupling=self_coupling,
        thresholds=thresholds,
        inputs=inputs,
        tie=tie,
    )


def _dual(patterns: Any) -> Array:
    """C^-1 Xi, solved in float64."""
    xi = check_signs("patterns", patterns)
    n = xi.shape[1]
    single = xi.astype(np.float32)
    # Sums of +-1 are exact integers in float32 below 2^24 units.
    correlations = (single @ single.T if n < 2**24 else xi.astype(np.float64) @ xi.T) / np.float64(n)
    norm = np.abs(correlations).sum(0).max()
    try:
        factor = cho_factor(correlations, lower=True)
        (reciprocal_condition,) = get_lapack_funcs(("pocon",), (factor[0],))
        condition = float(reciprocal_condition(factor[0], norm, uplo="L")[0])
    except np.linalg.LinAlgError:
        factor, condition = None, 0.0
    if factor is None or condition < _DEPENDENT:
        raise ValueError(
            "patterns must be linearly independent for the pseudo-inverse, got rank "
            f"{np.linalg.matrix_rank(correlations, hermitian=True)} of {len(xi)}."
        )
    dtype = np.float64 if jax.config.jax_enable_x64 else np.float32  # pyright: ignore[reportAttributeAccessIssue]
    return jnp.asarray(cho_solve(factor, xi.astype(np.float64)), dtype)


def _traced_dual(patterns: Array) -> Float[Array, "n_patterns n_units"]:
    xi = patterns.astype(jnp.promote_types(patterns.dtype, jnp.float32))
    correlations = xi @ xi.T / xi.shape[1]
    empty = jnp.diagonal(correlations) == 0
    return jax.scipy.linalg.solve(correlations + jnp.diag(empty.astype(xi.dtype)), xi, assume_a="pos")
