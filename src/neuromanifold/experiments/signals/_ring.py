"""Convolutional networks on a ring: a perturbation at one position, and its Fourier modes layer by layer.

    x'(p) = phi(sum_o W(o) x(p + o) + b),   W_ij(o) ~ N(0, sigma_w^2 / (w n)),   b_i ~ N(0, sigma_b^2)

with n channels and a window of w = 2 h + 1 positions. Two inputs that differ at position 0 alone have squared
distances D(p) whose Fourier modes, sum_p D(p) cos(2 pi k p / P), all begin equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold.dynamics import Process


class RingLayers(eqx.Module):
    """The layers, as moves of several signals at once; a signal has shape (positions, channels)."""

    phi: Callable[[Any], Any] = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]
    half_width: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], signals: Any) -> Float[Array, "inputs positions n"]:
        """Start from signals as they are."""
        del key
        return jnp.asarray(signals)

    def step(
        self, key: Key[Array, ""], t: Any, signals: Float[Array, "inputs positions n"]
    ) -> tuple[Float[Array, "inputs positions n"], None]:
        """The next layer, with weights of its own that all positions share."""
        del t
        n, offsets = signals.shape[-1], range(-self.half_width, self.half_width + 1)
        normal = jax.random.normal(key, (len(offsets) * n + 1, n), signals.dtype)
        # What lies at p + o comes to p.
        around = jnp.concatenate([jnp.roll(signals, -offset, axis=1) for offset in offsets], axis=-1)
        scale = self.sigma_w.astype(signals.dtype) / np.sqrt(len(offsets) * n).astype(signals.dtype)
        u = scale * (around @ normal[1:]) + self.sigma_b.astype(signals.dtype) * normal[None, None, 0]
        return self.phi(u), None


def ring_network(phi: Callable[[Any], Any], sigma_w: float, sigma_b: float, half_width: int) -> Process:
    """Convolutional layers on a ring as a process whose state is (inputs, positions, channels)."""
    layers = RingLayers(phi, jnp.asarray(sigma_w), jnp.asarray(sigma_b), half_width)
    return Process(layers.init, layers.step)


def perturbed_at_one_position(
    key: Key[Array, ""], n_positions: int, n_channels: int, n_directions: int, activity: float, share: float
) -> Float[np.ndarray, "inputs positions n"]:
    """A signal and copies of it that differ at position 0; of one activity everywhere.

    Args:
        key: of the directions.
        n_positions: P.
        n_channels: n >= P + n_directions.
        n_directions: copies.
        activity: A of every position of every signal.
        share: squared distance of the copies at position 0 over A, between 0 and 2.
    """
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    frame = np.linalg.qr(random.standard_normal((n_channels, n_positions + n_directions)))[0].T
    frame *= np.sqrt(activity * n_channels)
    c = 1.0 - 0.5 * share
    signals = np.repeat(frame[None, :n_positions], n_directions + 1, axis=0)
    signals[1:, 0] = c * frame[0] + np.sqrt(1.0 - c**2) * frame[n_positions:]
    return signals.astype(np.float32)


def distance_modes(signals: Float[Array, "inputs positions n"]) -> Float[Array, " modes"]:
    """Fourier modes 0 ... P/2 along the ring of the squared distance over n from the first signal."""
    distance = jnp.mean((signals[1:] - signals[:1]) ** 2, axis=(0, 2))
    return jnp.real(jnp.fft.rfft(distance))
