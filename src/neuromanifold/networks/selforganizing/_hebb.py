"""One neuron that learns by Hebb's rule with decay, its receptive field, and its Lyapunov functions.

A neuron with weights w and threshold tau answers h = f(w.v - tau) to the input v. Averaged over the law of
the inputs, and in the time of learning,

    plain         dw/dt = -w + c <h v>
    gated         dw/dt = <h (-w + c v)>                     decay only while the neuron fires
    normalised    dw/dt = (I - w w^T/|w|^2) <h v>            |w| stays
    shift         gated, but it fires where c w.v - |w|^2/2 - tau > 0: a threshold that follows |w|

At rest w points to the centre of gravity of the inputs in the receptive field R = {v : w.v > tau}:
w = c P E[v|R] (plain, P the probability of R), w = c E[v|R] (gated, shift), w along E[v|R] (normalised).

With F' = f, these never fall along the flow:

    plain         L = c <F(w.v - tau)> - |w|^2/2             dL/dt = |dw/dt|^2
    normalised    L = <F(w.v - tau)>                         dL/dt = |dw/dt|^2
    shift         L = <F(c w.v - |w|^2/2 - tau)>             dL/dt = |dw/dt|^2

The gated rule with a fixed threshold has none of this form and is refused one: with v = 1 or 0, each with
probability 1/2, tau = .1 and c = 1 it takes w from .5 to 1 while the plain rule's L falls from .075 to -.05.
For inputs of one length r and c = 1 the field of `shift` is the ball |v - w|^2 < r^2 - 2 tau, and the rule is
mean shift with a flat kernel, which climbs the density of the inputs.

With a step for f and finitely many inputs the right-hand sides are piecewise constant plus decay: solve them
with steps of a fixed length. Time: that of learning, in units of the decay.

Source: Amari and Takeuchi 1978, Biol. Cybern. 29:127; Cheng 1995, IEEE PAMI 17:790 (mean shift).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import check_choice, check_real, require
from neuromanifold.dynamics import Flow
from neuromanifold.networks.selforganizing._inputs import Inputs
from neuromanifold.networks.selforganizing._receptive_field import (
    Learned,
    ReceptiveField,
    cap_angle,
    check_weights,
    field_of,
    follow,
    warn_silent,
)
from neuromanifold.networks.selforganizing._response import Response, step

VARIANTS = ("plain", "gated", "normalised", "shift")


class HebbNeuron(eqx.Module):
    """A neuron and its learning rule; see the module's header.

    Args:
        gain: c > 0.
        threshold: tau; for "shift" the constant beside |w|^2/2.
        variant: "plain", "gated", "normalised" or "shift".
        response: f; a step where None.

    Raises:
        ValueError: an argument outside its range, or an unbounded response for a rule with decay.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.networks.selforganizing import HebbNeuron, circle
    >>> neuron, inputs = HebbNeuron(gain=1.0, threshold=0.1), circle(2000)
    >>> learned = neuron.learn(inputs, jnp.array([0.5, 0.0]), duration=40.0, dt=0.05)
    >>> round(neuron.angular_radius(learned.weights, inputs), 2)    # sin 2d = 2 pi tau / c
    1.23
    """

    gain: Float[Array, ""]
    threshold: Float[Array, ""]
    response: Response
    variant: str = eqx.field(static=True)

    def __init__(
        self,
        gain: ArrayLike = 1.0,
        threshold: ArrayLike = 0.0,
        variant: str = "plain",
        response: Response | None = None,
    ):
        self.variant = check_choice("variant", variant, VARIANTS)
        if not isinstance(gain, Tracer):
            check_real("gain", gain, 0.0, open_low=True)
        if not isinstance(threshold, Tracer):
            check_real("threshold", threshold)
        self.gain = jnp.asarray(gain, jnp.result_type(float))
        self.threshold = jnp.asarray(threshold, jnp.result_type(float))
        self.response = step() if response is None else response
        require(
            self.response.bounded or variant == "normalised",
            "response",
            f"be bounded for the variant {variant!r}",
            "an unbounded one",
        )

    def fields(
        self, weights: Float[Array, " n_synapses"], points: Float[Array, "*points n_synapses"]
    ) -> Float[Array, "*points"]:
        """What f is applied to: w.v - tau, or c w.v - |w|^2/2 - tau for "shift"."""
        u = points @ weights
        if self.variant == "shift":
            u = self.gain.astype(u.dtype) * u - jnp.sum(weights**2) / 2
        return u - self.threshold.astype(u.dtype)

    def drift(
        self,
        weights: Float[Array, " n_synapses"],
        fired: Float[Array, ""],
        pull: Float[Array, " n_synapses"],
    ) -> Float[Array, " n_synapses"]:
        """The right-hand side of the rule.

        Args:
            weights: w.
            fired: <h>, or h for one input.
            pull: <h v>, or h v for one input.
        """
        gain = self.gain.astype(weights.dtype)
        if self.variant == "plain":
            return gain * pull - weights
        if self.variant == "normalised":
            square = jnp.sum(weights**2)
            # Weights of zero have no direction; `start` refuses them.
            return pull - weights * (weights @ pull) / jnp.where(square > 0, square, 1)
        return gain * pull - fired * weights

    def change(
        self, weights: Float[Array, " n_synapses"], point: Float[Array, " n_synapses"]
    ) -> Float[Array, " n_synapses"]:
        """What one input wants to change, whose mean over inputs is the velocity."""
        h = self.response(self.fields(weights, point))
        return self.drift(weights, h, h * point)

    def velocity(self, weights: Float[Array, " n_synapses"], inputs: Inputs) -> Float[Array, " n_synapses"]:
        """The averaged dw/dt."""
        h = inputs.probabilities * self.response(self.fields(weights, inputs.points))
        return self.drift(weights, jnp.sum(h), h @ inputs.points)

    def lyapunov(self, weights: Float[Array, " n_synapses"], inputs: Inputs) -> Float[Array, ""]:
        """L, which the flow never lowers.

        Raises:
            ValueError: the gated rule with its fixed threshold, or a response without an integral.
        """
        require(
            self.variant != "gated",
            "variant",
            "be 'plain', 'normalised' or 'shift' to have a Lyapunov function",
            self.variant,
        )
        integral = self.response.integral
        require(integral is not None, "response", "have an integral to make a Lyapunov function", None)
        assert integral is not None
        gathered = inputs.mean(integral(self.fields(weights, inputs.points)))
        if self.variant == "plain":
            return self.gain.astype(gathered.dtype) * gathered - jnp.sum(weights**2) / 2
        return gathered

    def flow(self, inputs: Inputs) -> Flow:
        """The averaged rule as a flow on the weights; -L descends where there is an L.

        Solve it with steps of a fixed length where the response is a step.
        """
        moving = _Averaged(self, inputs)
        known = self.variant != "gated" and self.response.integral is not None
        return Flow(
            moving.velocity,
            descends=moving.descending if known else None,
            conserves=moving.square if self.variant == "normalised" else None,
        )

    def learn(self, inputs: Inputs, weights: Any, *, duration: float, dt: float) -> Learned:
        """Solve the averaged rule by Euler's steps.

        Args:
            inputs: the law of the inputs.
            weights: where to begin, shape (n_synapses,).
            duration: time of learning, > 0.
            dt: length of a step, in (0, 1]; a rest of the rule is one of its steps. The normalised rule gains
                length by them, of the order of dt.

        Raises:
            ValueError: an argument outside its range; weights of zero for the normalised rule.

        Warns:
            UserWarning: the neuron is silent at the start and will stay so: with tau >= 0 a neuron that fires
                for nothing under a rule with decay never learns.
        """
        start = self.start(inputs, weights)
        if self.variant != "normalised" and float(self.threshold) >= 0 and self.is_silent(start, inputs):
            warn_silent()
        last, speed = follow(self.flow(inputs), start, duration, dt)
        return Learned(last, self.is_silent(last, inputs), speed)

    def start(self, inputs: Inputs, weights: Any) -> Float[Array, " n_synapses"]:
        """Weights to begin with.

        Raises:
            ValueError: another shape, a value that is not finite, or zero for the normalised rule.
        """
        begun = check_weights("weights", weights, (inputs.n_synapses,), inputs.points)
        require(
            self.variant != "normalised" or bool(np.any(np.asarray(begun) != 0)),
            "weights",
            "not be zero for the variant 'normalised'",
            np.asarray(begun).tolist(),
        )
        return begun

    def receptive_field(self, weights: Float[Array, " n_synapses"], inputs: Inputs) -> ReceptiveField:
        """The inputs for which the neuron fires, and where their centres lie."""
        return field_of(self.fields(weights, inputs.points) > 0, weights, inputs)

    def is_silent(self, weights: Float[Array, " n_synapses"], inputs: Inputs) -> bool:
        """Whether the neuron fires for no input that occurs."""
        return not bool(self.receptive_field(weights, inputs).probability > 0)

    def angular_radius(self, weights: Float[Array, " n_synapses"], inputs: Inputs) -> float:
        """D of the cap {v : |v| = r, angle of v and w below d}, |w| r cos d = tau, in radians.

        Raises:
            ValueError: inputs of different lengths, or a threshold beyond |w| r, where there is no cap.
        """
        length, tau = float(jnp.linalg.norm(weights)), float(self.threshold)
        if self.variant == "shift":
            tau = (tau + length**2 / 2) / float(self.gain)
        return cap_angle(tau, length, inputs)


class _Averaged(eqx.Module):
    neuron: HebbNeuron
    inputs: Inputs

    def velocity(self, t: Any, weights: Array) -> Array:
        del t
        return self.neuron.velocity(weights, self.inputs)

    def descending(self, weights: Array) -> Array:
        return -self.neuron.lyapunov(weights, self.inputs)

    def square(self, weights: Array) -> Array:
        return jnp.sum(weights**2)


def mean_shift_step(
    weights: Float[Array, " n_synapses"], inputs: Inputs, radius: ArrayLike
) -> Float[Array, " n_synapses"]:
    """The centre of gravity of the inputs within a ball about w, or w where the ball is empty.

    For a small radius d and inputs of density p in m dimensions the step climbs the density,

        E[v] - w = d^2/(m + 2) grad ln p(w) + O(d^4).

    Args:
        weights: centre of the ball.
        inputs: the law of the inputs.
        radius: d > 0.

    Raises:
        ValueError: a radius that is not positive.
    """
    if not isinstance(radius, Tracer):
        check_real("radius", radius, 0.0, open_low=True)
    near = jnp.sum((inputs.points - weights[None]) ** 2, axis=1) < jnp.asarray(radius, weights.dtype) ** 2
    inside = jnp.where(near, inputs.probabilities, 0)
    total = jnp.sum(inside)
    return jnp.where(total > 0, inside @ inputs.points / jnp.where(total > 0, total, 1), weights)
