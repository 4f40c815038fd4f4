"""Ensembles of infinitely wide networks: mean and covariance of their outputs, during and after training.

Gaussian process of the last layer (nngp), K the covariance of outputs, A_t = (1 - exp(-eta K t / n)) / K:

    mean = K(x, X) A_t y,      covariance = K(x, x') - K(x, X) A_{2t} K(X, x')

All layers trained (ntk), Theta the tangent kernel, B_t = (1 - exp(-eta Theta t / n)) / Theta and
W = Theta(x, X) B_t:

    mean = W y,                covariance = K(x, x') + W K(X, X) W'^T - (W K(X, x') + its transpose)

At t = infinity A and B are inverses: Bayesian inference with nngp, and trained ensembles with ntk. "ntkgp" is
Bayesian inference with Theta in place of K (He, Lakshminarayanan and Teh 2020, NeurIPS).

Source: Lee et al. 2019, NeurIPS, eqs. 14 to 16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array

from neuromanifold._base import check_choice, check_real, require
from neuromanifold.theory.wide._predict_mse import in_scope, of_train
from neuromanifold.theory.wide._predict_spectrum import (
    Outputs,
    Spectrum,
    as_kernel,
    as_matrix,
    in_double,
    rates,
)


class Gaussian(NamedTuple):
    """A Gaussian process at some inputs.

    Args:
        mean: of the shape of the outputs.
        covariance: of the shape of a kernel.
    """

    mean: Array
    covariance: Array


def _field(kernel: Any, name: str) -> Any:
    """A kernel by name, from a named tuple, a `Kernel` or a dict; an array stands for whatever is asked."""
    if isinstance(kernel, dict):
        return kernel.get(name)
    return getattr(kernel, name, None) if hasattr(kernel, "nngp") or hasattr(kernel, "ntk") else kernel


def _needed(kernel: Any, name: str, argument: str) -> Any:
    found = _field(kernel, name)
    require(found is not None, argument, f"hold the kernel {name!r}", type(kernel).__name__)
    return found


def _names(get: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    names = ("nngp", "ntk") if get is None else (get,) if isinstance(get, str) else tuple(get)
    for name in names:
        check_choice("get", name, known)
    return names


def _packed(get: Any, made: list[Any], names: tuple[str, ...]) -> Any:
    return made[0] if isinstance(get, str) else _Predictions(**dict(zip(names, made, strict=True)))


class _Predictions(NamedTuple):
    """Predictions by kernel; None where it was not asked for."""

    nngp: Any = None
    ntk: Any = None
    ntkgp: Any = None


def _posterior(
    name: str,
    spectrum: Spectrum,
    rate: Any,
    out: Outputs,
    y: Any,
    cross: Any,
    prior: tuple[Any, Any, Any] | None,
) -> tuple[Any, Any | None]:
    """Mean (n_times, m_test, traced) and covariance (n_times, m_test, m_test), or None.

    Args:
        name: "nngp", "ntk" or "ntkgp".
        spectrum: of the train kernel.
        rate: eta t / n.
        out: layout of the outputs.
        y: targets.
        cross: kernel of test and train inputs.
        prior: covariances of test and train, test and test, train and train inputs; None: no covariance.
    """
    k_td = as_matrix("k_test_train", cross, out.n_free)
    response = spectrum.response(rate)
    mean = k_td[None] @ spectrum.apply(response, out.matrix(y, out.shape[0]))
    if prior is None:
        return mean, None
    c_td, c_tt, c_dd = (None if c is None else as_matrix("the covariance", c, out.n_free) for c in prior)
    if c_tt is None:
        raise ValueError("k_test_test must be given for a covariance, got None.")
    if name != "ntk":
        return mean, c_tt[None] - k_td[None] @ spectrum.apply(spectrum.response(2 * rate), k_td.T)
    if c_td is None or c_dd is None:
        raise ValueError(
            "the covariance of 'ntk' must be given the kernel 'nngp' of all pairs too, got None."
        )
    weights = spectrum.apply(response, k_td.T).swapaxes(1, 2)
    across = weights @ c_td.T[None]
    of_training = weights @ c_dd[None] @ weights.swapaxes(1, 2)
    return mean, c_tt[None] + of_training - across - across.swapaxes(1, 2)


def gp_inference(
    k_train_train: Any,
    y_train: Any,
    diag_reg: float = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: Any = (-1,),
) -> Callable[..., Any]:
    """Posterior of Gaussian processes, as `predict_fn(get, k_test_train, k_test_test)`.

    `get` is "nngp", "ntk", "ntkgp", a tuple of them, or None for the first two. With `k_test_test` a
    `Gaussian` comes back, and the mean without. Without `k_test_train` the training set itself is predicted,
    with the ridge in place.

    Args:
        k_train_train: kernels by name ("nngp", "ntk"), or one array that stands for the one asked for.
        y_train: targets, (n, ...).
        diag_reg: ridge, >= 0, in units of the mean of the kernel's diagonal.
        diag_reg_absolute_scale: the ridge is meant as it is: the variance of noise of the targets.
        trace_axes: axes of the outputs that the kernel does not have.

    Raises:
        ValueError: a kernel that is not symmetric, does not fit the targets or is singular without a ridge.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.wide import predict
    >>> predict_fn = predict.gp_inference(jnp.eye(2), jnp.ones((2, 1)), 1.0, True)
    >>> made = predict_fn("nngp", jnp.array([[1.0, 0.0]]), jnp.ones((1, 1)))
    >>> print(made.mean, made.covariance)
    [[0.5]] [[0.5]]
    """
    return _predictor(k_train_train, y_train, 1.0, diag_reg, diag_reg_absolute_scale, trace_axes)


def _predictor(
    k_train_train: Any, y_train: Any, eta: float, diag_reg: float, absolute: bool, trace_axes: Any
) -> Callable[..., Any]:
    out = Outputs(y_train, trace_axes)

    def spectrum_of(name: str) -> Callable[[], Spectrum]:
        kernel = "nngp" if name == "nngp" else "ntk"
        return in_scope(
            lambda: of_train(_needed(k_train_train, kernel, "k_train_train"), out, diag_reg, absolute)
        )

    spectra = {name: spectrum_of(name) for name in ("nngp", "ntk", "ntkgp")}

    def predict_fn(get: Any = None, k_test_train: Any = None, k_test_test: Any = None, t: Any = None) -> Any:
        names = _names(get, ("nngp", "ntk", "ntkgp"))
        cross_all = k_train_train if k_test_train is None else k_test_train

        @in_double
        def one(name: str, cross: Any, prior: Any, t: Any, y: Any) -> Any:
            spectrum = spectra[name]()
            rate, times = rates(t, eta, int(np.prod(out.shape)))
            if t is None or (spectrum.known and bool(np.isinf(np.asarray(rate)).any())):
                spectrum.check_invertible()
            mean, covariance = _posterior(name, spectrum, rate, out, y, cross, prior)
            n_test = np.shape(cross)[0]
            mean = out.array(mean.reshape(*times, *mean.shape[1:]), n_test)
            if covariance is None:
                return mean
            shape = out.free_shape(n_test)
            covariance = covariance.reshape(*times, *covariance.shape[1:])
            return Gaussian(mean, as_kernel(covariance, shape, shape))

        made = []
        for name in names:
            first = "ntk" if name == "ntkgp" else name
            cross = _needed(cross_all, first, "k_test_train")
            prior = None
            if k_test_test is not None:
                of_prior = "nngp" if name != "ntkgp" else "ntk"
                test = k_train_train if k_test_train is None else k_test_test
                named = name != "ntk" or not hasattr(cross_all, "shape")
                require(
                    named, "k_test_train", "hold 'nngp' beside 'ntk' for the covariance of 'ntk'", "an array"
                )
                prior = tuple(_field(k, of_prior) for k in (cross_all, test, k_train_train))
            made.append(one(name, cross, prior, t, y_train))
        return _packed(get, made, names)

    return predict_fn


def gradient_descent_mse_ensemble(
    kernel_fn: Callable[..., Any],
    x_train: Any,
    y_train: Any,
    learning_rate: float = 1.0,
    diag_reg: float = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: Any = (-1,),
    **kernel_fn_train_train_kwargs: Any,
) -> Callable[..., Any]:
    """Ensembles during training, as `predict_fn(t, x_test, get, compute_cov, **kernel_fn_test_kwargs)`.

    t is a time or an array of times, None infinity; x_test None is the training set; get is as for
    `gp_inference`; `compute_cov` gives a `Gaussian` in place of the mean. The unit of t is that of
    `gradient_descent_mse`.

    Args:
        kernel_fn: `kernel_fn(x1, x2, get)` -> kernels by name, as a network's `kernel_fn`.
        x_train: inputs.
        y_train: targets, (n, ...).
        learning_rate: eta > 0.
        diag_reg: ridge, >= 0, in units of the mean of the kernel's diagonal.
        diag_reg_absolute_scale: the ridge is meant as it is.
        trace_axes: axes of the outputs that the kernel does not have.
        kernel_fn_train_train_kwargs: handed to kernel_fn with the training set.

    Raises:
        ValueError: as `gp_inference`.
    """
    eta = check_real("learning_rate", learning_rate, 0, open_low=True)
    known: dict[tuple[str, ...], Callable[..., Any]] = {}
    trained: dict[tuple[str, ...], Any] = {}

    def predict_fn(
        t: Any = None, x_test: Any = None, get: Any = None, compute_cov: bool = False, **test_kwargs: Any
    ) -> Any:
        names = _names(get, ("nngp", "ntk"))
        wanted = tuple(n for n in ("nngp", "ntk") if n in names or (n == "nngp" and compute_cov))
        if wanted not in known:
            trained[wanted] = kernel_fn(x_train, None, wanted, **kernel_fn_train_train_kwargs)
            known[wanted] = _predictor(
                trained[wanted], y_train, eta, diag_reg, diag_reg_absolute_scale, trace_axes
            )
        cross = None if x_test is None else kernel_fn(x_test, x_train, wanted, **test_kwargs)
        test = None
        if compute_cov:
            whole = (
                kernel_fn(x_test, None, ("nngp",), **test_kwargs) if x_test is not None else trained[wanted]
            )
            test = whole
        return known[wanted](get, cross, test, t)

    return predict_fn
