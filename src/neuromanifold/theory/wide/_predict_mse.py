"""Training of an infinitely wide network, or of a linearised one, by gradient descent on the square loss.

    L = |f - y|^2 / (2 n),       df/dt = -(eta / n) Theta (f - y)
    f_t(X) = y + exp(-eta Theta t / n) (f_0(X) - y)
    f_t(x) = f_0(x) - Theta(x, X) Theta^{-1} (1 - exp(-eta Theta t / n)) (f_0(X) - y)

with n the number of all training outputs: t counts steps of gradient descent on the mean square at rate eta.

Source: Jacot, Gabriel and Hongler 2018, NeurIPS; Lee et al. 2019, NeurIPS, eqs. 8 to 11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.theory.meanfield._precision import is_traced
from neuromanifold.theory.wide._predict_spectrum import (
    Outputs,
    Spectrum,
    as_matrix,
    check_symmetric,
    in_double,
    rates,
)


def gradient_descent_mse(
    k_train_train: Any,
    y_train: Any,
    learning_rate: float = 1.0,
    diag_reg: float = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: Any = (-1,),
) -> Callable[..., Any]:
    """Outputs during training on the square loss, as `predict_fn(t, fx_train_0, fx_test_0, k_test_train)`.

    `predict_fn` gives outputs on the training set, or those on both sets where `fx_test_0` is given. t is a
    time or an array of times, whose axes come first in the result; None is infinity.

    Args:
        k_train_train: tangent kernel (n, n), with a further pair of axes for each axis of the outputs that is
            not in trace_axes.
        y_train: targets, (n, ...).
        learning_rate: eta > 0.
        diag_reg: ridge, >= 0, in units of the mean of the kernel's diagonal.
        diag_reg_absolute_scale: the ridge is meant as it is.
        trace_axes: axes of the outputs that the kernel does not have.

    Raises:
        ValueError: a kernel that is not symmetric or does not fit the targets; and by `predict_fn`, at
            t = infinity, one that is singular without a ridge.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.wide import predict
    >>> predict_fn = predict.gradient_descent_mse(jnp.eye(2), jnp.ones((2, 1)))
    >>> print(predict_fn(0.0)[0], jnp.round(predict_fn(2.0)[0], 4), predict_fn()[0])
    [0.] [0.6321] [1.]
    """
    eta = check_real("learning_rate", learning_rate, 0, open_low=True)

    out = Outputs(y_train, trace_axes)
    held = in_scope(lambda: of_train(k_train_train, out, diag_reg, diag_reg_absolute_scale))

    @in_double
    def predicted(t: Any, fx_train_0: Any, fx_test_0: Any, k_test_train: Any, y: Any) -> Any:
        spectrum, n = held(), out.shape[0]
        rate, times = rates(t, eta, int(np.prod(out.shape)))
        if t is None or (spectrum.known and bool(np.isinf(np.asarray(rate)).any())):
            spectrum.check_invertible()
        start = 0.0 if fx_train_0 is None else fx_train_0
        error = out.matrix(start, n) - out.matrix(y, n)
        made = []
        if fx_train_0 is not None:
            # As a difference from the targets, which keeps a small error's digits.
            left = spectrum.apply(spectrum.decay(rate), error) + out.matrix(y, n)[None]
            made.append(out.array(left.reshape(*times, *error.shape), n))
        if fx_test_0 is not None:
            cross = as_matrix("k_test_train", k_test_train, out.n_free)
            n_test = np.shape(k_test_train)[0]
            moved = cross[None] @ spectrum.apply(spectrum.response(rate), error)
            moved = out.matrix(fx_test_0, n_test)[None] - moved
            made.append(out.array(moved.reshape(*times, *moved.shape[1:]), n_test))
        return made[0] if len(made) == 1 else tuple(made)

    def predict_fn(
        t: Any = None, fx_train_0: Any = 0.0, fx_test_0: Any = None, k_test_train: Any = None
    ) -> Any:
        asked = fx_train_0 is not None or fx_test_0 is not None
        require(asked, "fx_train_0", "be given where fx_test_0 is not", None)
        require(
            fx_test_0 is None or k_test_train is not None, "k_test_train", "be given with fx_test_0", None
        )
        return predicted(t, fx_train_0, fx_test_0, k_test_train, y_train)

    in_double(lambda kernel: held() and ())(k_train_train)
    return predict_fn


def in_scope(make: Callable[[], Spectrum]) -> Callable[[], Spectrum]:
    """A spectrum made once in each precision; anew where it is being traced."""
    made: dict[Any, Spectrum] = {}

    def get() -> Spectrum:
        precision = jnp.result_type(float)
        if precision in made:
            return made[precision]
        spectrum = make()
        if not is_traced(spectrum.values):
            made[precision] = spectrum
        return spectrum

    return get


def of_train(kernel: Any, out: Outputs, diag_reg: float, absolute: bool) -> Spectrum:
    """The spectrum of a train kernel that fits the targets.

    Raises:
        ValueError: it does not fit, or `Spectrum` refuses it.
    """
    matrix = as_matrix("k_train_train", kernel, out.n_free)
    fits = int(np.prod([out.shape[a] for a in out.kept]))
    require(
        matrix.shape[0] == fits, "k_train_train", f"be of {fits} outputs, as y_train is", np.shape(kernel)
    )
    spectrum = Spectrum("k_train_train", matrix, diag_reg, absolute)
    spectrum.precision = float(jnp.finfo(getattr(kernel, "dtype", jnp.float64)).eps)
    return spectrum


def max_learning_rate(
    ntk_train_train: Any, y_train_size: int | None = None, momentum: float = 0.0, eps: float = 1e-12
) -> float:
    """The rate above which gradient descent on the mean square diverges, 2 (1 + momentum) n / lambda_max.

    Args:
        ntk_train_train: tangent kernel, as for `gradient_descent_mse`.
        y_train_size: n, the number of all training outputs; None: those that the kernel has.
        momentum: of heavy-ball momentum, in [0, 1).
        eps: added to the greatest eigenvalue, >= 0.

    Raises:
        ValueError: a kernel that is not symmetric, or an argument outside its range.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.wide import predict
    >>> round(predict.max_learning_rate(jnp.diag(jnp.array([1.0, 4.0]))), 6)
    1.0
    """
    momentum = check_real("momentum", momentum, 0, 1, open_high=True)
    eps = check_real("eps", eps, 0)
    kernel = np.asarray(ntk_train_train, np.float64)
    n_free = kernel.ndim // 2 - 1
    with jax.enable_x64(True):
        matrix = np.asarray(as_matrix("ntk_train_train", kernel, n_free))
    require(matrix.shape[0] == matrix.shape[1], "ntk_train_train", "be square", kernel.shape)
    with jax.enable_x64(True):
        check_symmetric("ntk_train_train", jnp.asarray(matrix))
    m = len(matrix)
    size = m if y_train_size is None else check_integer("y_train_size", y_train_size, 1)
    greatest = scipy.linalg.eigvalsh(matrix, subset_by_index=[m - 1, m - 1])[0]
    return float(2 * (1 + momentum) * size / (greatest + eps))
