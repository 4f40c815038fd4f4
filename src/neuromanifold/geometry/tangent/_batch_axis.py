"""Whether the first axis of a function's inputs and outputs only counts examples, read off its equations.

    f(theta, (x_1, ..., x_n)) = (g(theta, x_1), ..., g(theta, x_n))

A tangent kernel then costs n derivatives of g in place of n^2 blocks, most of them zero. Each value gets a
mark: the axis that counts examples, or, where it does not depend on the inputs, the axes along which it is
constant because it was broadcast there. An operation without a rule, one that mixes examples (a batch norm),
or one that takes something else from each example by its place (a mask drawn for the whole batch) ends the
proof, and the function is taken as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

INLINED = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}
_BODIES = {
    **INLINED,
    "checkpoint": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}
_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or")
_CUMULATIVE = ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
_ELEMENTWISE = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type
    copy cos cosh div digamma eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite
    le lgamma log log1p logistic lt max min mul ne neg not or pow real reduce_precision rem round
    rsqrt select_n sign sin sinh sqrt square stop_gradient sub tan tanh xor
    """.split()  # noqa: SIM905
)


class _Mixed(Exception):
    """The first axis does more than count examples, or it cannot be shown that it does not."""


class _Mark(NamedTuple):
    """axis: the one that counts examples, or None; constant: axes along which the value does not change."""

    axis: int | None
    constant: frozenset[int] = frozenset()


def counts_examples(f: Callable[..., Any], params: Any, x: Any) -> bool:
    """Whether the first axis of x, all leaves alike, only counts examples, and is the first of f's output.

    Args:
        f: `f(params, x)` -> an array.
        params: a pytree of arrays.
        x: a pytree of arrays.
    """
    leaves = jax.tree.leaves(x)
    if not leaves or any(jnp.ndim(leaf) == 0 for leaf in leaves):
        return False
    n = jnp.shape(leaves[0])[0]
    if n == 0 or any(jnp.shape(leaf)[0] != n for leaf in leaves):
        return False
    try:
        closed = jax.make_jaxpr(f)(params, x)
        alone = jax.make_jaxpr(f)(params, jax.tree.map(lambda leaf: leaf[:1], x))
    except (TypeError, ValueError):
        return False
    n_params = len(jax.tree.leaves(params))
    marks = [_Mark(None)] * n_params + [_Mark(0)] * len(leaves)
    try:
        found = _through(closed.jaxpr, marks, n)
    except _Mixed:
        return False
    # A factor such as 1/n would show here, as would a branch on the number of examples.
    return all(mark.axis == 0 for mark in found) and _words(closed.jaxpr) == _words(alone.jaxpr)


def _words(jaxpr: Any) -> list[Any]:
    """Operations and numbers of a program, in order."""
    words: list[Any] = []
    for eqn in jaxpr.eqns:
        words.append(eqn.primitive.name)
        words += [
            float(v.val)
            for v in eqn.invars
            if isinstance(v, core.Literal) and np.isrealobj(np.asarray(v.val))
        ]
        if eqn.primitive.name in _BODIES and _BODIES[eqn.primitive.name] in eqn.params:
            words += _words(_open(eqn.params[_BODIES[eqn.primitive.name]]))
    return words


def _open(body: Any) -> Any:
    return body.jaxpr if isinstance(body, core.ClosedJaxpr) else body


def _through(jaxpr: Any, marks: Sequence[_Mark], n: int) -> list[_Mark]:
    known: dict[Any, _Mark] = dict(zip(jaxpr.invars, marks, strict=True))
    known |= {var: _Mark(None) for var in jaxpr.constvars}

    def read(atom: Any) -> _Mark:
        if isinstance(atom, core.Literal):
            return _Mark(None, frozenset(range(np.ndim(atom.val))) if np.size(atom.val) == 1 else frozenset())
        return known[atom]

    for eqn in jaxpr.eqns:
        inputs = [read(v) for v in eqn.invars]
        shapes = [np.shape(v.val) if isinstance(v, core.Literal) else v.aval.shape for v in eqn.invars]
        outputs = _step(eqn, inputs, shapes, n)
        known |= dict(zip(eqn.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _step(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]], n: int) -> list[_Mark]:
    name, params = eqn.primitive.name, eqn.params
    if name in _BODIES and _BODIES[name] in params:
        return _through(_open(params[_BODIES[name]]), inputs, n)
    batched = any(mark.axis is not None for mark in inputs)
    if name in _ELEMENTWISE:
        return [_elementwise(inputs, shapes)]
    rule = _RULES.get(name)
    if rule is not None:
        return [rule(eqn, inputs, shapes)]
    if batched:
        raise _Mixed
    return [_Mark(None)] * len(eqn.outvars)


