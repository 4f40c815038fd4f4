"""Sparse coding: a picture as few atoms of a dictionary.

    E(a; x) = (1/2) |x - a Phi|^2 + lambda sum_i |a_i|,   atoms Phi_i with |Phi_i| <= 1

Three ways down to the same code, G = Phi Phi^T, b = x Phi^T, L the largest eigenvalue of G, and
S(u) = sgn(u) max(|u| - lambda, 0):

    ISTA    a <- S_{lambda/L}(a - (a G - b)/L)                          E - E* <= L |a*|^2 / (2 k)
    FISTA   the same at y = a + ((s - 1)/s') (a - a_before),
            s' = (1 + sqrt(1 + 4 s^2))/2                                E - E* <= 2 L |a*|^2 / (k + 1)^2
    LCA     tau du/dt = b - a G - (u - a),  a = S_lambda(u)             units that inhibit each other

k steps begun at a = 0. A code is optimal where each |b - a G| <= lambda, with equality and the sign of a_i
where a_i is not zero; `violation` says by how much it is not.

Symbols: Phi dictionary, a codes, lambda penalty, tau time constant (time is in units of it).

Source: Olshausen and Field 1996, Nature 381:607; Daubechies, Defrise and De Mol 2004; Beck and Teboulle 2009,
SIAM J. Imaging Sci. 2:183, theorems 3.1 and 4.4; Rozell, Johnson, Baraniuk and Olshausen 2008, Neural Comput.
20:2526.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Flow, Process

METHODS = ("ista", "fista")


class SparseCode(eqx.Module):
    """A dictionary with the penalty on its codes; see the module's header.

    Args:
        dictionary: Phi, one atom a row, norms at most 1, shape (n_atoms, n_features).
        penalty: lambda > 0.

    Raises:
        ValueError: a dictionary that is no finite matrix or has an atom longer than 1; a penalty that is not
            positive.

    >>> import jax
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.generative import SparseCode, inference
    >>> code = SparseCode([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], penalty=0.1)
    >>> found = run(inference(code, [1.2, 1.6]), jax.random.key(0), None, 100).state.codes
    >>> [f"{a:.3f}" for a in found]    # the third atom alone, shortened by the penalty
    ['0.000', '0.000', '1.900']
    """

    dictionary: Float[Array, "n_atoms n_features"]
    penalty: Float[Array, ""]

    def __init__(self, dictionary: Any, penalty: float) -> None:
        if not isinstance(dictionary, Tracer):
            atoms = check_finite("dictionary", dictionary)
            require(atoms.ndim == 2, "dictionary", "have shape (n_atoms, n_features)", atoms.shape)
            longest = float(np.sqrt(np.max(np.sum(np.square(atoms, dtype=np.float64), 1))))
            require(longest <= 1 + 1e-5, "dictionary", "have no atom longer than 1", longest)
        self.dictionary = jnp.asarray(dictionary, jnp.result_type(float))
        value = check_real("penalty", penalty, 0, open_low=True)
        self.penalty = jnp.asarray(value, jnp.result_type(float))

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return self.dictionary.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features of a datum."""
        return self.dictionary.shape[1]

    @property
    def curvature(self) -> Float[Array, ""]:
        """L, the largest eigenvalue of Phi Phi^T, which is that of Phi^T Phi."""
        phi = self.dictionary
        smaller = phi @ phi.T if self.n_atoms <= self.n_features else phi.T @ phi
        return jnp.maximum(jnp.linalg.eigvalsh(smaller)[-1], jnp.finfo(phi.dtype).tiny)

    def decode(self, codes: Float[Array, "*data n_atoms"]) -> Float[Array, "*data n_features"]:
        """A Phi, the data that codes stand for."""
        return codes @ self.dictionary

    def energy(
        self, data: Float[Array, "*data n_features"], codes: Float[Array, "*data n_atoms"]
    ) -> Float[Array, "*data"]:
        """E(a; x)."""
        rest = data - self.decode(codes)
        return 0.5 * jnp.sum(rest**2, -1) + self.penalty * jnp.sum(jnp.abs(codes), -1)

    def violation(
        self, data: Float[Array, "*data n_features"], codes: Float[Array, "*data n_atoms"]
    ) -> Float[Array, "*data"]:
        """The largest distance of b - a G from lambda times a subgradient of |a_i|; 0 at the optimum."""
        pull = (data - self.decode(codes)) @ self.dictionary.T
        off = jnp.maximum(jnp.abs(pull) - self.penalty, 0.0)
        return jnp.max(jnp.where(codes == 0, off, jnp.abs(pull - self.penalty * jnp.sign(codes))), -1)

    def infer(self, data: Float[Array, "*data n_features"], n_steps: int) -> Float[Array, "*data n_atoms"]:
        """Codes after some steps of FISTA from 0, within another program."""
        process = _Inference.of(self, data, "fista")
        start = process.init(None, None)
        return jax.lax.fori_loop(0, n_steps, lambda k, now: process.step(None, k, now)[0], start).codes


