"""Layers as triples (init_fn, apply_fn, kernel_fn), and how they are put one after or beside another.

    init_fn(key, input_shape) -> (output_shape, params)        weights of a network of finite width
    apply_fn(params, inputs, **kwargs) -> outputs              that network
    kernel_fn(x1, x2=None, get=None, **kwargs)                 its covariances at infinite width

`kernel_fn` takes inputs or a `Kernel`, and gives what is asked for: "nngp", "ntk", a tuple of such names (a
named tuple), or the whole `Kernel` (None). Names and call signatures are those that users of Neural Tangents
know (Novak et al. 2020, ICLR).

Each layer says which covariances between positions it needs of what comes before, so that a stack keeps
pairs of positions only where pooling or attention asks for them.
"""

from __future__ import annotations

import collections
import enum
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from neuromanifold._base import check_integer, require
from neuromanifold.theory.meanfield._precision import is_traced
from neuromanifold.theory.wide._kernel import (
    Kernel,
    check_second,
    checked_inputs,
    checked_kernel,
    of_inputs,
    pattern_pair,
)
from neuromanifold.theory.wide._tiles import by_tiles, n_tiles

_NAMES = ("nngp", "ntk", "cov1", "cov2", "x1_is_x2", "is_gaussian", "shape1", "shape2")


class Own(enum.IntEnum):
    """How much of the covariances of each input with itself a layer needs."""

    NONE = 0
    ALONE = 1
    FULL = 2


class Needs(NamedTuple):
    """Which covariances between positions a layer must be given.

    Args:
        full: those of all pairs of positions, not of equal ones alone, between inputs.
        own: of each input with itself none, those of equal positions alone, or all.
    """

    full: bool
    own: Own