def _elementwise(inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    rank = max(len(shape) for shape in shapes)
    full = [mark for mark, shape in zip(inputs, shapes, strict=True) if len(shape) == rank]
    if any(mark.axis is not None for mark in inputs if mark not in full):
        raise _Mixed
    axes = {mark.axis for mark in full if mark.axis is not None}
    if not axes:
        return _Mark(None, frozenset.intersection(*(mark.constant for mark in full)))
    if len(axes) > 1:
        raise _Mixed
    (axis,) = axes
    if any(mark.axis is None and axis not in mark.constant for mark in full):
        raise _Mixed
    return _Mark(axis)


def _broadcast(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    where, shape = tuple(eqn.params["broadcast_dimensions"]), eqn.params["shape"]
    (mark, *rest), old = inputs, shapes[0]
    if rest:
        raise _Mixed
    if mark.axis is not None:
        if old[mark.axis] != shape[where[mark.axis]]:
            raise _Mixed
        return _Mark(int(where[mark.axis]))
    new = {axis for axis in range(len(shape)) if axis not in where}
    kept = {int(where[a]) for a in range(len(old)) if a in mark.constant or old[a] == 1}
    return _Mark(None, frozenset(new | kept))


def _reshape(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    mark, old, new = inputs[0], shapes[0], eqn.params["new_sizes"]
    if eqn.params.get("dimensions") is not None or len(inputs) > 1:
        raise _Mixed
    if mark.axis is None:
        first = 0 in mark.constant and old and new and old[0] == new[0]
        return _Mark(None, frozenset({0}) if first else frozenset())
    before = math.prod(old[: mark.axis])
    for axis in range(len(new)):
        if math.prod(new[:axis]) == before and new[axis] == old[mark.axis]:
            return _Mark(axis)
    raise _Mixed


def _transpose(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    order = [int(p) for p in eqn.params["permutation"]]
    mark = inputs[0]
    axis = None if mark.axis is None else order.index(mark.axis)
    return _Mark(axis, frozenset(order.index(a) for a in mark.constant))


def _squeeze(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    return _without(inputs[0], [int(d) for d in eqn.params["dimensions"]])


def _reduce(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    if len(inputs) > 1:
        raise _Mixed
    return _without(inputs[0], [int(a) for a in eqn.params["axes"]])


def _without(mark: _Mark, gone: list[int]) -> _Mark:
    if mark.axis in gone:
        raise _Mixed

    def moved(axis: int) -> int:
        return axis - sum(g < axis for g in gone)

    axis = None if mark.axis is None else moved(mark.axis)
    return _Mark(axis, frozenset(moved(a) for a in mark.constant if a not in gone))


def _along(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    """Something done along one axis, the others apart."""
    axis = eqn.params.get("axis", eqn.params.get("dimension"))
    mark = _elementwise(inputs, shapes)
    if axis is None or mark.axis == axis:
        raise _Mixed
    return _Mark(mark.axis, mark.constant - {axis})


def _slice(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    mark, old = inputs[0], shapes[0]
    new = eqn.outvars[0].aval.shape
    if mark.axis is not None and old[mark.axis] != new[mark.axis]:
        raise _Mixed
    return mark


def _reverse(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    if inputs[0].axis in eqn.params["dimensions"]:
        raise _Mixed
    return inputs[0]


def _pad(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    mark = inputs[0]
    if inputs[1].axis is not None:
        raise _Mixed
    if mark.axis is not None and tuple(eqn.params["padding_config"][mark.axis]) != (0, 0, 0):
        raise _Mixed
    return _Mark(mark.axis)


def _dot(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    contracted, shared = eqn.params["dimension_numbers"]
    found = set()
    offset = len(shared[0])
    for side, (mark, shape) in enumerate(zip(inputs, shapes, strict=True)):
        gone = [int(a) for a in (*contracted[side], *shared[side])]
        rest = [a for a in range(len(shape)) if a not in gone]
        if mark.axis is not None:
            if mark.axis in contracted[side]:
                raise _Mixed
            if mark.axis in shared[side]:
                place = list(shared[side]).index(mark.axis)
                other, partner = inputs[1 - side], int(shared[1 - side][place])
                if other.axis != partner and partner not in other.constant:
                    raise _Mixed
                found.add(place)
            else:
                found.add(offset + rest.index(mark.axis))
        offset += len(rest)
    if len(found) > 1:
        raise _Mixed
    return _Mark(found.pop() if found else None)


def _convolution(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    numbers = eqn.params["dimension_numbers"]
    left, right = inputs
    if right.axis is not None or eqn.params["batch_group_count"] != 1:
        raise _Mixed
    if left.axis is None:
        return _Mark(None)
    if left.axis != numbers.lhs_spec[0]:
        raise _Mixed
    return _Mark(numbers.out_spec[0])


def _window(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    mark = inputs[0]
    if any(other.axis is not None for other in inputs[1:]):
        raise _Mixed
    if mark.axis is None:
        return _Mark(None)
    p, a = eqn.params, mark.axis
    dilated = (p.get("base_dilation") or [1] * (a + 1))[a], (p.get("window_dilation") or [1] * (a + 1))[a]
    still = (p["window_dimensions"][a], p["window_strides"][a], tuple(p["padding"][a]), *dilated)
    if still != (1, 1, (0, 0), 1, 1):
        raise _Mixed
    return _Mark(a)


def _gather(eqn: Any, inputs: list[_Mark], shapes: list[tuple[int, ...]]) -> _Mark:
    """Rows of a table that examples name: the table is the same for all, the axis is one of the indices."""
    table, index = inputs
    numbers = eqn.params["dimension_numbers"]
    if table.axis is not None or tuple(getattr(numbers, "operand_batching_dims", ())):
        raise _Mixed
    if index.axis is None:
        return _Mark(None)
    if index.axis == len(shapes[1]) - 1:
        raise _Mixed
    places = [a for a in range(len(eqn.outvars[0].aval.shape)) if a not in numbers.offset_dims]
    return _Mark(places[index.axis])


_RULES: dict[str, Callable[..., _Mark]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "squeeze": _squeeze,
    **dict.fromkeys((*_REDUCTIONS, "argmax", "argmin"), _reduce),
    **dict.fromkeys((*_CUMULATIVE, "concatenate"), _along),
    "slice": _slice,
    "rev": _reverse,
    "pad": _pad,
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), _window),
    "gather": _gather,
}
