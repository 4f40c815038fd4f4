"""Training of an infinitely wide network by gradient descent on any loss, with momentum or without.

    df/ds = -Theta dL/df                                                s = eta t
    d^2 f/ds^2 = -((1 - beta) / sqrt(eta)) df/ds - Theta dL/df          s = sqrt(eta) t

with t the number of steps of gradient descent at rate eta, and of heavy-ball momentum beta, where steps are
small. On a test set f follows with Theta(x, X) in place of Theta(X, X).

Source: Lee et al. 2019, NeurIPS, eqs. 4 and S3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from neuromanifold._base import check_real, require
from neuromanifold.dynamics import Flow, solve
from neuromanifold.theory.wide._predict_spectrum import Outputs, as_matrix, check_symmetric


class ODEState(NamedTuple):
    """Outputs and their velocities; None where they are not followed.

    Args:
        fx_train: outputs on the training set.
        fx_test: outputs on the test set.
        qx_train: velocities on the training set, with momentum.
        qx_test: velocities on the test set.
    """

    fx_train: Any = None
    fx_test: Any = None
    qx_train: Any = None
    qx_test: Any = None


# Compiled anew for each loss, for which the usual solver of higher order takes three times as long.
_SOLVER = diffrax.Tsit5()


class _Velocity(eqx.Module):
    """Change of outputs and velocities in time, of both sets.

    Args:
        loss: of the outputs on the training set.
        out: layout of the outputs.
        counts: inputs of each set.
        kernels: of each set with the training set.
        y: targets.
        friction: (1 - beta) / sqrt(eta); None: no momentum.
    """

    loss: Callable[[Any, Any], Any] = eqx.field(static=True)
    out: Outputs = eqx.field(static=True)
    counts: tuple[int, ...] = eqx.field(static=True)
    kernels: list[Any]
    y: Array
    friction: Array | None

    def __call__(self, s: Any, state: Any) -> Any:
        outputs, speeds = state
        force = self.out.matrix(jax.grad(self.loss)(outputs[0], self.y), self.counts[0])
        pulls = [-self.out.array(k @ force, m) for k, m in zip(self.kernels, self.counts, strict=True)]
        if self.friction is None:
            return pulls, speeds
        return list(speeds), [p - self.friction * q for p, q in zip(pulls, speeds, strict=True)]


def gradient_descent(
    loss: Callable[[Any, Any], Any],
    k_train_train: Any,
    y_train: Any,
    learning_rate: float = 1.0,
    momentum: float | None = None,
    trace_axes: Any = (-1,),
) -> Callable[..., Any]:
    """Outputs during training, as `predict_fn(t, fx_train_or_state_0, fx_test_0, k_test_train)`.

    t is a time or an increasing array of times, >= 0, whose axes come first in the result. An `ODEState` in
    place of `fx_train_0` brings one back. A loss of a mean has to divide by the number of outputs itself.

    Args:
        loss: `loss(fx, y)` -> a number.
        k_train_train: tangent kernel, as for `gradient_descent_mse`.
        y_train: targets, (n, ...).
        learning_rate: eta > 0.
        momentum: beta in [0, 1), or None.
        trace_axes: axes of the outputs that the kernel does not have.

    Raises:
        ValueError: a kernel that is not symmetric, or t None: a general loss need not converge.
        SolveError: a loss under which the outputs diverge.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.wide import predict
    >>> def loss(f, y):
    ...     return 0.5 * jnp.sum((f - y) ** 2)
    >>> predict_fn = predict.gradient_descent(loss, jnp.eye(2), jnp.ones((2, 1)))
    >>> print(jnp.round(predict_fn(1.0)[0], 4))
    [0.6321]
    """
    eta = check_real("learning_rate", learning_rate, 0, open_low=True)
    friction = None
    if momentum is not None:
        friction = (1.0 - check_real("momentum", momentum, 0, 1, open_high=True)) / np.sqrt(eta)
    unit = eta if momentum is None else float(np.sqrt(eta))
    out = Outputs(y_train, trace_axes)
    n = out.shape[0]
    with jax.enable_x64(True):
        square = as_matrix("k_train_train", k_train_train, out.n_free)
        require(square.shape[0] == square.shape[1], "k_train_train", "be square", np.shape(k_train_train))
        check_symmetric("k_train_train", square)

    def predict_fn(
        t: Any = None, fx_train_or_state_0: Any = 0.0, fx_test_0: Any = None, k_test_train: Any = None
    ) -> Any:
        finite = t is not None and bool(np.isfinite(np.array(t)).all())
        require(finite, "t", "be finite, because a general loss need not converge", t)
        whole = isinstance(fx_train_or_state_0, ODEState)
        first = fx_train_or_state_0 if whole else ODEState(fx_train_or_state_0, fx_test_0)
        require(first.fx_train is not None, "fx_train_0", "be given", None)
        testing = first.fx_test is not None
        require(not testing or k_test_train is not None, "k_test_train", "be given with fx_test_0", None)
        require(
            friction is not None or first.qx_train is None,
            "qx_train",
            "be None without momentum",
            "velocities",
        )
        times = np.array(t, np.float64)
        steps = times.reshape(-1) * unit
        rising = bool((np.diff(steps, prepend=0.0) >= 0).all() and (np.diff(steps) > 0).all())
        require(rising, "t", "be >= 0 and increase strictly", t)
        with jax.enable_x64(True):
            y = jnp.asarray(y_train, float)
            n_test = 0 if k_test_train is None else np.shape(k_test_train)[0]
            kernels = [jnp.asarray(square, float)]
            start = [jnp.broadcast_to(jnp.asarray(first.fx_train, float), y.shape)]
            if testing:
                kernels.append(jnp.asarray(as_matrix("k_test_train", k_test_train, out.n_free)))
                start.append(jnp.broadcast_to(jnp.asarray(first.fx_test, float), (n_test, *y.shape[1:])))
            counts = (n, n_test)[: len(start)]
            moving = [jnp.zeros_like(f) if friction is not None else None for f in start]
            for k, given in enumerate((first.qx_train, first.qx_test)[: len(start)]):
                if given is not None:
                    moving[k] = jnp.broadcast_to(jnp.asarray(given, float), start[k].shape)
            velocity = _Velocity(
                loss, out, counts, kernels, y, None if friction is None else jnp.asarray(friction)
            )
            # The start is a time of its own, but where it is asked for.
            grid = steps if steps[0] == 0 else np.concatenate([[0.0], steps])
            state = (start, [q for q in moving if q is not None])
            if len(grid) == 1:
                states = jax.tree.map(lambda v: v[None], state)
            else:
                states = solve(Flow(velocity), state, grid, solver=_SOLVER).states
            kept = len(steps)
            dtype = jax.dtypes.canonicalize_dtype(jnp.result_type(jnp.asarray(y_train)))
            outputs, speeds = jax.tree.map(
                lambda v: v[-kept:].reshape(*times.shape, *v.shape[1:]).astype(dtype), states
            )
        if whole:
            pad = [None] * (2 - len(outputs))
            return ODEState(*outputs, *pad, *(speeds or [None] * len(outputs)), *pad)
        return outputs[0] if not testing else tuple(outputs)

    return predict_fn
