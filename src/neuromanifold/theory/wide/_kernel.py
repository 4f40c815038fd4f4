"""Kernel: the covariances of two sets of inputs at some layer of an infinitely wide network.

    nngp(x, x') = E z(x) z(x')                     z a channel of the layer, over random weights
    ntk(x, x')  = E sum_theta dz(x)/dtheta dz(x')/dtheta
    cov1(x), cov2(x')                              the variances of each set, which nonlinearities need too

Inputs have shape (n, *spatial, n_channels). Where there are spatial axes H, W, ... the covariance is one of
pairs of positions. It is kept either in full, the axes of the two positions in turn, shape
(n1, n2, H, H', W, W', ...), or for pairs of equal positions alone, shape (n1, n2, H, W, ...). Convolutions
and nonlinearities take both; pooling needs the first.

Symbols: n1, n2 inputs of the two sets; S the spatial axes as kept.

Source: Neal 1996; Lee et al. 2018, ICLR; Jacot, Gabriel and Hongler 2018, NeurIPS; Novak et al. 2019, ICLR.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from neuromanifold._base import require
from neuromanifold.theory.meanfield._precision import is_traced


class Kernel(eqx.Module):
    """Covariances of a layer; see the module's header.

    Args:
        nngp: covariance of the outputs, shape (n1, n2, *S).
        ntk: tangent kernel of the same shape, None where it is not asked for.
        cov1: variance of each input of the first set, shape (n1, *S); None where nothing behind needs it.
        cov2: the same of the second set; None where the second set is the first.
        shape1: shape of the first set's outputs in a network of finite width, (n1, *spatial, n_channels).
        shape2: the same of the second set.
        is_gaussian: outputs are Gaussian, as those of affine layers are.
        centred: outputs are zero on average over the weights.
        own: for each `FanOut` that is still open, the innermost last: whether an affine layer, whose weights
            no other branch has, came since.
        full: `nngp` and `ntk` are kept for all pairs of positions.
        own_full: so are `cov1` and `cov2`.
        x1_is_x2: the two sets are one.
        mask1: positions of the first set that are holes, shape (n1, *spatial); None where there are none.
        mask2: the same of the second set.
    """

    nngp: Float[Array, "..."]
    ntk: Float[Array, "..."] | None
    cov1: Float[Array, "..."] | None
    cov2: Float[Array, "..."] | None
    shape1: tuple[int, ...] = eqx.field(static=True)
    shape2: tuple[int, ...] = eqx.field(static=True)
    is_gaussian: bool = eqx.field(static=True)
    centred: bool = eqx.field(static=True)
    own: tuple[bool, ...] = eqx.field(static=True)
    full: bool = eqx.field(static=True)
    own_full: bool = eqx.field(static=True)
    x1_is_x2: bool = eqx.field(static=True)
    mask1: Bool[Array, "..."] | None = None
    mask2: Bool[Array, "..."] | None = None

    @property
    def n_spatial(self) -> int:
        """Number of spatial axes."""
        return len(self.shape1) - 2

    def replace(self, **changes: Any) -> Kernel:
        """The kernel with some fields replaced."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Kernel(**{**fields, **changes})

    def map(self, linear: Any) -> Kernel:
        """One linear function applied to every covariance: `linear(covariance, n_batch_axes, full)`."""
        return self.replace(
            nngp=linear(self.nngp, 2, self.full),
            ntk=None if self.ntk is None else linear(self.ntk, 2, self.full),
            cov1=None if self.cov1 is None else linear(self.cov1, 1, self.own_full),
            cov2=None if self.cov2 is None else linear(self.cov2, 1, self.own_full),
        )

    def variances(self) -> tuple[Array, Array]:
        """Variances of both sets at each position, shapes (n1, *spatial) and (n2, *spatial)."""
        if self.cov1 is None:
            raise ValueError("a Kernel given to a nonlinearity must hold cov1, got None.")
        first = positions_alone(self.cov1, 1, self.n_spatial, self.own_full)
        if self.cov2 is None:
            return first, first
        return first, positions_alone(self.cov2, 1, self.n_spatial, self.own_full)

    def across(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Values at each position of either set, of shapes that broadcast with `nngp`."""
        if not self.full:
            return first[:, None], second[None]
        one, other = pairs_of(first, second)
        return one[:, None], other[None]


def pairs_of(first: Array, second: Array) -> tuple[Array, Array]:
    """Values (n, H, W, ...) as (n, H, 1, W, 1, ...) and as (n, 1, H, 1, W, ...)."""
    return (
        first.reshape(first.shape[0], *(m for n in first.shape[1:] for m in (n, 1))),
        second.reshape(second.shape[0], *(m for n in second.shape[1:] for m in (1, n))),
    )


def positions_alone(covariance: Array, n_batch: int, n_spatial: int, full: bool) -> Array:
    """The entries of equal positions: shape (*batch, *spatial)."""
    if not full:
        return covariance
    for _ in range(n_spatial):
        # The next pair of axes stands behind the batch; its diagonal goes to the end.
        covariance = jnp.diagonal(covariance, axis1=n_batch, axis2=n_batch + 1)
    return covariance


def of_inputs(
    x1: Any, x2: Any | None, full: bool, own_full: bool, with_ntk: bool, hole: Any | None = None
) -> Kernel:
    """The kernel of the inputs themselves, (1/d) x . x' over the d channels.

    Args:
        x1: shape (n1, *spatial, n_channels).
        x2: shape (n2, *spatial, n_channels); None: the first set again.
        full: keep all pairs of positions.
        own_full: keep them in `cov1` and `cov2`.
        with_ntk: carry the tangent kernel, which is zero here.
        hole: a number, or NaN, that marks entries as missing.
    """
    first, mask1 = without_holes(x1, hole)
    second, mask2 = (None, mask1) if x2 is None else without_holes(x2, hole)
    n_spatial = first.ndim - 2
    nngp = _products(first, first if second is None else second, n_spatial, full, across=True)
    return Kernel(
        nngp=nngp,
        ntk=jnp.zeros_like(nngp) if with_ntk else None,
        cov1=_products(first, first, n_spatial, own_full, across=False),
        cov2=None if second is None else _products(second, second, n_spatial, own_full, across=False),
        shape1=first.shape,
        shape2=first.shape if second is None else second.shape,
        is_gaussian=False,
        centred=False,
        own=(),
        full=full and n_spatial > 0,
        own_full=own_full and n_spatial > 0,
        x1_is_x2=second is None,
        mask1=None if mask1 is None else mask1.all(axis=-1),
        mask2=None if mask2 is None else mask2.all(axis=-1),
    )


def without_holes(x: Any, hole: Any | None) -> tuple[Array, Array | None]:
    """Inputs with zeros where they equal `hole`, and where that is; None: there are no holes."""
    x = jnp.asarray(x)
    if hole is None:
        return x, None
    mask = jnp.where(jnp.isnan(hole), jnp.isnan(x), x == hole)
    return jnp.where(mask, jnp.zeros((), x.dtype), x), mask


def checked_inputs(name: str, x: Any, hole: Any | None = None) -> Array:
    """Inputs as an array of floats, refused where their shape or a value that is no hole is wrong."""
    array = jnp.asarray(x)
    array = array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)
    rule = "have shape (n, *spatial, n_channels), each axis >= 1"
    require(array.ndim >= 2 and min(array.shape) >= 1, name, rule, array.shape)
    if not is_traced(array) and (hole is None or not is_traced(hole)):
        values = np.asarray(without_holes(array, hole)[0])
        bad = ~np.isfinite(values)
        require(not bad.any(), name, "be finite", float(values[bad].flat[0]) if bad.any() else 0)
    return array


def check_second(x1: Any, x2: Any | None) -> None:
    """Refuse a second set of inputs that does not go with the first."""
    if isinstance(x1, list | tuple):
        if x2 is None:
            return
        n = len(x2) if isinstance(x2, list | tuple) else 1
        require(n == len(x1), "x2", f"hold {len(x1)} inputs, as x1 does", n)
        rows = {len(part) for part in jax.tree.leaves(x1)}
        require(len(rows) == 1, "x1", "have as many rows in each of its inputs", sorted(rows))
        for one, other in zip(x1, x2, strict=True):
            check_second(one, other)
    elif x2 is not None:
        rule = f"have shape (n2, {', '.join(str(n) for n in x1.shape[1:])})"
        shape = getattr(x2, "shape", type(x2).__name__)
        require(isinstance(shape, tuple) and shape[1:] == x1.shape[1:], "x2", rule, shape)


def pattern_pair(pattern: Any, one_set: bool) -> tuple[Any, Any]:
    """Graphs of both sets of inputs, from one for both or a pair."""
    if pattern is None or not isinstance(pattern, list | tuple):
        return pattern, None if one_set else pattern
    require(len(pattern) == 2, "pattern", "hold the graphs of both sets of inputs", len(pattern))
    first, second = pattern
    if one_set:
        same = second is None or first is second or np.array_equal(first, second)
        require(same, "pattern", "hold the same graphs twice where x2 is left out", "two that differ")
        return first, None
    require((first is None) == (second is None), "pattern", "hold graphs of both sets or of none", "one")
    return first, second


def checked_kernel(kernel: Kernel) -> Kernel:
    """A kernel that was handed in, refused where its parts do not go together."""
    places = tuple(kernel.shape1[1:-1])
    require(tuple(kernel.shape2[1:-1]) == places, "shape2", f"have the positions {places}", kernel.shape2)
    both = tuple(m for n in places for m in (n, n))
    n1, n2 = kernel.shape1[0], kernel.shape2[0]
    shapes = {
        "nngp": (n1, n2, *(both if kernel.full else places)),
        "ntk": (n1, n2, *(both if kernel.full else places)),
        "cov1": (n1, *(both if kernel.own_full else places)),
        "cov2": (n2, *(both if kernel.own_full else places)),
    }
    for name, shape in shapes.items():
        value = getattr(kernel, name)
        if value is None:
            continue
        require(value.shape == shape, f"{name} of a Kernel", f"have shape {shape}", value.shape)
        if is_traced(value):
            continue
        values = np.asarray(value)
        require(np.isfinite(values).all(), f"{name} of a Kernel", "be finite", "values that are not")
        if name.startswith("cov"):
            own = np.asarray(positions_alone(jnp.asarray(values), 1, len(places), kernel.own_full))
            require((own >= 0).all(), f"{name} of a Kernel", "hold variances >= 0", float(own.min()))
    require((kernel.cov2 is None) or not kernel.x1_is_x2, "cov2 of a Kernel", "be None for one set", "values")
    return kernel


def _products(x: Array, y: Array, n_spatial: int, full: bool, across: bool) -> Array:
    """Mean product over channels: across the sets, or of each input with itself."""
    places, others = "ABCDEFGH"[:n_spatial], "abcdefgh"[:n_spatial]
    right = others if full else places
    kept = "".join(p + q for p, q in zip(places, others, strict=True)) if full else places
    second = "y" if across else "x"
    batch = "xy" if across else "x"
    formula = f"x{places}z,{second}{right}z->{batch}{kept}"
    return jnp.einsum(formula, x, y, precision="highest") / x.shape[-1]
