"""The loop against the best hand-written one: `run` may cost 10 % at most.

    python -m benchmarks.loop

(a) 100 spins, all updated at once by heat bath: a step of two microseconds; unwatched, watched at every step
    and at every tenth
(b) 4,000 spins x 100 cues, recall with patterns in place of couplings: a step of a few milliseconds
(c) LeNet-5, batch 128, Adam: a training step with convolutions

The hand-written loops are a compiled `lax.scan` over all steps and a Python loop over one compiled step; the
better of the two counts. All take the same step function with the same keys and end in the same state, which
is checked. Ways are timed in turn, in an order that turns round, and the ratio is the median of the ratios of
neighbours, so that a busy machine is busy for both; its quartiles are printed with it. A loop that is twice
as slow as the better one is not timed again.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from neuromanifold.data import load_mnist_subset, overlap_cue, random_patterns
from neuromanifold.dynamics import Process, run
from neuromanifold.learning import Minibatches, backpropagation, learner
from neuromanifold.networks.convolutional import ModernLeNet
from neuromanifold.networks.memory import Hopfield, synchronous


class Spins(eqx.Module):
    """Little's dynamics of a few spins."""

    couplings: jax.Array

    def init(self, key: Any, x0: Any) -> Any:
        """The state itself."""
        return x0

    def step(self, key: Any, t: Any, x: Any) -> Any:
        """All spins at once."""
        up = jax.random.uniform(key, x.shape) < jax.nn.sigmoid(2.0 * (self.couplings @ x))
        return jnp.where(up, 1.0, -1.0), None


def magnetisation(x: jax.Array) -> jax.Array:
    """Mean of the spins."""
    return x.mean()


class Cost(eqx.Module):
    """Cross entropy of a batch."""

    def __call__(self, network: Any, batch: Any, key: Any) -> jax.Array:
        """Mean cost."""
        images, labels = batch.data
        scaled = jnp.pad(images, ((0, 0), (2, 2), (2, 2))) / 255.0
        logits = jax.vmap(network)(scaled)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def compare(
    name: str,
    process: Process,
    x0: Any,
    n_steps: int,
    repetitions: int,
    observe: Callable[..., Any] | None = None,
    every: int = 1,
) -> float:
    """Seconds of run over seconds of the better hand-written loop; prints all of them."""
    key = jax.random.key(0)
    step_key = jax.random.fold_in(key, 1)
    first = process.init(jax.random.fold_in(key, 0), x0)
    arrays, rest = eqx.partition(first, eqx.is_array)
    data, code = eqx.partition(process.step, eqx.is_array)

    def move(data: Any, key: Any, arrays: Any, t: Any) -> Any:
        state, _ = eqx.combine(data, code)(jax.random.fold_in(key, t), t, eqx.combine(arrays, rest))
        return eqx.filter(state, eqx.is_array)

    def look(arrays: Any) -> Any:
        return None if observe is None else observe(eqx.combine(arrays, rest))

    @jax.jit
    def scanned(data: Any, key: Any, arrays: Any) -> Any:
        def interval(arrays: Any, first: Any) -> Any:
            if every == 1:
                arrays = move(data, key, arrays, first)
            else:
                arrays = jax.lax.fori_loop(0, every, lambda i, a: move(data, key, a, first + i), arrays)
            return arrays, look(arrays)

        return jax.lax.scan(interval, arrays, jnp.arange(0, n_steps, every))

    single, watch = jax.jit(move), jax.jit(look)

    def in_python() -> Any:
        state, seen = arrays, []
        for t in range(n_steps):
            state = single(data, step_key, state, np.int32(t))
            if observe is not None and (t + 1) % every == 0:
                seen.append(watch(state))
        return jax.block_until_ready((state, seen))[0]

    ways = {
        "run": lambda: jax.block_until_ready(
            eqx.filter(run(process, key, x0, n_steps, observe=observe, every=every).state, eqx.is_array)
        ),
        "compiled scan": lambda: jax.block_until_ready(scanned(data, step_key, arrays)[0]),
        "step from Python": in_python,
    }
    ends = {way: act() for way, act in ways.items()}
    for way, end in ends.items():
        for a, b in zip(jax.tree.leaves(end), jax.tree.leaves(ends["run"]), strict=True):
            if not np.allclose(a, b, atol=1e-2):
                raise SystemExit(f"{name}: {way} ended elsewhere.")
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repetition in range(repetitions):
        timed = list(ways) if repetition % 2 else list(ways)[::-1]
        for way in timed:
            begin = time.perf_counter()
            ways[way]()
            seconds[way].append(time.perf_counter() - begin)
        fastest = min(min(seconds[way]) for way in ways if way != "run")
        ways = {way: act for way, act in ways.items() if way == "run" or min(seconds[way]) < 2 * fastest}
    medians = {way: statistics.median(times) / n_steps * 1e6 for way, times in seconds.items()}
    best = min((way for way in ways if way != "run"), key=lambda way: medians[way])
    pairs = [ours / theirs for ours, theirs in zip(seconds["run"], seconds[best], strict=True)]
    low, ratio, high = statistics.quantiles(pairs, n=4)
    line = ", ".join(f"{way} {value:,.2f} us a step" for way, value in medians.items())
    print(f"{name}: {line}; ratio {ratio:.3f} (quartiles {low:.3f}, {high:.3f})", flush=True)
    return ratio


def main(repetitions: int = 21) -> dict[str, float]:
    """The ratios of all cases."""
    key = jax.random.key(1)
    spins = Spins(jax.random.normal(key, (100, 100)) / 10)
    little = Process(spins.init, spins.step)
    patterns = random_patterns(key, 400, 4000)
    keys = jax.random.split(key, 100)
    cues = jax.vmap(overlap_cue, (0, 0, None))(keys, patterns[:100], 0.8).astype(jnp.float32)
    digits = load_mnist_subset()
    stream = Minibatches((digits.images.astype(np.float32), digits.labels), 128, key=key)
    training = learner(backpropagation(Cost(), stream), optax.adam(1e-3))
    ratios = {
        "100 spins": compare("(a) 100 spins", little, jnp.ones(100), 300_000, repetitions),
        "100 spins, watched": compare(
            "(a') 100 spins, watched", little, jnp.ones(100), 300_000, repetitions, magnetisation
        ),
        "100 spins, watched every tenth": compare(
            "(a'') 100 spins, watched every tenth",
            little,
            jnp.ones(100),
            300_000,
            repetitions,
            magnetisation,
            10,
        ),
        "4000 spins x 100 cues": compare(
            "(b) 4,000 spins x 100 cues", synchronous(Hopfield(patterns)), cues, 200, repetitions
        ),
        "LeNet-5": compare("(c) LeNet-5, batch 128", training, ModernLeNet(key=key), 60, repetitions),
    }
    print("largest ratio: " + f"{max(ratios.values()):.3f} (wanted: at most 1.1)")
    return ratios


if __name__ == "__main__":
    main()
