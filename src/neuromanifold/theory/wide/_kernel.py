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
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.theory.meanfield._precision import is_traced


class Kernel(eqx.Module):
    """Covariances of a layer; see the module's header.

    Args:
        nngp: covariance of the outputs, shape (n1, n2, *S).
        ntk: tangent kernel of the same shape, None where it is not asked for.
        cov1: variance of each input of the first set, shape (n1, *S).
        cov2: the same of the second set; None where the second set is the first.
        shape1: shape of the first set's outputs in a network of finite width, (n1, *spatial, n_channels).
        shape2: the same of the second set.
        is_gaussian: outputs are Gaussian, as those of affine layers are.
        centred: outputs are zero on average over the weights.
        own: for each `FanOut` that is still open, the innermost last: whether an affine layer, whose weights
            no other branch has, came since.
        full: covariances are kept for all pairs of positions.
    """

    nngp: Float[Array, "..."]
    ntk: Float[Array, "..."] | None
    cov1: Float[Array, "..."]
    cov2: Float[Array, "..."] | None
    shape1: tuple[int, ...] = eqx.field(static=True)
    shape2: tuple[int, ...] = eqx.field(static=True)
    is_gaussian: bool = eqx.field(static=True)
    centred: bool = eqx.field(static=True)
    own: tuple[bool, ...] = eqx.field(static=True)
    full: bool = eqx.field(static=True)

    @property
    def x1_is_x2(self) -> bool:
        """Whether the two sets are one."""
        return self.cov2 is None

    @property
    def n_spatial(self) -> int:
        """Number of spatial axes."""
        return len(self.shape1) - 2

    def of_second(self) -> Array:
        """cov2, which is cov1 where the sets are one."""
        return self.cov1 if self.cov2 is None else self.cov2

    def replace(self, **changes: Any) -> Kernel:
        """The kernel with some fields replaced."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Kernel(**{**fields, **changes})

    def map(self, linear: Any) -> Kernel:
        """One linear function applied to every covariance: `linear(covariance, n_batch_axes)`."""
        return self.replace(
            nngp=linear(self.nngp, 2),
            ntk=None if self.ntk is None else linear(self.ntk, 2),
            cov1=linear(self.cov1, 1),
            cov2=None if self.cov2 is None else linear(self.cov2, 1),
        )

    def variances(self) -> tuple[Array, Array]:
        """The variances of both sets, of shapes that broadcast with `nngp`."""
        first = positions_alone(self.cov1, 1, self.n_spatial, self.full)
        second = positions_alone(self.of_second(), 1, self.n_spatial, self.full)
        if not self.full:
            return first[:, None], second[None]
        one = first.reshape(first.shape[0], 1, *(m for n in first.shape[1:] for m in (n, 1)))
        other = second.reshape(1, second.shape[0], *(m for n in second.shape[1:] for m in (1, n)))
        return one, other


def positions_alone(covariance: Array, n_batch: int, n_spatial: int, full: bool) -> Array:
    """The entries of equal positions: shape (*batch, *spatial)."""
    if not full:
        return covariance
    for _ in range(n_spatial):
        # The next pair of axes stands behind the batch; its diagonal goes to the end.
        covariance = jnp.diagonal(covariance, axis1=n_batch, axis2=n_batch + 1)
    return covariance


def of_inputs(x1: Any, x2: Any | None, full: bool, with_ntk: bool) -> Kernel:
    """The kernel of the inputs themselves, (1/d) x . x' over the d channels.

    Args:
        x1: shape (n1, *spatial, n_channels).
        x2: shape (n2, *spatial, n_channels); None: the first set again.
        full: keep all pairs of positions.
        with_ntk: carry the tangent kernel, which is zero here.

    Raises:
        ValueError: fewer than two axes, shapes that disagree, no channel, or values that are not finite.
    """
    first = _checked("x1", x1)
    second = None if x2 is None else _checked("x2", x2)
    if second is not None:
        rule = f"have shape (n2, {', '.join(str(n) for n in first.shape[1:])})"
        require(second.shape[1:] == first.shape[1:], "x2", rule, second.shape)
    n_spatial = first.ndim - 2
    nngp = _products(first, first if second is None else second, n_spatial, full, across=True)
    return Kernel(
        nngp=nngp,
        ntk=jnp.zeros_like(nngp) if with_ntk else None,
        cov1=_products(first, first, n_spatial, full, across=False),
        cov2=None if second is None else _products(second, second, n_spatial, full, across=False),
        shape1=first.shape,
        shape2=first.shape if second is None else second.shape,
        is_gaussian=False,
        centred=False,
        own=(),
        full=full and n_spatial > 0,
    )


def _checked(name: str, x: Any) -> Array:
    array = jnp.asarray(x)
    array = array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)
    rule = "have shape (n, *spatial, n_channels), each axis >= 1"
    require(array.ndim >= 2 and min(array.shape) >= 1, name, rule, array.shape)
    if not is_traced(array):
        bad = ~np.isfinite(np.asarray(array))
        require(not bad.any(), name, "be finite", float(np.asarray(array)[bad].flat[0]) if bad.any() else 0)
    return array


def _products(x: Array, y: Array, n_spatial: int, full: bool, across: bool) -> Array:
    """Mean product over channels: across the sets, or of each input with itself."""
    places, others = "ABCDEFGH"[:n_spatial], "abcdefgh"[:n_spatial]
    right = others if full else places
    kept = "".join(p + q for p, q in zip(places, others, strict=True)) if full else places
    second = "y" if across else "x"
    batch = "xy" if across else "x"
    formula = f"x{places}z,{second}{right}z->{batch}{kept}"
    return jnp.einsum(formula, x, y, precision="highest") / x.shape[-1]