def soft_threshold(values: Array, threshold: Any) -> Array:
    """S(u) = sgn(u) max(|u| - threshold, 0)."""
    return jnp.sign(values) * jnp.maximum(jnp.abs(values) - threshold, 0.0)


class InferenceState(NamedTuple):
    """What the next step needs.

    Args:
        codes: a.
        ahead: y, where the next gradient is taken; for ISTA a itself.
        weight: s, which grows with the steps; for ISTA 1.
    """

    codes: Float[Array, "*data n_atoms"]
    ahead: Float[Array, "*data n_atoms"]
    weight: Float[Array, ""]


class _Inference(eqx.Module):
    code: SparseCode
    data: Array
    gram: Array
    drive: Array
    curvature: Array
    method: str = eqx.field(static=True)

    @classmethod
    def of(cls, code: SparseCode, data: Array, method: str) -> _Inference:
        phi = code.dictionary
        return cls(code, data, phi @ phi.T, data @ phi.T, code.curvature, method)

    def init(self, key: Any, codes: Any) -> InferenceState:
        del key
        shape = self.drive.shape
        start = jnp.zeros(shape, self.drive.dtype) if codes is None else jnp.asarray(codes, self.drive.dtype)
        require(start.shape == shape, "codes", f"have shape {shape}", start.shape)
        return InferenceState(start, start, jnp.ones((), start.dtype))

    def step(self, key: Any, t: Int[Array, ""], now: InferenceState) -> tuple[InferenceState, None]:
        del key, t
        slope = now.ahead @ self.gram - self.drive
        codes = soft_threshold(now.ahead - slope / self.curvature, self.code.penalty / self.curvature)
        if self.method == "ista":
            return InferenceState(codes, codes, now.weight), None
        weight = 0.5 * (1.0 + jnp.sqrt(1.0 + 4.0 * now.weight**2))
        ahead = codes + (now.weight - 1.0) / weight * (codes - now.codes)
        return InferenceState(codes, ahead, weight), None

    def energy(self, now: InferenceState) -> Array:
        """Of all data together."""
        return jnp.sum(self.code.energy(self.data, now.codes))


def inference(code: SparseCode, data: Any, method: str = "fista") -> Process:
    """The process that finds codes of data, begun with codes, or with None for zeros.

    Of the process with method "ista", `descends` is the energy; FISTA may raise it on the way.

    Args:
        code: dictionary and penalty.
        data: shape (..., n_features).
        method: "fista" or "ista".

    Raises:
        ValueError: an unknown method, or data of another number of features or not finite.
    """
    check_choice("method", method, METHODS)
    module = _Inference.of(code, _data(code, data), method)
    return Process(module.init, module.step, descends=module.energy if method == "ista" else None)


class _Competition(eqx.Module):
    code: SparseCode
    gram: Array
    drive: Array

    def velocity(self, t: Any, potentials: Array) -> Array:
        del t
        codes = soft_threshold(potentials, self.code.penalty)
        return self.drive - codes @ self.gram - (potentials - codes)


def locally_competitive(code: SparseCode, data: Any) -> Flow:
    """The flow of potentials u, shape (..., n_atoms), whose rest is u with a = S_lambda(u) optimal.

    Args:
        code: dictionary and penalty.
        data: shape (..., n_features).

    Raises:
        ValueError: data of another number of features or not finite.
    """
    values, phi = _data(code, data), code.dictionary
    return Flow(velocity=_Competition(code, phi @ phi.T, values @ phi.T).velocity)


def sparse_codes(code: SparseCode, data: Any, n_steps: int = 100) -> Float[Array, "*data n_atoms"]:
    """Codes of data after a number of steps of FISTA.

    Args:
        code: dictionary and penalty.
        data: shape (..., n_features).
        n_steps: steps, >= 1.

    Raises:
        ValueError: no step, or data of another number of features or not finite.
    """
    return _infer(code, _data(code, data), check_integer("n_steps", n_steps, 1))


@eqx.filter_jit
def _infer(code: SparseCode, data: Array, n_steps: int) -> Array:
    return code.infer(data, n_steps)


def _data(code: SparseCode, data: Any) -> Array:
    if not isinstance(data, Tracer):
        data = check_finite("data", data)
    values = jnp.asarray(data, code.dictionary.dtype)
    fits = values.ndim >= 1 and values.shape[-1] == code.n_features
    require(fits, "data", f"have shape (..., {code.n_features})", values.shape)
    return values
