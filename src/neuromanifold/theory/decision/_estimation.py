"""How well a hidden state is known before, at, and after the event: steady states of a linear model.

    x_{t+1} = A x_t + w_t,  w ~ N(0, Q)        y_t = C x_t + v_t,  v ~ N(0, R)

    before   P = A (P - P C^T S^{-1} C P) A^T + Q,  S = C P C^T + R        Riccati's equation
    at       F = P - P C^T S^{-1} C P
    after    S_0 = F,  S_{L+1} = F + J (S_L - P) J^T,  J = F A^T P^{-1}     L observations later
    all      S_inf = (1/2 pi) int_{-pi}^{pi} [Phi - Phi C^* (C Phi C^* + R)^{-1} C Phi] dw

with Phi(w) = (e^{iw} - A)^{-1} Q (e^{iw} - A)^{-*} the spectrum of x. S_L falls strictly with L to S_inf
where observations tell of the state.

Source: Kalman 1960, J. Basic Eng. 82:35; Rauch, Tung and Striebel 1965, AIAA J. 3:1445; Wiener 1949.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad_vec
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from neuromanifold._base import check_finite, check_integer, require


class SteadyState(NamedTuple):
    """Covariances of the error of the hidden state in the steady state, each (n_states, n_states).

    Args:
        prediction: P, from the past.
        filtering: F, from past and present.
        smoothing: S_inf, from past, present and future.
    """

    prediction: NDArray[np.float64]
    filtering: NDArray[np.float64]
    smoothing: NDArray[np.float64]


def steady_state(
    transition: ArrayLike, output: ArrayLike, process_noise: ArrayLike, output_noise: ArrayLike
) -> SteadyState:
    """Error covariances before, at and long after the event.

    Args:
        transition: A, (n_states, n_states).
        output: C, (n_outputs, n_states).
        process_noise: Q, symmetric, positive semidefinite; P must come out positive definite.
        output_noise: R, symmetric, positive definite.

    Raises:
        ValueError: shapes that disagree, or noises that are no covariances.

    >>> from neuromanifold.theory.decision import steady_state
    >>> [round(float(v[0, 0]), 6) for v in steady_state([[0.9]], [[1.0]], [[0.19]], [[0.5]])]
    [0.359359, 0.209086, 0.152312]
    """
    a, c, q, r = _checked(transition, output, process_noise, output_noise)
    p = np.asarray(solve_discrete_are(a.T, c.T, q, r))
    f = _updated(p, c, r)
    j = _gain(a, p, f)
    return SteadyState(p, f, np.asarray(solve_discrete_lyapunov(j, f - j @ p @ j.T)))


def lag_covariances(
    transition: ArrayLike, output: ArrayLike, process_noise: ArrayLike, output_noise: ArrayLike, lag: int
) -> NDArray[np.float64]:
    """Error covariances S_0 ... S_lag after lags 0 ... lag, shape (lag + 1, n_states, n_states).

    Args:
        transition: see `steady_state`.
        output: see `steady_state`.
        process_noise: see `steady_state`.
        output_noise: see `steady_state`.
        lag: observations after the event, >= 0.

    Raises:
        ValueError: a negative lag, or see `steady_state`.

    >>> from neuromanifold.theory.decision import lag_covariances
    >>> lag_covariances([[0.9]], [[1.0]], [[0.19]], [[0.5]], 4).ravel().round(6).tolist()
    [0.209086, 0.16788, 0.156581, 0.153483, 0.152633]
    """
    lag = check_integer("lag", lag, 0)
    p, f, s = steady_state(transition, output, process_noise, output_noise)
    j = _gain(check_finite("transition", transition).astype(np.float64), p, f)
    # S_L = S_inf + J^L (F - S_inf) J^L^T, the recursion in one.
    powers = [np.linalg.matrix_power(j, k) for k in range(lag + 1)]
    return np.stack([s + m @ (f - s) @ m.T for m in powers])


def wiener_covariance(
    transition: ArrayLike, output: ArrayLike, process_noise: ArrayLike, output_noise: ArrayLike
) -> NDArray[np.float64]:
    """S_inf once more, by the integral over frequencies; A must be stable.

    Args:
        transition: see `steady_state`; its eigenvalues inside the unit circle.
        output: see `steady_state`.
        process_noise: see `steady_state`.
        output_noise: see `steady_state`.

    Raises:
        ValueError: an unstable A, or see `steady_state`.
    """
    a, c, q, r = _checked(transition, output, process_noise, output_noise)
    radius = float(np.abs(np.linalg.eigvals(a)).max())
    require(radius < 1, "transition", "have eigenvalues inside the unit circle", radius)

    def density(w: float) -> NDArray[np.float64]:
        inverse = np.linalg.inv(np.exp(1j * w) * np.eye(len(a)) - a)
        phi = inverse @ q @ inverse.conj().T
        seen = c @ phi
        return np.real(phi - seen.conj().T @ np.linalg.solve(seen @ c.T + r, seen))

    value, _ = quad_vec(density, 0.0, np.pi, epsabs=1e-12, epsrel=1e-12)
    return np.asarray(value) / np.pi


def _updated(p: np.ndarray, c: np.ndarray, r: np.ndarray) -> np.ndarray:
    return p - p @ c.T @ np.linalg.solve(c @ p @ c.T + r, c @ p)


def _gain(a: np.ndarray, p: np.ndarray, f: np.ndarray) -> np.ndarray:
    return np.linalg.solve(p, a @ f).T


def _checked(*matrices: ArrayLike) -> tuple[np.ndarray, ...]:
    names = ("transition", "output", "process_noise", "output_noise")
    a, c, q, r = (check_finite(n, m).astype(np.float64) for n, m in zip(names, matrices, strict=True))
    n, m = len(np.atleast_2d(a)), len(np.atleast_2d(c))
    for name, matrix, shape in zip(names, (a, c, q, r), ((n, n), (m, n), (n, n), (m, m)), strict=True):
        require(matrix.shape == shape, name, f"have shape {shape}", matrix.shape)
    for name, matrix, definite in (("process_noise", q, False), ("output_noise", r, True)):
        least = float(np.linalg.eigvalsh(matrix)[0])
        good = np.allclose(matrix, matrix.T) and (least > 0 if definite else least >= -1e-12)
        word = "definite" if definite else "semidefinite"
        require(good, name, f"be symmetric and positive {word}", matrix.tolist())
    return a, c, q, r
