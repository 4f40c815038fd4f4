"""Recall from a family at a finite temperature with few patterns: overlaps in time, exact for many units.

Hebb's memory of a finite number of patterns in families of s children, N -> infinity. All units are updated
at once by the heat bath, P(x_i = +1) = 1 / (1 + exp(-2 beta h_i)), from a cue of overlap m_0 with one child
and random otherwise. Other families keep overlap zero, fluctuations are of the order 1/sqrt(N), and

    m_v(t + 1) = << xi_v tanh(beta S(t)) >>,     S = sum_v m_v xi_v,     m(0) = (m_0, b^2 m_0, ..., b^2 m_0),

<< >> over the children of a unit. By symmetry all siblings of the child have one overlap. The common mode of
the family grows at first by beta (1 + (s - 1) b^2) a step, its differences by beta (1 - b^2) alone: at weak
cues the family is recalled before the child. A unit whose children have given signs fires with probability
(1 + tanh(beta S))/2 in the next step, whatever the other units do.

Source: Amari 1974, Kybernetik 14:201 (macroscopic equations); Toya, Fukushima, Kabashima and Okada 2000,
J. Phys. A 33:2725 (families).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key
from numpy.typing import NDArray
from scipy.stats import binom

from neuromanifold._base import check_integer, check_real
from neuromanifold.dynamics import Process, run


class FamilyOverlaps(NamedTuple):
    """Overlaps with the child that is recalled and with each sibling."""

    child: Float[Array, ""]
    sibling: Float[Array, ""]


class ThermalFamily(eqx.Module):
    """The macroscopic law of a family at inverse temperature beta; see the module's header.

    Args:
        b: correlation of child and parent, in [0, 1].
        s: children of the family, >= 2.
        beta: inverse temperature, > 0.

    Raises:
        ValueError: an argument outside its range.
    """

    b: Float[Array, ""]
    beta: Float[Array, ""]
    s: int = eqx.field(static=True)

    def __init__(self, b: float, s: int, beta: float):
        self.b = jnp.asarray(check_real("b", b, 0, 1), jnp.result_type(float))
        self.s = check_integer("s", s, 2)
        self.beta = jnp.asarray(check_real("beta", beta, 0, open_low=True), jnp.result_type(float))

    def process(self) -> Process:
        """The process; it begins with the overlap m_0 of the cue with the child."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""] | None, overlap: Any) -> FamilyOverlaps:
        """The overlaps of a cue."""
        del key
        if not isinstance(overlap, Tracer):
            check_real("overlap", overlap, -1, 1)
        m = jnp.asarray(overlap, self.b.dtype)
        return FamilyOverlaps(m, self.b**2 * m)

    def step(self, key: Any, t: Any, state: FamilyOverlaps) -> tuple[FamilyOverlaps, None]:
        """One update of all units."""
        del key, t
        n = self.s - 1
        plus = jnp.arange(self.s, dtype=self.b.dtype)
        # A parent of +1 is enough: both averages are even in its sign.
        high = (1 + self.b) / 2
        log_ways = jnp.asarray(binom.logpmf(np.arange(self.s), n, 0.5) + n * np.log(2.0), self.b.dtype)
        weight = jnp.exp(log_ways) * high**plus * (1 - high) ** (n - plus)
        others = 2 * plus - n
        up = jnp.tanh(self.beta * (state.child + state.sibling * others))
        down = jnp.tanh(self.beta * (-state.child + state.sibling * others))
        child = weight @ (high * up - (1 - high) * down)
        sibling = weight @ (others / n * (high * up + (1 - high) * down))
        return FamilyOverlaps(child, sibling), None


class FamilyRecallCurve(NamedTuple):
    """Recall in time.

    Args:
        child: overlap with the child recalled, shape (n_steps + 1,).
        sibling: overlap with each sibling, shape (n_steps + 1,).
        activity: mean of a unit, tanh(beta S), at each step, for each kind of unit, and for each child as the
            one recalled, shape (n_steps + 1, s + 1, s); kind k has the first k children +1 and the rest -1.
        share: of each kind of unit, shape (s + 1,).
    """

    child: NDArray[np.float64]
    sibling: NDArray[np.float64]
    activity: NDArray[np.float64]
    share: NDArray[np.float64]


def family_recall(b: float, s: int, beta: float, overlap: float, n_steps: int) -> FamilyRecallCurve:
    """Overlaps and activities during recall of a child from a cue, in float64.

    Which children of a unit are +1 does not matter to anything symmetric in them, so that s + 1 kinds of unit
    stand for all 2^s.

    Args:
        b: correlation of child and parent, in [0, 1].
        s: children of the family, >= 2.
        beta: inverse temperature, > 0.
        overlap: m_0 of the cue with the child, in [-1, 1].
        n_steps: updates, >= 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import family_recall
    >>> found = family_recall(0.25, 4, 1 / 0.6, 0.1, 24)
    >>> found.child[[0, 3, 24]].round(2).tolist(), found.sibling[[0, 3, 24]].round(2).tolist()
    ([0.1, 0.44, 0.9], [0.01, 0.11, 0.09])
    """
    with jax.enable_x64(True):
        law = ThermalFamily(b, s, beta)
        made = run(
            law.process(), jax.random.key(0), check_real("overlap", overlap, -1, 1), n_steps, observe=_watch
        )
    child, sibling = (np.asarray(values, np.float64) for values in made.values)
    kinds = np.arange(s + 1)
    signs = np.where(np.arange(s)[None] < kinds[:, None], 1.0, -1.0)
    total = signs.sum(1)
    fields = child[:, None, None] * signs + sibling[:, None, None] * (total[:, None] - signs)[None]
    share = (binom.pmf(kinds, s, (1 + b) / 2) + binom.pmf(kinds, s, (1 - b) / 2)) / 2
    return FamilyRecallCurve(child, sibling, np.tanh(beta * fields), share)


def _watch(state: FamilyOverlaps) -> FamilyOverlaps:
    return state
