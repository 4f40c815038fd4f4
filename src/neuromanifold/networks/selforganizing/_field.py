"""A neural field on a ring: positions that excite their neighbours and inhibit those further off.

    du/dt (x) = -u(x) + integral K(x - y) f(u(y)) dy + h + s(x)

u is the field's potential, h its resting level, s an input. The ring is cut into n positions; the integral
is a sum over them, by Fourier transform. K must be even and fade within half of the ring, and the grid must
resolve its excitatory part. With a step for f, excitation of one width may last: the bumps of
`theory.selforganizing.bump_widths`.

Symbols: K kernel, h resting level. Time: the time constant of the field.

Source: Amari 1977, Biol. Cybern. 27:77.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Flow
from neuromanifold.networks.selforganizing._response import Response, step

# Share of the kernel's absolute integral that may lie beyond half of the ring.
_LEAST_TAIL = 1e-3


class NeuralField(eqx.Module):
    """A field on a ring; see the module's header.

    Args:
        kernel: K(x) for arrays x, even, of a finite integral.
        resting: h.
        length: of the ring, > 0.
        n_units: positions, >= 8; their spacing must be at most a third of the distance at which K falls to 0.
        response: f; a step where None.

    Raises:
        ValueError: an argument outside its range; a kernel that is not even, or not summable on the ring; a
            grid too coarse.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.dynamics import solve
    >>> from neuromanifold.networks.selforganizing import NeuralField
    >>> def hat(x):
    ...     return 3 * jnp.exp(-(x**2) / 2) - 1.5 * jnp.exp(-(x**2) / 8)
    >>> field = NeuralField(hat, resting=-0.5, length=20.0, n_units=400)
    >>> grown = solve(field.flow(), field.excited(1.0), [0.0, 20.0], dt=0.1).states[-1]
    >>> bool(abs(field.width(grown) - 2.983) < 2 * field.spacing)
    True
    """

    transform: Array
    resting: Float[Array, ""]
    response: Response
    length: float = eqx.field(static=True)
    n_units: int = eqx.field(static=True)

    def __init__(
        self,
        kernel: Callable[[Any], Any],
        resting: float,
        length: float,
        n_units: int,
        response: Response | None = None,
    ):
        self.length = check_real("length", length, 0.0, open_low=True)
        self.n_units = n = check_integer("n_units", n_units, 8)
        self.resting = jnp.asarray(check_real("resting", resting), jnp.result_type(float))
        self.response = step() if response is None else response
        spacing = self.length / n
        index = np.arange(n)
        distance = spacing * np.minimum(index, n - index)
        values = check_finite("kernel", np.asarray(kernel(jnp.asarray(distance)), np.float64))
        mirrored = np.asarray(kernel(jnp.asarray(-distance)), np.float64)
        scale = float(np.abs(values).max())
        require(np.abs(values - mirrored).max() <= 1e-5 * scale, "kernel", "be even", "one that is not")
        # A kernel that cannot be summed has most of its weight far away.
        far = np.linspace(0, 8 * self.length, 16 * n + 1)
        weight = np.abs(np.asarray(kernel(jnp.asarray(far)), np.float64))
        tail = float(weight[far > self.length / 2].sum() / max(weight.sum(), 1e-300))
        require(
            tail <= _LEAST_TAIL,
            "kernel",
            "be summable, and fade within half of the length",
            f"a tail of {tail:.2g}",
        )
        if values[0] > 0 and (values < 0).any():
            reach = float(distance[: n // 2 + 1][np.argmax(values[: n // 2 + 1] < 0)])
            fine = np.linspace(0, reach, 2001)
            zero = float(fine[np.argmax(np.asarray(kernel(jnp.asarray(fine))) < 0)])
            rule = f"be at most a third of the excitatory width, {zero / 3:g}"
            require(spacing <= zero / 3, "length / n_units", rule, spacing)
        self.transform = jnp.asarray(np.fft.rfft(values) * spacing, jnp.result_type(complex))

    @property
    def spacing(self) -> float:
        """Distance of neighbouring positions."""
        return self.length / self.n_units

    @property
    def positions(self) -> np.ndarray:
        """Positions from -length/2 on, shape (n_units,)."""
        return self.length * (np.arange(self.n_units) / self.n_units - 0.5)

    def excited(self, width: float, level: float = 1.0) -> Float[Array, " n_units"]:
        """A start: `level` within an interval of a width about 0, and minus that elsewhere.

        Args:
            width: in (0, length).
            level: > 0.

        Raises:
            ValueError: an argument outside its range.
        """
        width = check_real("width", width, 0.0, self.length, open_low=True, open_high=True)
        level = check_real("level", level, 0.0, open_low=True)
        inside = np.abs(self.positions + self.spacing / 2) < width / 2
        return jnp.asarray(np.where(inside, level, -level), self.resting.dtype)

    def width(self, potential: Float[Array, "... n_units"]) -> np.ndarray:
        """Total length of where the potential is above zero."""
        return np.asarray(np.asarray(potential > 0).sum(-1) * self.spacing)

    def lateral(self, activity: Float[Array, "... n_units"]) -> Float[Array, "... n_units"]:
        """Integral K(x - y) h(y) dy at every position."""
        spectrum = jnp.fft.rfft(activity, axis=-1)
        kept = self.transform.reshape((1,) * (activity.ndim - 1) + (-1,))
        return jnp.fft.irfft(spectrum * kept, self.n_units, axis=-1).astype(activity.dtype)

    def flow(self, stimulus: Any = 0.0) -> Flow:
        """The field's motion under an input; states of shape (..., n_units) move side by side.

        Args:
            stimulus: s, a number or shape (n_units,).

        Raises:
            ValueError: another shape, or a value that is not finite.
        """
        values = check_finite("stimulus", stimulus)
        require(
            values.shape in ((), (self.n_units,)), "stimulus", f"have shape ({self.n_units},)", values.shape
        )
        drive = jnp.broadcast_to(jnp.asarray(values, self.resting.dtype), (self.n_units,))
        return Flow(_Driven(self, drive + self.resting).velocity)


class _Driven(eqx.Module):
    field: NeuralField
    drive: Float[Array, " n_units"]

    def velocity(self, t: Any, u: Array) -> Array:
        del t
        drive = self.drive.astype(u.dtype).reshape((1,) * (u.ndim - 1) + (-1,))
        return self.field.lateral(self.field.response(u)) + drive - u
