"""A train kernel for predictions: its matrix, its spectrum, and the functions of it that training asks for.

    exp(-eta K t / n),     (1 - exp(-eta K t / n)) / K        both on the eigenvalues of K + reg I

The second is regular where an eigenvalue is zero (its limit is eta t / n), so that only t = infinity needs an
inverse. Computed in float64 where the values are known.

Symbols: n the number of all outputs on the training set, eta the learning rate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.theory.meanfield._precision import is_traced


def in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function in float64 unless it is being traced, and give results in the precision of arguments.

    On the CPU known values go through NumPy, for which nothing has to be compiled.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        given = [leaf for leaf in jax.tree.leaves((args, kwargs)) if hasattr(leaf, "dtype")]
        if is_traced(*given):
            return function(*args, **kwargs)
        floats = [leaf.dtype for leaf in given if jnp.issubdtype(leaf.dtype, jnp.floating)]
        target = jax.dtypes.canonicalize_dtype(jnp.result_type(*floats) if floats else float)
        with jax.enable_x64(True):
            made = function(*args, **kwargs)
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), target), made)

    return run


def as_array(value: Any) -> Any:
    """An array for computing: NumPy's in float64 where values are known and the CPU computes, else JAX's."""
    if is_traced(value) or jax.default_backend() != "cpu":
        return jnp.asarray(value, None if is_traced(value) else jnp.result_type(float))
    return np.asarray(value, np.float64)


def functions(*arrays: Any) -> Any:
    """The library whose functions take some arrays: NumPy where they are all its own."""
    return jnp if any(isinstance(array, jax.Array) for array in arrays) else np


def as_matrix(name: str, kernel: Any, n_free: int) -> Any:
    """A kernel (n1, n2, a, a', b, b' ...) as a matrix (n1 a b ..., n2 a' b' ...).

    Raises:
        ValueError: another number of axes.
    """
    array = as_array(kernel)
    wanted = 2 * (1 + n_free)
    require(array.ndim == wanted, name, f"have {wanted} axes, a pair for each not in trace_axes", array.shape)
    moved = array.transpose([*range(0, wanted, 2), *range(1, wanted, 2)])
    return moved.reshape(int(np.prod(moved.shape[: 1 + n_free])), -1)


def as_kernel(matrix: Any, rows: tuple[int, ...], columns: tuple[int, ...]) -> Any:
    """A matrix as a kernel again; leading axes are kept."""
    lead, n = matrix.ndim - 2, len(rows)
    matrix = matrix.reshape(*matrix.shape[:lead], *rows, *columns)
    pairs = [axis for k in range(n) for axis in (lead + k, lead + n + k)]
    return matrix.transpose(*range(lead), *pairs)


class Outputs:
    """How outputs are laid out as a matrix (outputs of the kernel, traced ones), and back.

    Args:
        y: targets (n, ...).
        trace_axes: axes that the kernel does not have.
    """

    def __init__(self, y: Any, trace_axes: Any) -> None:
        self.shape = np.shape(y)
        n_axes = len(self.shape)
        require(n_axes >= 1, "y_train", "have an axis of examples", self.shape)
        listed: tuple[Any, ...] = (trace_axes,) if np.ndim(trace_axes) == 0 else tuple(trace_axes)
        for axis in listed:
            check_integer("trace_axes", axis, -n_axes, n_axes - 1)
        self.traced = tuple(sorted(int(a) % n_axes for a in listed))
        require(0 not in self.traced, "trace_axes", "leave the axis of examples, 0", trace_axes)
        self.kept = tuple(a for a in range(n_axes) if a not in self.traced)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Outputs)
        return same and (self.shape, self.traced) == (other.shape, other.traced)

    def __hash__(self) -> int:
        return hash((self.shape, self.traced))

    @property
    def n_free(self) -> int:
        """Axes of the kernel beside that of examples."""
        return len(self.kept) - 1

    def matrix(self, values: Any, n: int) -> Any:
        """Outputs for n examples, or a number for all, as (n ..., traced)."""
        given = as_array(values)
        full = functions(given).broadcast_to(given, (n, *self.shape[1:]))
        rows = n * int(np.prod([self.shape[a] for a in self.kept[1:]]))
        return full.transpose(*self.kept, *self.traced).reshape(rows, -1)

    def array(self, matrix: Any, n: int) -> Any:
        """Back; leading axes are kept."""
        lead = matrix.ndim - 2
        shape = [n if a == 0 else self.shape[a] for a in (*self.kept, *self.traced)]
        back = np.argsort((*self.kept, *self.traced))
        full = matrix.reshape(*matrix.shape[:lead], *shape)
        return full.transpose(*range(lead), *(lead + int(a) for a in back))

    def free_shape(self, n: int) -> tuple[int, ...]:
        """(n, a, b ...): one side of a kernel for n examples."""
        return (n, *(self.shape[a] for a in self.kept[1:]))


class Spectrum:
    """Eigenvalues and eigenvectors of a train kernel with its ridge.

    Args:
        name: what it is called where it is refused.
        matrix: symmetric, (m, m).
        diag_reg: ridge, >= 0.
        diag_reg_absolute_scale: the ridge itself; False: in units of the mean of the diagonal.

    Raises:
        ValueError: a matrix that is not square, finite or symmetric, or a negative ridge.
    """

    def __init__(self, name: str, matrix: Any, diag_reg: float, diag_reg_absolute_scale: bool) -> None:
        self.name = name
        self.plain = matrix
        self.library = functions(matrix)
        self.precision = float(jnp.finfo(matrix.dtype).eps)
        require(matrix.shape[0] == matrix.shape[1], name, "be square", matrix.shape)
        known = not is_traced(matrix)
        if known:
            check_symmetric(name, matrix)
        ridge = check_real("diag_reg", diag_reg, 0)
        scale = 1.0 if diag_reg_absolute_scale else matrix.trace() / len(matrix)
        self.values, self.vectors = self.library.linalg.eigh(matrix)
        self.values = self.values + ridge * scale
        self.known = known

    def check_invertible(self) -> None:
        """Refuse an inverse that rounding would make up.

        Raises:
            ValueError: the least eigenvalue is not above the rounding error of the greatest.
        """
        if not self.known:
            return
        values = np.asarray(self.values)
        least = float(values[0]) / float(values[-1]) if values[-1] > 0 else -1.0
        if least <= self.rounding:
            raise ValueError(
                f"{self.name} must be positive definite to train to t = infinity, got a least eigenvalue of "
                f"{least:.2g} times the greatest, within rounding of zero: give a ridge diag_reg above "
                f"{max(self.rounding, -least):.1g}, or a finite t."
            )

    @property
    def rounding(self) -> float:
        """Relative size of eigenvalues that are zero but for rounding."""
        return len(self.values) ** 0.5 * self.precision

    def decay(self, rate: Any) -> Any:
        """exp(-rate lambda), (n_times, m); zero at rate = infinity."""
        library = functions(self.values, rate)
        positive, rate = library.maximum(self.values, 0.0)[None], rate[:, None]
        endless = library.isinf(rate)
        finite = library.where(endless, 0.0, rate)
        return library.where(endless & (positive > 0), 0.0, library.exp(-finite * positive))

    def response(self, rate: Any) -> Any:
        """(1 - exp(-rate lambda)) / lambda, (n_times, m)."""
        library = functions(self.values, rate)
        positive, rate = library.maximum(self.values, 0.0)[None], rate[:, None]
        endless, small = library.isinf(rate), positive <= 0
        finite, safe = library.where(endless, 1.0, rate), library.where(small, 1.0, positive)
        risen = library.where(small, finite, -library.expm1(-finite * safe) / safe)
        return library.where(endless, 1.0 / safe, risen)

    def apply(self, factors: Any, columns: Any) -> Any:
        """V diag(factors) V^T columns: factors (n_times, m), columns (m, k) -> (n_times, m, k)."""
        inside = self.vectors.T @ columns
        return self.vectors[None] @ (factors[:, :, None] * inside[None])


def check_symmetric(name: str, matrix: Any) -> None:
    """Refuse a matrix that is not finite, or differs from its transpose by more than rounding.

    Raises:
        ValueError: it is not.
    """
    values = np.asarray(matrix)
    require(np.isfinite(values).all(), name, "be finite", values)
    apart = float(np.abs(values - values.T).max(initial=0.0))
    allowed = 1e-5 * float(np.abs(values).max(initial=0.0))
    require(
        apart <= allowed, name, "be symmetric", f"entries that differ by {apart:.3g} from their mirror image"
    )


def rates(t: Any, learning_rate: float, n_outputs: int) -> tuple[Any, tuple[int, ...]]:
    """Eta t / n of each time, flat, and the shape of t; None is infinity.

    Raises:
        ValueError: a negative time.
    """
    times = as_array(np.inf if t is None else t)
    if not is_traced(times):
        require(bool((np.asarray(times) >= 0).all()), "t", "be >= 0", t)
    return times.reshape(-1) * (learning_rate / n_outputs), times.shape
