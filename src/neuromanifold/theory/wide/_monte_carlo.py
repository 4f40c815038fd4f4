"""Kernels of wide networks as means over networks of finite width, with weights drawn anew.

    K(x, x') = lim 1/m sum_{i <= m} K_i(x, x'),      K_i the empirical kernel of a network drawn from key_i

for any (init_fn, apply_fn), where no closed form is known. The error of the mean falls as 1/sqrt(m) about the
mean kernel at that width, which lies off the infinite limit by an amount of order 1/width.

Source: Novak et al. 2019, ICLR, section 4.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from neuromanifold._base import check_integer, require
from neuromanifold.geometry.tangent import empirical_kernel_fn
from neuromanifold.theory.wide._batch import batch


def monte_carlo_kernel_fn(
    init_fn: Callable[..., Any],
    apply_fn: Callable[..., Any],
    key: Key[Array, ""],
    n_samples: int | Iterable[int],
    batch_size: int = 0,
    device_count: int = -1,
    store_on_device: bool = True,
    trace_axes: Any = (-1,),
    diagonal_axes: Any = (),
    vmap_axes: Any = "auto",
    implementation: int = 0,
) -> Callable[..., Any]:
    """Mean empirical kernels of random networks, as `kernel_fn(x1, x2, get, **apply_kwargs)`.

    With several numbers of samples a generator of running means comes back, at each of them in turn.

    Args:
        init_fn: `init_fn(key, input_shape)` -> (output shape, parameters).
        apply_fn: `apply_fn(params, x, **kwargs)` -> outputs.
        key: of the networks; the k-th is drawn from `fold_in(key, k)`.
        n_samples: networks, >= 1; or several increasing numbers of them.
        batch_size: inputs of a tile, see `batch`; 0: all.
        device_count: as for `batch`.
        store_on_device: as for `batch`.
        trace_axes: as for `empirical_kernel_fn`, and so the rest.
        diagonal_axes: as there.
        vmap_axes: as there.
        implementation: as there.

    Raises:
        ValueError: numbers of samples that do not increase or are below 1.
    """
    several = not isinstance(n_samples, int)
    counts = (
        [check_integer("n_samples", n, 1) for n in n_samples]
        if isinstance(n_samples, Iterable)
        else [check_integer("n_samples", n_samples, 1)]
    )
    rising = len(counts) > 0 and all(a < b for a, b in itertools.pairwise(counts))
    require(rising, "n_samples", "hold increasing numbers", counts)
    one_network = empirical_kernel_fn(apply_fn, trace_axes, diagonal_axes, vmap_axes, implementation)

    @eqx.filter_jit
    def total(x1: Any, x2: Any, names: tuple[str, ...], first: Any, last: Any, kwargs: dict[str, Any]) -> Any:
        """Sum over the networks in [first, last)."""

        def sample(k: Any) -> Any:
            shape = jax.tree.map(lambda x: x.shape, x1)
            _, params = init_fn(jax.random.fold_in(key, k), shape)
            return one_network(x1, x2, names, params, **kwargs)

        zero = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), jax.eval_shape(sample, jnp.int32(0)))
        return jax.lax.fori_loop(first, last, lambda k, s: jax.tree.map(jnp.add, s, sample(k)), zero)

    def part(x1: Any, x2: Any, names: Any, first: Any, last: Any, **kwargs: Any) -> Any:
        return total(x1, x2, names, first, last, kwargs)

    summed = part if batch_size == 0 else batch(part, batch_size, device_count, store_on_device)

    def running(x1: Any, x2: Any, get: Any, kwargs: dict[str, Any]) -> Any:
        names = ("nngp", "ntk") if get is None else (get,) if isinstance(get, str) else tuple(get)
        done, sums = 0, None
        for count in counts:
            more = summed(x1, x2, names, jnp.int32(done), jnp.int32(count), **kwargs)
            sums = more if sums is None else jax.tree.map(lambda a, b: a + b, sums, more)
            done = count
            means = jax.tree.map(lambda s, n=count: s / n, sums)
            yield means[0] if isinstance(get, str) else means

    def kernel_fn(x1: Any, x2: Any = None, get: Any = None, **apply_kwargs: Any) -> Any:
        x1 = jax.tree.map(jnp.asarray, x1)
        x2 = None if x2 is None else jax.tree.map(jnp.asarray, x2)
        means = running(x1, x2, get, apply_kwargs)
        return means if several else next(means)

    return kernel_fn
