"""Continuous modern Hopfield memory: real-valued patterns, recalled by an update that is attention.

    x <- sum_mu p_mu xi^mu,     p = softmax(beta Xi x),
    E = -(1/beta) ln sum_mu exp(beta xi^mu . x) + x . x/2 + (ln P)/beta + M^2/2,     M = max_mu |xi^mu|.

No update raises E: with the convex and the concave part of E apart, it is the step of the concave-convex
procedure. E lies in [0, 2 M^2] for x in the hull of the patterns. What an update ends in is told by the
weights p: one pattern (large beta), the mean of a few that lie near each other (metastable), or the mean of
all (small beta).

Symbols: P patterns of d components, beta inverse temperature, p weights. Time: updates.

Source: Ramsauer et al. 2021, ICLR, arXiv 2008.02217 (equations 2 and 3, theorems 1 to 5).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int

from neuromanifold._base import check_finite, check_real, require
from neuromanifold.dynamics import Process

KINDS = ("pattern", "metastable", "global")


class ModernInfo(NamedTuple):
    """Diagnostics of an update.

    Args:
        moved: length of the change of the state, for each cue.
    """

    moved: Float[Array, "*cues"]


class ModernHopfield(eqx.Module):
    """Memory of P real-valued patterns of d components; see the module's header.

    Args:
        patterns: shape (n_patterns, n_components), finite.
        beta: inverse temperature > 0; an array of shape (...) broadcasts against the shape of the cues.

    Raises:
        ValueError: patterns that are no finite matrix; beta that is not positive and finite.

    >>> import jax
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.memory import ModernHopfield
    >>> patterns = jax.random.normal(jax.random.key(0), (1000, 64))
    >>> memory = ModernHopfield(patterns, beta=1.0)
    >>> cue = patterns[0] + 0.3 * jax.random.normal(jax.random.key(1), (64,))
    >>> recalled = run(memory.process(), jax.random.key(2), cue, 1).state
    >>> bool(abs(recalled - patterns[0]).max() < 1e-3), memory.kind(recalled)
    (True, array('pattern', dtype='<U10'))
    """

    patterns: Float[Array, "n_patterns n_components"]
    beta: Float[Array, "..."]

    def __init__(self, patterns: Any, beta: ArrayLike):
        shape = np.shape(patterns)
        require(
            len(shape) == 2 and min(shape) >= 1, "patterns", "have shape (n_patterns, n_components)", shape
        )
        if not isinstance(patterns, Tracer):
            check_finite("patterns", patterns)
        if not isinstance(beta, Tracer):
            values = check_finite("beta", beta)
            require(np.all(values > 0), "beta", "be > 0", beta)
        real = jnp.result_type(patterns, jnp.float32)
        self.patterns = jnp.asarray(patterns, real)
        self.beta = jnp.asarray(beta, real)

    @property
    def n_patterns(self) -> int:
        """Number of patterns P."""
        return self.patterns.shape[0]

    @property
    def n_components(self) -> int:
        """Number of components d."""
        return self.patterns.shape[1]

    def process(self) -> Process:
        """The process of recall; it begins with cues of shape (..., n_components), which move together."""
        return Process(self.start, self.step, descends=self.energy)

    def start(self, key: Any, cue: Any) -> Float[Array, "*cues n_components"]:
        """A cue as a state.

        Raises:
            ValueError: another number of components, or one that is not finite.
        """
        del key
        shape, n = np.shape(cue), self.n_components
        require(len(shape) >= 1 and shape[-1] == n, "cue", f"have {n} components on its last axis", shape)
        if not isinstance(cue, Tracer):
            check_finite("cue", cue)
        return jnp.asarray(cue, self.patterns.dtype)

    def step(
        self, key: Any, t: Any, state: Float[Array, "*cues n_components"]
    ) -> tuple[Float[Array, "*cues n_components"], ModernInfo]:
        """One update of all cues."""
        del key, t
        after = self.weights(state) @ self.patterns
        return after, ModernInfo(jnp.linalg.norm(after - state, axis=-1))

    def weights(self, state: Float[Array, "*cues n_components"]) -> Float[Array, "*cues n_patterns"]:
        """The weights p = softmax(beta Xi x), the part of each pattern in the next state."""
        return jax.nn.softmax(self._scores(state), axis=-1)

    def energy(self, state: Float[Array, "*cues n_components"]) -> Float[Array, "*cues"]:
        """E, never raised by an update."""
        beta = jnp.broadcast_to(self.beta, state.shape[:-1])
        largest = jnp.max(jnp.sum(self.patterns**2, -1))
        free = (jax.nn.logsumexp(self._scores(state), axis=-1) - jnp.log(float(self.n_patterns))) / beta
        return jnp.sum(state**2, -1) / 2 - free + largest / 2

    def participants(
        self, state: Float[Array, "*cues n_components"], mass: float = 0.9
    ) -> Int[Array, "*cues"]:
        """The least number of patterns that together have a given part of the weights.

        Args:
            state: the states.
            mass: the part, in (0, 1).

        Raises:
            ValueError: a mass outside (0, 1).
        """
        check_real("mass", mass, 0, 1, open_low=True, open_high=True)
        sorted_weights = -jnp.sort(-self.weights(state), axis=-1)
        # A hair of room, so that equal weights that add up to the mass are enough.
        return 1 + jnp.sum(jnp.cumsum(sorted_weights, -1) < mass - 1e-5, axis=-1)

    def kind(self, state: Float[Array, "*cues n_components"], mass: float = 0.9) -> np.ndarray:
        """What fixed points are: "pattern", "metastable" or "global", by how many patterns carry the mass.

        One pattern; all that equal weights would need, ceil(mass P); or a number in between.

        Args:
            state: fixed points.
            mass: the part of the weights that counts, in (0, 1).

        Raises:
            ValueError: a mass outside (0, 1).
        """
        count = np.asarray(self.participants(state, mass))
        everyone = int(np.ceil(mass * self.n_patterns - 1e-5))
        named = np.where(count >= everyone, KINDS[2], KINDS[1])
        return np.where((count == 1) & (self.n_patterns > 1), KINDS[0], named)

    def _scores(self, state: Array) -> Array:
        return jnp.broadcast_to(self.beta, state.shape[:-1])[..., None] * (state @ self.patterns.T)
