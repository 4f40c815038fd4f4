"""Random landscapes: symmetric Gaussian matrices, and the spherical p-spin function with its derivatives.

    H(x) = N^{-(p-1)/2} sum J_{i j ... k} x_i x_j ... x_k   on |x|^2 = N,   J independent and normal,

is Gaussian with covariance N q^p, q = x . x'/N. Only the symmetric part of J counts, and contracted with
p - 2 copies of x it is one matrix M(x), from which all follows:

    H = x M x,     grad H = p M x,     Hess H = p (p - 1) M,

and on the sphere, with the projection P off x,  P grad H  and  P (Hess H - (x . grad H/N) I) P.

`PSpin.descent` goes down the gradient on the sphere in small steps, `PSpin.newton` to the next point where
the gradient vanishes, be it a minimum or a saddle. Many landscapes with a point each: vmap.

Source: Crisanti and Sommers 1992, Z. Physik B 87:341; Wigner 1958, Ann. Math. 67:325.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Key

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Process

# Beyond it hardly a matrix in a million has no negative eigenvalue.
LARGEST_DRAWN = 6
# Longest Newton step, in units of the radius of the sphere.
_LONGEST = 0.2


def goe(key: Key[Array, ""], n: int, scale: float = 1.0) -> Float[Array, "n n"]:
    """A symmetric Gaussian matrix: variance s^2/N off the diagonal, 2 s^2/N on it.

    Args:
        key: of the draw.
        n: N >= 1.
        scale: s > 0.

    Raises:
        ValueError: an argument outside its range.
    """
    n = check_integer("n", n, 1)
    scale = check_real("scale", scale, 0, open_low=True)
    draws = jax.random.normal(key, (n, n))
    return (draws + draws.T) * (scale / math.sqrt(2 * n))


def index_of(matrices: Any) -> Int[Array, "*batch"]:
    """Number of negative eigenvalues of symmetric matrices.

    Args:
        matrices: shape (..., N, N).

    Raises:
        ValueError: a matrix that is not square and symmetric.
    """
    shape = np.shape(matrices)
    square = len(shape) >= 2 and shape[-1] == shape[-2]
    require(square, "matrices", "be square", shape)
    if not isinstance(matrices, Tracer):
        values = check_finite("matrices", matrices)
        gap = float(np.abs(values - np.swapaxes(values, -1, -2)).max())
        require(gap <= 1e-5 * float(np.abs(values).max()), "matrices", "be symmetric", gap)
    return jnp.sum(jnp.linalg.eigvalsh(jnp.asarray(matrices)) < 0, -1)


def all_positive(key: Key[Array, ""], n: int, n_draws: int) -> Bool[Array, "n n_draws"]:
    """Whether all eigenvalues are positive, for GOE matrices of sizes 1 ... N.

    A symmetric matrix is positive definite exactly if elimination meets only positive pivots. The leading
    block of size k of a GOE matrix is one itself, up to scale, so one matrix serves all sizes.

    Args:
        key: of the draws.
        n: N in [1, 6]; beyond, no number of draws that one would wait for holds a positive one.
        n_draws: matrices, >= 1.

    Returns:
        Row k - 1 for size k; columns are independent, rows are not.

    Raises:
        ValueError: an argument outside its range.
    """
    n = check_integer("n", n, 1, LARGEST_DRAWN)
    n_draws = check_integer("n_draws", n_draws, 1)
    # Entries lie along the first axes, so that every operation runs over all draws at once.
    draws = jax.random.normal(key, (n, n, n_draws))
    left = draws + draws.swapaxes(0, 1)
    positive, found = jnp.ones(n_draws, bool), []
    for _ in range(n):
        pivot = left[0, 0]
        positive &= pivot > 0
        found.append(positive)
        left = left[1:, 1:] - left[1:, :1] * left[:1, 1:] / jnp.where(pivot > 0, pivot, 1.0)[None, None]
    return jnp.stack(found)


def indices(key: Key[Array, ""], n: int, n_draws: int) -> Int[Array, "n n_draws"]:
    """Number of negative eigenvalues of GOE matrices of sizes 1 ... N, without the matrices.

    Reflections bring a GOE matrix to three diagonals whose entries are independent again, normal ones of
    variance 2 and beside them chi variables of N - 1 ... 1 degrees of freedom (times s/sqrt(N)). Elimination
    from the end has as many negative pivots as there are negative eigenvalues, and the last k rows are the
    three diagonals of a GOE(k) matrix: N steps serve all sizes.

    Args:
        key: of the draws.
        n: N >= 1.
        n_draws: matrices, >= 1.

    Returns:
        Row k - 1 for size k; columns are independent, rows are not.

    Raises:
        ValueError: an argument outside its range.

    Source: Dumitriu and Edelman 2002, J. Math. Phys. 43:5830.
    """
    n, n_draws = check_integer("n", n, 1), check_integer("n_draws", n_draws, 1)
    key_middle, key_beside = jax.random.split(key)
    middle = math.sqrt(2) * jax.random.normal(key_middle, (n, n_draws))
    beside = jax.random.chisquare(key_beside, jnp.arange(1.0, n)[:, None], shape=(n - 1, n_draws))

    def pivot(before: tuple[Array, Array], row: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        below, count = before
        now = row[0] - row[1] / below
        count = count + (now < 0)
        return (now, count), count

    first = (middle[0] < 0).astype(jnp.int32)
    counts = jax.lax.scan(pivot, (middle[0], first), (middle[1:], beside))[1]
    return jnp.concatenate([first[None], counts])


class NewtonInfo(NamedTuple):
    """Diagnostics of a Newton step.

    Args:
        residual: length of the gradient on the sphere before it, over sqrt(N).
    """

    residual: Float[Array, ""]


class PSpin(eqx.Module):
    """A p-spin function on the sphere |x|^2 = N; see the module's header.

    Args:
        couplings: J, shape (N,) * p with p >= 2; only its symmetric part is kept.

    Raises:
        ValueError: axes of different length, fewer than two of them, or numbers that are not finite.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.networks.random import PSpin
    >>> landscape = PSpin(jnp.diag(jnp.array([1.0, -1.0])))    # p = 2: H = (x_1^2 - x_2^2)/sqrt(2)
    >>> round(float(landscape.energy(jnp.array([1.0, 1.0]))), 4)
    0.0
    """

    couplings: Float[Array, "..."]

    def __init__(self, couplings: Any) -> None:
        shape = np.shape(couplings)
        require(
            len(shape) >= 2 and len(set(shape)) == 1, "couplings", "have p >= 2 axes of one length", shape
        )
        if not isinstance(couplings, Tracer):
            check_finite("couplings", couplings)
        given = jnp.asarray(couplings, float)
        orders = list(itertools.permutations(range(len(shape))))
        self.couplings = sum((jnp.transpose(given, order) for order in orders), 0 * given) / len(orders)

    @staticmethod
    def random(key: Key[Array, ""], n: int, order: int = 3) -> PSpin:
        """Independent normal couplings.

        Args:
            key: of the couplings.
            n: N >= 2; there are N^p couplings.
            order: p >= 2.

        Raises:
            ValueError: an argument outside its range.
        """
        n, p = check_integer("n", n, 2), check_integer("order", order, 2)
        return PSpin(jax.random.normal(key, (n,) * p))

    @property
    def n(self) -> int:
        """Dimension N of the space in which the sphere lies."""
        return self.couplings.shape[0]

    @property
    def order(self) -> int:
        """The number p of units in each product."""
        return self.couplings.ndim

    def _matrix(self, x: Array) -> Array:
        left = self.couplings
        while left.ndim > 2:
            left = left @ x
        return left * self.n ** (-0.5 * (self.order - 1))

    def start(self, key: Key[Array, ""]) -> Float[Array, " n"]:
        """A uniform point of the sphere."""
        return self.onto(jax.random.normal(key, (self.n,)))

    def onto(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """The point of the sphere in the direction of x."""
        return x * jnp.sqrt(self.n / jnp.sum(x * x))

    def energy(self, x: Float[Array, " n"]) -> Float[Array, ""]:
        """H(x)."""
        return x @ self._matrix(x) @ x

    def gradient(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Gradient along the sphere."""
        slope = self.order * self._matrix(x) @ x
        return slope - (x @ slope) / self.n * x

    def hessian(self, x: Float[Array, " n"]) -> Float[Array, "n-1 n-1"]:
        """Hessian along the sphere, in an orthonormal basis of the directions off x."""
        p, matrix = self.order, self._matrix(x)
        curved = p * (p - 1) * matrix - (p * (x @ matrix @ x) / self.n) * jnp.eye(self.n, dtype=x.dtype)
        # A reflection that takes the last axis to x; its other columns span the rest.
        unit = x / jnp.sqrt(x @ x)
        sign = jnp.where(unit[-1] > 0, 1.0, -1.0)
        normal = unit.at[-1].add(sign)
        basis = (jnp.eye(self.n, dtype=x.dtype) - 2 * jnp.outer(normal, normal) / (normal @ normal))[:, :-1]
        made = basis.T @ curved @ basis
        return 0.5 * (made + made.T)

    def descent(self, rate: float) -> Process:
        """Steps x - rate * gradient, back onto the sphere, of a point; the gradient flow as the rate falls.

        Args:
            rate: > 0; H falls while it is small against one over the largest curvature.
        """
        steps = _Steps(self, jnp.asarray(check_real("rate", rate, 0, open_low=True), self.couplings.dtype))
        return Process(self.begin, steps.step, descends=self.energy)

    def newton(self) -> Process:
        """Newton's method for a vanishing gradient, of a point on the sphere; its info is `NewtonInfo`.

        Steps are no longer than a fifth of the radius.
        """
        return Process(self.begin, self._step)

    def begin(self, key: Any, x0: Any) -> Float[Array, " n"]:
        """A point brought onto the sphere."""
        shape = np.shape(x0)
        require(shape == (self.n,), "x0", f"have shape ({self.n},)", shape)
        return self.onto(jnp.asarray(x0, self.couplings.dtype))

    def _step(self, key: Any, t: Any, x: Array) -> tuple[Array, NewtonInfo]:
        p, matrix = self.order, self._matrix(x)
        slope = p * matrix @ x
        height = x @ slope / self.n
        gradient = slope - height * x
        curved = p * (p - 1) * matrix - height * jnp.eye(self.n, dtype=x.dtype)
        # Bordered by x, so that the step lies along the sphere.
        border = jnp.block([[curved, x[:, None]], [x[None, :], jnp.zeros((1, 1), x.dtype)]])
        step = jnp.linalg.solve(border, -jnp.append(gradient, 0.0))[:-1]
        longest = _LONGEST * math.sqrt(self.n)
        step = step * jnp.minimum(1.0, longest / (jnp.sqrt(step @ step) + 1e-30))
        return self.onto(x + step), NewtonInfo(jnp.sqrt(gradient @ gradient / self.n))


class _Steps(eqx.Module):
    landscape: PSpin
    rate: Array

    def step(self, key: Any, t: Any, x: Array) -> tuple[Array, None]:
        return self.landscape.onto(x - self.rate * self.landscape.gradient(x)), None
