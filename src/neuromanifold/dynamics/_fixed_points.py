"""Fixed points of maps and flows, their stability, and branches of them along a parameter.

A fixed point solves F(x) = x for a map or v(x) = 0 for a flow; both by optimistix. It is stable where the
spectral radius of the Jacobian of F lies below 1, or the spectral abscissa of that of v below 0. A branch
x(p) is followed by its arc length s, which passes folds where dp/ds changes sign (Keller 1977):

    g(x, p) = 0,     x_s . (x - x_0) + p_s (p - p_0) = ds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from neuromanifold._base import check_choice, check_integer, check_real, require


class FixedPoint(NamedTuple):
    """A point that does not move.

    Args:
        value: the point, a pytree like the start.
        residual: largest |F(x) - x| or |v(x)|.
        eigenvalues: of the Jacobian of F or v there, complex, by falling modulus (map) or real part (flow).
        stable: spectral radius < 1 (map) or spectral abscissa < 0 (flow).
        n_steps: steps the solver took.
    """

    value: PyTree
    residual: float
    eigenvalues: np.ndarray
    stable: bool
    n_steps: int


class Branch(NamedTuple):
    """A branch of fixed points.

    Args:
        parameter: shape (n_points,).
        values: every leaf (n_points, ...).
        stable: shape (n_points,).
        eigenvalues: shape (n_points, n), complex.
        folds: indices k of points after which the parameter turns back.
        complete: whether the branch reached the end asked for; False when `n_points` ran out first.
    """

    parameter: np.ndarray
    values: PyTree
    stable: np.ndarray
    eigenvalues: np.ndarray
    folds: np.ndarray
    complete: bool


class NoFixedPointError(RuntimeError):
    """A fixed point that was not found; the message gives the residual reached."""


def _spectrum(kind: str, jacobian: np.ndarray) -> tuple[np.ndarray, bool]:
    eigenvalues = np.linalg.eigvals(np.asarray(jacobian, dtype=np.float64))
    measure = np.abs(eigenvalues) if kind == "map" else eigenvalues.real
    order = np.argsort(-measure, kind="stable")
    limit = 1.0 if kind == "map" else 0.0
    return eigenvalues[order].astype(complex), bool(measure.max() < limit)


def _gap(function: Callable[..., Any], kind: str, unravel: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose zeros are the fixed points, on flat vectors, with a parameter."""

    def gap(x: jax.Array, *parameter: Any) -> jax.Array:
        moved = ravel_pytree(function(unravel(x), *parameter))[0]
        return moved - x if kind == "map" else moved

    return gap


def fixed_point(
    function: Callable[..., Any],
    start: PyTree,
    *,
    kind: str = "map",
    tolerance: float = 1e-10,
    max_steps: int = 256,
) -> FixedPoint:
    """The fixed point that Newton's method reaches from a start, with its stability.

    Computed in float64.

    Args:
        function: the map F(x) or the velocity v(x) on any pytree, written in JAX.
        start: where to begin.
        kind: "map" solves F(x) = x, "flow" solves v(x) = 0.
        tolerance: relative and absolute, > 0.
        max_steps: steps after which to give up, >= 1.

    Raises:
        ValueError: an argument outside its range.
        NoFixedPointError: none was reached.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.dynamics import fixed_point
    >>> found = fixed_point(jnp.cos, 1.0)
    >>> round(float(found.value), 6), found.stable
    (0.739085, True)
    """
    check_choice("kind", kind, ("map", "flow"))
    check_real("tolerance", tolerance, 0, open_low=True)
    check_integer("max_steps", max_steps, 1)
    with jax.enable_x64(True):
        flat, unravel = ravel_pytree(jax.tree.map(lambda x: jnp.asarray(x, float), start))
        gap = _gap(function, kind, unravel)
        solution = optimistix.root_find(
            lambda x, _: gap(x),
            optimistix.Newton(rtol=tolerance, atol=tolerance),
            flat,
            max_steps=max_steps,
            throw=False,
        )
        residual = float(jnp.max(jnp.abs(gap(solution.value))))
        scale = 1.0 + float(jnp.max(jnp.abs(solution.value)))
        if solution.result != optimistix.RESULTS.successful or not residual <= 100 * tolerance * scale:
            raise NoFixedPointError(
                f"no fixed point was reached from the start given; the residual is {residual:.3g} after "
                f"{int(solution.stats['num_steps'])} steps."
            )
        jacobian = jax.jacfwd(gap)(solution.value) + (jnp.eye(flat.size) if kind == "map" else 0.0)
        eigenvalues, stable = _spectrum(kind, np.asarray(jacobian))
        return FixedPoint(
            unravel(solution.value), residual, eigenvalues, stable, int(solution.stats["num_steps"])
        )


def fixed_points(
    function: Callable[..., Any],
    starts: PyTree,
    *,
    kind: str = "map",
    tolerance: float = 1e-10,
    separation: float = 1e-6,
    max_steps: int = 256,
) -> list[FixedPoint]:
    """All different fixed points that Newton's method reaches from many starts, in order of discovery.

    Starts that lead nowhere are passed over; the list may be empty.

    Args:
        function: see `fixed_point`.
        starts: a pytree whose leaves have a leading axis of starts.
        kind: see `fixed_point`.
        tolerance: see `fixed_point`.
        separation: points closer than this (largest component) are one, > 0.
        max_steps: see `fixed_point`.

    Raises:
        ValueError: separation that is not > 0, or an argument that `fixed_point` refuses.
    """
    check_real("separation", separation, 0, open_low=True)
    found: list[FixedPoint] = []
    for number in range(len(jax.tree.leaves(starts)[0])):
        start = jax.tree.map(lambda x, n=number: x[n], starts)
        try:
            point = fixed_point(function, start, kind=kind, tolerance=tolerance, max_steps=max_steps)
        except NoFixedPointError:
            continue
        if all(_distance(point.value, other.value) > separation for other in found):
            found.append(point)
    return found


