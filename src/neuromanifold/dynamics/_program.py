"""The compiled programs of the loop, the same for every process.

A run is cut into blocks whose lengths depend on measured time, so no result may depend on where the cuts
fall. Hence the number of steps is an argument of the compiled program and never a constant in it: one loop
body is compiled, once, and every block of every length runs it. Two ways to move are offered:

    block   many steps inside one compiled loop; best for small and middling steps
    step    one compiled step, called from Python; best for steps with convolutions on the CPU, whose fast
            implementation XLA uses outside of loops only

The choice is made from the step's own operations and not from timings, because the two may differ in the last
bit and a resumed run must take the same one.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


class Code:
    """What of a pytree is not data: its structure and its leaves that are no arrays, hashable.

    Two runs with equal codes and equal shapes share one compiled program. Functions made anew by the same
    lines, closing over equal numbers and functions, are equal, as `optax.adam(1e-3)` however often made.

    Raises:
        TypeError: a leaf is neither an array nor hashable.
    """

    __slots__ = ("_hash", "_keys", "_leaves", "_structure")

    def __init__(self, tree: PyTree) -> None:
        self._leaves, self._structure = jax.tree.flatten(tree)
        for leaf in self._leaves:
            if not isinstance(leaf, Hashable):
                raise TypeError(f"every part of a process must be an array or hashable, got {leaf!r}.")
        self._keys = tuple(_sameness(leaf, ()) for leaf in self._leaves)
        self._hash = hash((self._structure, self._keys))

    @property
    def tree(self) -> PyTree:
        """The pytree with None in place of arrays."""
        return jax.tree.unflatten(self._structure, self._leaves)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Code)
            and self._hash == other._hash
            and self._structure == other._structure
            and self._keys == other._keys
        )


def _sameness(part: Any, inside: tuple[Any, ...]) -> Hashable:
    """What a leaf is compared by: a function by its code and what it sees, all else by type and value.

    What cannot be hashed is the same as itself alone; so is a function that closes over itself, and one of an
    interactive session, where the same lines may be run again to see what they lean on anew.
    """
    if isinstance(part, tuple):
        return type(part), tuple(_sameness(each, inside) for each in part)
    if isinstance(part, types.FunctionType) and _imported(part) and not any(part is one for one in inside):
        try:
            cells = tuple(cell.cell_contents for cell in part.__closure__ or ())
        except ValueError:
            return _Alone(part)
        closed = (cells, part.__defaults__, tuple(sorted((part.__kwdefaults__ or {}).items())))
        named = {name: part.__globals__[name] for name in _names(part.__code__) if name in part.__globals__}
        seen = tuple((name, v if isinstance(v, _NUMBERS) else _Alone(v)) for name, v in named.items())
        return part.__code__, part.__module__, _sameness(closed, (*inside, part)), _sameness(seen, ())
    try:
        hash(part)
    except TypeError:
        return _Alone(part)
    return type(part), part


_NUMBERS = (bool, int, float, complex, str)


def _imported(function: types.FunctionType) -> bool:
    module = sys.modules.get(function.__module__)
    return getattr(module, "__spec__", None) is not None and function.__module__ != "__main__"


def _names(code: types.CodeType) -> list[str]:
    """Names that a function and those inside it look up, in order."""
    inner = [name for const in code.co_consts if isinstance(const, types.CodeType) for name in _names(const)]
    return sorted({*code.co_names, *inner})


class _Alone:
    """Something that equals itself alone, kept alive so that nothing else gets its place in memory."""

    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part

    def __hash__(self) -> int:
        return id(self.part)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Alone) and self.part is other.part


def split(tree: PyTree) -> tuple[PyTree, Code]:
    """The arrays of a pytree and the code that turns them back into it."""
    arrays, rest = eqx.partition(tree, _is_array)
    return arrays, Code(rest)


def join(arrays: PyTree, code: Code) -> PyTree:
    """The pytree that `split` took apart."""
    return eqx.combine(arrays, code.tree)


class Moves(NamedTuple):
    """What a run calls: the step and the two observers, any of which may carry arrays."""

    step: Callable[..., Any]
    observe: Callable[..., Any] | None
    observe_info: Callable[..., Any] | None


class Plan(NamedTuple):
    """What is compiled in; hashable.

    Args:
        moves: code of the Moves.
        state: code of the state.
        replicas: number of replicas, or None for a single run without a leading axis.
        every: steps between observations; only whether it is 1 is compiled in.
        capacity: observations a block can hold.
    """

    moves: Code
    state: Code
    replicas: int | None
    single: bool
    capacity: int


def _path(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path) or "state"


def _advance(plan: Plan, moves: Moves, keys: Array, t: Array, arrays: PyTree) -> tuple[PyTree, PyTree]:
    """One step of the arrays of the state; the second value is what `observe_info` sees."""

    def one(key: Array, t: Array, arrays: PyTree) -> tuple[PyTree, PyTree]:
        state, info = moves.step(jax.random.fold_in(key, t), t, join(arrays, plan.state))
        moved, code = split(state)
        same_structure(plan.state, arrays, code, moved)
        moved = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), moved, arrays)
        return moved, None if moves.observe_info is None else moves.observe_info(info)

    if plan.replicas is None:
        return one(keys, t, arrays)
    return jax.vmap(one, (0, None, 0))(keys, t, arrays)


def same_structure(code: Code, arrays: PyTree, new_code: Code, new: PyTree) -> None:
    """Refuse a step that changes structure, shape or type of the state.

    Raises:
        TypeError: with the leaf that changed.
    """
    before, after = (jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (arrays, new))
    if [_path(p) for p, _ in before] != [_path(p) for p, _ in after] or code != new_code:
        names = sorted({_path(p) for p, _ in before} ^ {_path(p) for p, _ in after})
        raise TypeError(
            "step must return a state of the structure it was given, got a different one"
            + (f" at {', '.join(names)}." if names else ".")
        )
    for (path, old), (_, value) in zip(before, after, strict=True):
        if old.shape != value.shape or old.dtype != value.dtype:
            raise TypeError(
                f"step must return a state of the shapes and types it was given, got {value.dtype}"
                f"{list(value.shape)} for {old.dtype}{list(old.shape)} at {_path(path)}."
            )


def _look(plan: Plan, moves: Moves, arrays: PyTree) -> PyTree:
    if moves.observe is None:
        return None

    def one(arrays: PyTree) -> PyTree:
        assert moves.observe is not None
        return jax.tree.map(jnp.asarray, moves.observe(join(arrays, plan.state)))

    return one(arrays) if plan.replicas is None else jax.vmap(one)(arrays)


def _finite(arrays: PyTree) -> Array:
    checks = [jnp.isfinite(x).all() for x in jax.tree.leaves(arrays) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return jnp.stack(checks).all() if checks else jnp.asarray(True)


@functools.partial(jax.jit, static_argnums=0)
def look(plan: Plan, data: PyTree, arrays: PyTree) -> PyTree:
    """What `observe` sees of the state."""
    return _look(plan, join(data, plan.moves), arrays)


@jax.jit
def finite(arrays: PyTree) -> Array:
    """Whether every inexact number of the state is finite."""
    return _finite(arrays)


@functools.partial(jax.jit, static_argnums=0)
def one_step(plan: Plan, data: PyTree, keys: Array, t: Array, arrays: PyTree) -> tuple[PyTree, PyTree]:
    """One step, and what `observe_info` sees of it."""
    return _advance(plan, join(data, plan.moves), keys, t, arrays)


class Block(NamedTuple):
    """What a block returns: state, observations (first axis capacity), info at its end, finiteness."""

    arrays: PyTree
    values: PyTree
    infos: PyTree
    info: PyTree
    finite: Array


@functools.partial(jax.jit, static_argnums=0)
def block(
    plan: Plan, data: PyTree, keys: Array, t: Array, n_outer: Array, n_inner: Array, arrays: PyTree
) -> Block:
    """`n_outer` times: `n_inner` steps, then one observation; both numbers are run-time arguments."""
    moves: Moves = join(data, plan.moves)

    def zeros(tree: PyTree, *leading: int) -> PyTree:
        return jax.tree.map(lambda x: jnp.zeros((*leading, *x.shape), x.dtype), tree)

    shape_of_info = jax.eval_shape(lambda k, a: _advance(plan, moves, k, t, a)[1], keys, arrays)
    shape_of_value = jax.eval_shape(lambda a: _look(plan, moves, a), arrays)
    observing = plan.capacity > 0

    def advance(_: Array, carry: tuple[Array, PyTree, PyTree]) -> tuple[Array, PyTree, PyTree]:
        t, arrays, _info = carry
        arrays, info = _advance(plan, moves, keys, t, arrays)
        return t + 1, arrays, info

    def interval(i: Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        t, arrays, info, values, infos = carry
        moving = (t, arrays, info)
        moving = advance(i, moving) if plan.single else jax.lax.fori_loop(0, n_inner, advance, moving)
        t, arrays, info = moving
        if observing:
            put = functools.partial(jax.lax.dynamic_update_index_in_dim, index=i, axis=0)
            values = jax.tree.map(lambda buffer, x: put(buffer, x), values, _look(plan, moves, arrays))
            infos = jax.tree.map(lambda buffer, x: put(buffer, x), infos, info)
        return t, arrays, info, values, infos

    buffers = (zeros(shape_of_value, plan.capacity), zeros(shape_of_info, plan.capacity))
    start = (t, arrays, zeros(shape_of_info), *buffers)
    _, arrays, info, values, infos = jax.lax.fori_loop(0, n_outer, interval, start)
    return Block(arrays, values, infos, info, _finite(arrays))


def _has_convolution(jaxpr: Any) -> bool:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            return True
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns") and _has_convolution(inner):
                    return True
    return False


class Shapes(NamedTuple):
    """What tracing a plan once tells: shapes of what the observers see, and whether a step convolves."""

    value: PyTree
    info: PyTree
    convolves: bool


@functools.lru_cache(maxsize=512)
def _shapes(
    plan: Plan, structure: Any, leaves: tuple[jax.ShapeDtypeStruct, ...], precision: np.dtype
) -> Shapes:
    del precision
    data, keys, arrays = jax.tree.unflatten(structure, leaves)
    traced = one_step.trace(plan, data, keys, jax.ShapeDtypeStruct((), jnp.int32), arrays)
    value = jax.eval_shape(functools.partial(look, plan), data, arrays)
    return Shapes(value, traced.out_info[1], _has_convolution(traced.jaxpr.jaxpr))


def shapes(plan: Plan, data: PyTree, keys: Array, arrays: PyTree) -> Shapes:
    """Shapes of what the observers see, and whether a step convolves; traced once for all runs alike."""
    leaves, structure = jax.tree.flatten((data, keys, arrays))
    each = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)
    return _shapes(plan, structure, each, jax.dtypes.canonicalize_dtype(np.float64))


def choose_mode(convolves: bool) -> str:
    """The mode "step" for a step with convolutions on the CPU, "block" for every other."""
    return "step" if convolves and jax.default_backend() == "cpu" else "block"