class KernelFunction:
    """kernel_fn of a layer; see the module's header.

    Args:
        transform: covariances before the layer -> covariances behind it; of tuples where branches run side by
            side.
        needs: what it must be given for what it is asked.
    """

    def __init__(
        self, transform: Callable[..., Any], needs: Callable[[Needs], Needs] = lambda asked: asked
    ) -> None:
        self.transform = transform
        self.needs = needs
        self._compiled = jax.jit(self._of_arrays, static_argnames=("asked",))

    def __call__(
        self,
        x1: Any,
        x2: Any | None = None,
        get: str | tuple[str, ...] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Covariances of the outputs.

        Many pairs are taken tile by tile, so that memory is that of the result and one tile; where x2 is left
        out, tiles on and above the diagonal are computed and mirrored. That is done in one compiled program,
        kept with this function.

        Args:
            x1: inputs (n1, *spatial, n_channels), a tuple of such where the network has several inputs, or
                the `Kernel` of a network in front of this one.
            x2: the second set of inputs; None: the first again.
            get: what is wanted; see the module's header.
            kwargs: handed on to the layers: `mask_constant`, a number (or NaN) that marks holes in inputs;
                `pattern`, the graphs of both sets of `Aggregate`.

        Raises:
            ValueError: inputs of wrong shape or not finite, an unknown name, or a composition whose infinite
                limit does not exist.
        """
        asked = _asked(get)
        if _holds_kernels(x1):
            require(x2 is None, "x2", "be left out where x1 is a Kernel", type(x2).__name__)
            result = self.transform(jax.tree.map(checked_kernel, x1, is_leaf=_is_kernel), **kwargs)
        else:
            patterns = pattern_pair(kwargs.pop("pattern", None), x2 is None)
            hole = kwargs.get("mask_constant")
            first = jax.tree.map(functools.partial(checked_inputs, "x1", hole=hole), x1)
            second = (
                None if x2 is None else jax.tree.map(functools.partial(checked_inputs, "x2", hole=hole), x2)
            )
            check_second(first, second)
            sets = (first, patterns[0]), None if second is None else (second, patterns[1])
            known = not is_traced(*jax.tree.leaves((sets, kwargs)))
            evaluate = self._compiled if known and self._n_tiles(sets) > 1 else self._of_arrays
            result = evaluate(*sets, kwargs, asked=asked)
        if asked is None:
            return result
        values = [jax.tree.map(lambda k, n=name: getattr(k, n), result, is_leaf=_is_kernel) for name in asked]
        return values[0] if isinstance(get, str) else collections.namedtuple("Kernels", asked)(*values)

    def _entries(self, sets: tuple[Any, Any]) -> int:
        """Entries of the covariance of one pair of inputs."""
        places = [math.prod(x.shape[1:-1]) for x in jax.tree.leaves(sets[0][0])]
        return max(places) ** (2 if self.needs(Needs(True, Own.NONE)).full else 1)

    def _n_tiles(self, sets: tuple[Any, Any]) -> int:
        return n_tiles(*sets, self._entries(sets))

    def _of_arrays(self, first: Any, second: Any, kwargs: Any, asked: tuple[str, ...] | None) -> Any:
        """The kernel of inputs and graphs, with the variances if they are asked for."""
        with_ntk = asked is None or "ntk" in asked
        with_own = asked is None or not {"cov1", "cov2"}.isdisjoint(asked)

        def of(one: Any, other: Any, own: bool) -> Any:
            needs = self.needs(Needs(True, Own.FULL if own else Own.NONE))
            begin = functools.partial(
                of_inputs,
                full=needs.full,
                own_full=needs.own is Own.FULL,
                with_ntk=with_ntk,
                hole=kwargs.get("mask_constant"),
            )
            (x, graph), (y, other_graph) = one, (None, None) if other is None else other
            given = {} if graph is None else {"pattern": (graph, graph if other is None else other_graph)}
            return self.transform(_over_branches(begin, x, y), **given, **kwargs)

        return by_tiles(of, first, second, self._entries((first, second)), with_own)


class Layer(NamedTuple):
    """A layer, and a whole network alike.

    Args:
        init_fn: weights of a network of finite width.
        apply_fn: that network.
        kernel_fn: its covariances at infinite width.
    """

    init_fn: Callable[..., Any]
    apply_fn: Callable[..., Any]
    kernel_fn: KernelFunction


def _asked(get: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    if get is None:
        return None
    names = (get,) if isinstance(get, str) else tuple(get)
    for name in names:
        require(name in _NAMES, "get", f"be one of {', '.join(_NAMES)}, a tuple of them, or None", name)
    return names


def _is_kernel(node: Any) -> bool:
    return isinstance(node, Kernel)


def _holds_kernels(x: Any) -> bool:
    return _is_kernel(x) or (isinstance(x, list | tuple) and len(x) > 0 and all(map(_holds_kernels, x)))


def _over_branches(begin: Callable[..., Any], x1: Any, x2: Any) -> Any:
    if not isinstance(x1, list | tuple):
        return begin(x1, x2)
    others = [None] * len(x1) if x2 is None else x2
    require(len(others) == len(x1), "x2", f"hold {len(x1)} inputs, as x1 does", len(others))
    return tuple(_over_branches(begin, one, other) for one, other in zip(x1, others, strict=True))


def serial(*layers: Layer) -> Layer:
    """Layers one after the other.

    Args:
        layers: each a layer or a network.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.theory.wide import Dense, Relu, serial
    >>> init_fn, apply_fn, kernel_fn = serial(Dense(512, W_std=2**0.5), Relu(), Dense(1, W_std=2**0.5))
    >>> x = jnp.array([[1.0, 1.0], [1.0, -1.0]])
    >>> print(*(f"{k:.4f}" for k in kernel_fn(x, None, "ntk")[0]))
    4.0000 0.6366
    """
    require(len(layers) > 0, "layers", "hold at least one layer", len(layers))

    def init_fn(key: Any, input_shape: Any) -> Any:
        params = []
        for one, part in zip(layers, jax.random.split(key, len(layers)), strict=True):
            input_shape, weights = one.init_fn(part, input_shape)
            params.append(weights)
        return input_shape, params

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        kwargs, keys = _split(kwargs, len(layers))
        for one, weights, key in zip(layers, params, keys, strict=True):
            inputs = one.apply_fn(weights, inputs, rng=key, **kwargs)
        return inputs

    def transform(kernel: Any, **kwargs: Any) -> Any:
        for one in layers:
            kernel = one.kernel_fn.transform(kernel, **kwargs)
        return kernel

    def needs(asked: Needs) -> Needs:
        for one in reversed(layers):
            asked = one.kernel_fn.needs(asked)
        return asked

    return Layer(init_fn, apply_fn, KernelFunction(transform, needs))


def parallel(*layers: Layer) -> Layer:
    """Layers side by side: the k-th takes the k-th of a tuple of inputs. See `FanOut` and `FanInSum`.

    Args:
        layers: each a layer or a network.
    """
    require(len(layers) > 0, "layers", "hold at least one layer", len(layers))

    def check(inputs: Any) -> Any:
        n = len(inputs) if isinstance(inputs, list | tuple) else 1
        require(n == len(layers), "inputs", f"hold {len(layers)} branches, one for each layer", n)
        return inputs

    def init_fn(key: Any, input_shape: Any) -> Any:
        keys = jax.random.split(key, len(layers))
        made = [
            one.init_fn(part, shape)
            for one, part, shape in zip(layers, keys, check(input_shape), strict=True)
        ]
        return [shape for shape, _ in made], [weights for _, weights in made]

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        kwargs, keys = _split(kwargs, len(layers))
        parts = zip(layers, params, check(inputs), keys, strict=True)
        return [one.apply_fn(weights, x, rng=key, **kwargs) for one, weights, x, key in parts]

    def transform(kernels: Any, **kwargs: Any) -> Any:
        parts = zip(layers, check(kernels), strict=True)
        return tuple(one.kernel_fn.transform(kernel, **kwargs) for one, kernel in parts)

    def needs(asked: Needs) -> Needs:
        each = [one.kernel_fn.needs(asked) for one in layers]
        return Needs(any(n.full for n in each), max(n.own for n in each))

    return Layer(init_fn, apply_fn, KernelFunction(transform, needs))


def repeat(layer: Layer, times: int) -> Layer:
    """A layer `times` times over, each with weights of its own, compiled once however often.

    The layer must keep the shape of its input, and hand on Gaussian outputs where it was given such; so
    begin with an affine layer and end with one.

    Args:
        layer: what is repeated.
        times: how often, >= 0.
    """
    check_integer("times", times, 0)

    def init_fn(key: Any, input_shape: Any) -> Any:
        keys = jax.random.split(key, times)
        shapes = [layer.init_fn(part, input_shape) for part in keys]
        for shape, _ in shapes:
            require(tuple(shape) == tuple(input_shape), "layer", "keep the shape of its input", shape)
        stacked = jax.tree.map(lambda *leaves: jax.numpy.stack(leaves), *[weights for _, weights in shapes])
        return input_shape, stacked if times else ()

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        if times == 0:
            return inputs
        kwargs, keys = _split(kwargs, times)
        if keys[0] is None:
            return jax.lax.scan(lambda x, w: (layer.apply_fn(w, x, **kwargs), None), inputs, params)[0]

        def step(x: Any, one: Any) -> Any:
            return layer.apply_fn(one[0], x, rng=one[1], **kwargs), None

        return jax.lax.scan(step, inputs, (params, jax.numpy.stack(keys)))[0]

    def transform(kernel: Any, **kwargs: Any) -> Any:
        if times == 0:
            return kernel
        kernel = layer.kernel_fn.transform(kernel, **kwargs)
        return jax.lax.fori_loop(1, times, lambda _, k: layer.kernel_fn.transform(k, **kwargs), kernel)

    def needs(asked: Needs) -> Needs:
        # Needs only grow, and no further than in three steps.
        for _ in range(min(times, 3)):
            asked = layer.kernel_fn.needs(asked)
        return asked

    return Layer(init_fn, apply_fn, KernelFunction(transform, needs))


def _split(kwargs: dict[str, Any], n: int) -> tuple[dict[str, Any], list[Any]]:
    """The key `rng` as n keys, n times None without one, and what else there is."""
    others = {name: value for name, value in kwargs.items() if name != "rng"}
    key = kwargs.get("rng")
    return others, [None] * n if key is None else list(jax.random.split(key, n))