def _distance(one: PyTree, other: PyTree) -> float:
    """Largest difference of any component."""
    gaps = jax.tree.map(lambda a, b: float(np.max(np.abs(np.asarray(a) - np.asarray(b)))), one, other)
    return max(jax.tree.leaves(gaps))


def continuation(
    function: Callable[..., Any],
    start: PyTree,
    begin: float,
    end: float,
    *,
    kind: str = "map",
    step: float = 1e-2,
    n_points: int = 10_000,
    tolerance: float = 1e-10,
    max_steps: int = 32,
) -> Branch:
    """A branch of fixed points from parameter `begin` to `end`, past folds, by pseudo-arclength.

    Computed in float64. The step of arc length shrinks where the corrector fails and recovers to `step` where
    it succeeds.

    Args:
        function: `function(x, parameter)`, the map or velocity, written in JAX.
        start: near the fixed point at `begin`.
        begin: parameter at the first point.
        end: the branch ends where it reaches this parameter.
        kind: see `fixed_point`.
        step: largest arc length between points, > 0.
        n_points: most points, >= 2.
        tolerance: see `fixed_point`.
        max_steps: Newton steps of the corrector, >= 1.

    Raises:
        ValueError: an argument outside its range.
        NoFixedPointError: no fixed point near the start, or the branch is lost (the message says where).
    """
    check_choice("kind", kind, ("map", "flow"))
    check_real("step", step, 0, open_low=True)
    check_integer("n_points", n_points, 2)
    require(begin != end, "end", f"differ from begin = {begin!r}", end)
    first = fixed_point(lambda x: function(x, begin), start, kind=kind, tolerance=tolerance)
    with jax.enable_x64(True):
        flat, unravel = ravel_pytree(jax.tree.map(lambda x: jnp.asarray(x, float), first.value))
        gap = _gap(function, kind, unravel)

        def gap_of(y: jax.Array) -> jax.Array:
            return gap(y[:-1], y[-1])

        jacobian_of = jax.jit(jax.jacfwd(gap_of))

        @jax.jit
        def correct(guess: jax.Array, tangent: jax.Array) -> tuple[jax.Array, jax.Array]:
            solution = optimistix.root_find(
                lambda y, _: jnp.append(gap_of(y), tangent @ (y - guess)),
                optimistix.Newton(rtol=tolerance, atol=tolerance),
                guess,
                max_steps=max_steps,
                throw=False,
            )
            return solution.value, solution.result == optimistix.RESULTS.successful

        direction = np.append(np.zeros(flat.size), np.sign(end - begin))
        points = [np.append(np.asarray(flat), begin)]
        length, complete = step, False
        spectra = [_at(jacobian_of, kind, points[0])]
        while len(points) < n_points and not complete:
            _, _, rows = np.linalg.svd(np.asarray(jacobian_of(points[-1])))
            tangent = rows[-1] * (1.0 if rows[-1] @ direction >= 0 else -1.0)
            while True:
                found, success = correct(jnp.asarray(points[-1] + length * tangent), jnp.asarray(tangent))
                moved = np.asarray(found) - points[-1]
                if bool(success) and np.linalg.norm(moved) < 2.0 * length:
                    break
                length /= 2.0
                if length < 1e-8 * step:
                    raise NoFixedPointError(f"the branch was lost near parameter {points[-1][-1]:.6g}.")
            point, direction = np.asarray(found), tangent
            if (point[-1] - end) * (points[-1][-1] - end) <= 0:
                share = (end - points[-1][-1]) / (point[-1] - points[-1][-1])
                guess = unravel(jnp.asarray(points[-1][:-1] + share * moved[:-1]))
                last = fixed_point(lambda x: function(x, end), guess, kind=kind, tolerance=tolerance)
                point = np.append(np.asarray(ravel_pytree(last.value)[0]), end)
                complete = True
            points.append(point)
            spectra.append(_at(jacobian_of, kind, point))
            length = min(step, 1.5 * length)
        path = np.stack(points)
        turns = np.flatnonzero(np.diff(np.sign(np.diff(path[:, -1]))) != 0) + 1
        return Branch(
            parameter=path[:, -1],
            values=jax.vmap(unravel)(jnp.asarray(path[:, :-1])),
            stable=np.array([stable for _, stable in spectra]),
            eigenvalues=np.stack([eigenvalues for eigenvalues, _ in spectra]),
            folds=turns,
            complete=complete,
        )


def _at(jacobian_of: Callable[..., Any], kind: str, y: np.ndarray) -> tuple[np.ndarray, bool]:
    jacobian = np.asarray(jacobian_of(jnp.asarray(y)))[:, :-1]
    return _spectrum(kind, jacobian + (np.eye(len(jacobian)) if kind == "map" else 0.0))
