"""Axes of a tangent kernel: which axes of the outputs are traced, kept once, or kept for both sets.

    Theta[x, x', d, f, f'] = (1/T) sum_t sum_theta df(x)_{t d f}/dtheta df(x')_{t d f'}/dtheta

with t an index of the traced axes, T values in all, d one of the diagonal axes, f and f' of all the others.
In the result the axes stand in the order of the outputs, each that is kept for both sets as a neighbouring
pair: outputs (n, a, b, c) with b diagonal and c traced give (n1, n2, a, a', b).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from neuromanifold._base import check_integer, require


class Layout(NamedTuple):
    """What becomes of each axis of the outputs of one example.

    Args:
        shape: shape of the outputs of one example.
        traced: axes summed over.
        diagonal: axes kept once.
        free: axes kept for both sets.
        batch: place of the axis of examples among the outputs; None: there is none.
        batch_kind: "free", "diagonal" or "traced".
    """

    shape: tuple[int, ...]
    traced: tuple[int, ...]
    diagonal: tuple[int, ...]
    free: tuple[int, ...]
    batch: int | None
    batch_kind: str

    def size(self, axes: tuple[int, ...]) -> int:
        """How many values some axes have together."""
        return math.prod(self.shape[a] for a in axes)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(T, D, F): how many values the traced, diagonal and free axes have."""
        return self.size(self.traced), self.size(self.diagonal), self.size(self.free)

    def order(self) -> np.ndarray:
        """Places of the outputs, flattened, in the order traced, diagonal, free."""
        places = np.arange(math.prod(self.shape)).reshape(self.shape)
        return places.transpose(*self.traced, *self.diagonal, *self.free).reshape(-1)

    def arranged(self, kernel: Array, second: tuple[int, ...]) -> Array:
        """The kernel of shape (n1, n2, D, F, G), or (n, D, F, G), with its axes in the order promised.

        Args:
            kernel: the last axes are diagonal ones, free ones of the first set and of the second.
            second: shape of the outputs of an example of the second set, which may be a set itself.
        """
        lead = 2 if self.batch_kind == "free" else 1
        kept = [self.shape[a] for a in self.diagonal] + [self.shape[a] for a in self.free]
        kernel = kernel.reshape(*kernel.shape[:lead], *kept, *(second[a] for a in self.free))
        first = {a: lead + i for i, a in enumerate(self.diagonal)}
        pairs = {a: lead + len(self.diagonal) + i for i, a in enumerate(self.free)}
        places: list[int] = []
        for axis in range(len(self.shape) + 1):
            if axis == (0 if self.batch is None else self.batch):
                places += range(lead)
            if axis in first:
                places.append(first[axis])
            if axis in pairs:
                places += [pairs[axis], pairs[axis] + len(self.free)]
        kernel = kernel.transpose(places)
        if self.batch is None:
            return kernel.reshape(kernel.shape[lead:])
        return kernel.mean(self._place_of_batch()) if self.batch_kind == "traced" else kernel

    def _place_of_batch(self) -> int:
        before = range(self.batch or 0)
        return sum(2 if a in self.free else a in self.diagonal for a in before)


def layout(shape: tuple[int, ...], trace_axes: Any, diagonal_axes: Any, batch: int | None) -> Layout:
    """The layout for outputs of a shape.

    Args:
        shape: shape of all outputs, the axis of examples included where there is one.
        trace_axes: axes summed over; an integer or several, negative ones from the end.
        diagonal_axes: axes kept once.
        batch: place of the axis of examples in `shape`; None: there is none.

    Raises:
        ValueError: an axis that is not there, twice, or both traced and diagonal.
    """
    traced = _axes("trace_axes", trace_axes, len(shape))
    diagonal = _axes("diagonal_axes", diagonal_axes, len(shape))
    both = sorted(set(traced) & set(diagonal))
    require(not both, "diagonal_axes", "name no axis that trace_axes names", both)
    if batch is None:
        free = tuple(a for a in range(len(shape)) if a not in (*traced, *diagonal))
        return Layout(shape, traced, diagonal, free, None, "free")
    kind = "traced" if batch in traced else "diagonal" if batch in diagonal else "free"
    rest = [a for a in range(len(shape)) if a != batch]
    place = {a: i for i, a in enumerate(rest)}
    traced = tuple(place[a] for a in traced if a != batch)
    diagonal = tuple(place[a] for a in diagonal if a != batch)
    free = tuple(i for i in range(len(rest)) if i not in (*traced, *diagonal))
    return Layout(tuple(shape[a] for a in rest), traced, diagonal, free, batch, kind)


def _axes(name: str, axes: Any, n_axes: int) -> tuple[int, ...]:
    listed: tuple[Any, ...] = (axes,) if np.ndim(axes) == 0 else tuple(axes)
    for axis in listed:
        check_integer(name, axis, -n_axes, n_axes - 1)
    found = tuple(sorted(int(axis) % n_axes for axis in listed))
    require(len(set(found)) == len(found), name, "name no axis twice", axes)
    return found


def batch_axes(vmap_axes: Any) -> tuple[Any, int, dict[str, Any]]:
    """Axes of examples of inputs, outputs and keyword arguments from what a user gives.

    Args:
        vmap_axes: one integer for inputs and outputs, or (of inputs, of outputs[, of keyword arguments]).

    Raises:
        ValueError: something else.
    """
    rule = "be 'auto', None, an integer, or (axes of inputs, axis of outputs, {keyword: axis})"
    if isinstance(vmap_axes, int | np.integer) and not isinstance(vmap_axes, bool):
        return int(vmap_axes), int(vmap_axes), {}
    given: tuple[Any, ...] = vmap_axes if isinstance(vmap_axes, tuple) else ()
    require(len(given) in (2, 3), "vmap_axes", rule, vmap_axes)
    inputs, outputs, *rest = given
    require(isinstance(outputs, int | np.integer), "vmap_axes[1]", "be an integer", outputs)
    return inputs, int(outputs), dict(rest[0]) if rest else {}


def traced_outer(first: Array, second: Array, where: Layout) -> Array:
    """Mean product of outputs (n1, *out) and (n2, *out) in the kernel's layout, with the axis of examples."""
    t, d, f = where.sizes
    order = where.order()
    a = first.reshape(first.shape[0], -1)[:, order].reshape(-1, t, d, f)
    b = second.reshape(second.shape[0], -1)[:, order].reshape(-1, t, d, f)
    formula = "itdf,jtdg->ijdfg" if where.batch_kind == "free" else "itdf,itdg->idfg"
    return where.arranged(jnp.einsum(formula, a, b, precision="highest") / t, where.shape)
