"""Restricted Boltzmann machines against scikit-learn and learnergy: one epoch, the same data, batches, rate.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.restricted             CPU seconds, quality, ratios
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.restricted --growth    exponents of time in both sizes

784 visible and 256 hidden units, 10,000 binary pictures (scikit-learn's digits, enlarged and drawn pixel by
pixel), batches of 100 in the order of the data, rate .1, float32 with us. scikit-learn's rule is PCD with
one step, in the precision of its input; learnergy's is CD-1 on torch. Each is compared with our same rule.
learnergy is used where it can be imported (benchmarks/peers/restricted.txt). Quality is judged by one
function for all: the pseudo-likelihood of the data, from every pixel flipped in turn for some pictures.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import sklearn
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

from neuromanifold.dynamics import run
from neuromanifold.learning import Batch, learner
from neuromanifold.learning.contrastive import contrastive_divergence, persistent_divergence
from neuromanifold.networks.energy import Bernoulli, RestrictedBoltzmann

BATCH, RATE = 100, 0.1
_FLOOR = "five products alone, float32"


class Ordered(eqx.Module):
    """Batches in the order of the data, as both peers take them."""

    data: jax.Array

    def __call__(self, t: Any) -> Batch:
        """The batch of step t."""
        first = (t % (len(self.data) // BATCH)) * BATCH
        return Batch(jax.lax.dynamic_slice_in_dim(self.data, first, BATCH), jnp.ones(BATCH))


def pictures(n: int = 10_000, side: int = 28) -> np.ndarray:
    """Binary pictures of side x side pixels."""
    random = np.random.default_rng(0)
    digits = load_digits().images / 16.0
    where = np.arange(side) * 8 // side
    chance = digits[random.integers(0, len(digits), n)][:, where][:, :, where].reshape(n, -1)
    return (random.random(chance.shape) < chance).astype(np.float32)


def pseudo_likelihood(w: np.ndarray, b: np.ndarray, c: np.ndarray, data: np.ndarray) -> float:
    """sum_i log p(v_i | all others), mean over pictures, in nats."""
    total = 0.0
    for v in data:
        field = c + w @ v
        step = w * (1 - 2 * v)
        change = (1 - 2 * v) * b + (
            np.logaddexp(0, field[:, None] + step) - np.logaddexp(0, field)[:, None]
        ).sum(0)
        total -= np.logaddexp(0, change).sum()
    return total / len(data)


def ours(data: np.ndarray, n_hidden: int, rule: str) -> Callable[[], tuple[Any, Any, Any]]:
    """One epoch of CD-1 or PCD-1."""
    on_device = jnp.asarray(data)
    begin = RestrictedBoltzmann.random(jax.random.key(0), Bernoulli(data.shape[1]), Bernoulli(n_hidden))
    if rule == "CD-1":
        signal = contrastive_divergence(Ordered(on_device))
    else:
        signal = persistent_divergence(Ordered(on_device), jnp.zeros((BATCH, data.shape[1])))
    process = learner(signal, optax.sgd(RATE))

    def epoch() -> tuple[Any, Any, Any]:
        made = run(process, jax.random.key(1), begin, len(data) // BATCH).state.params
        return tuple(np.asarray(x) for x in (made.couplings, made.visible_bias, made.hidden_bias))

    return epoch


def scikit(data: np.ndarray, n_hidden: int) -> Callable[[], tuple[Any, Any, Any]]:
    def epoch() -> tuple[Any, Any, Any]:
        model = BernoulliRBM(n_hidden, learning_rate=RATE, batch_size=BATCH, n_iter=1, random_state=0).fit(
            data
        )
        return model.components_, model.intercept_visible_, model.intercept_hidden_

    return epoch


def learnergy(data: np.ndarray, n_hidden: int) -> Callable[[], tuple[Any, Any, Any]] | None:
    try:
        import torch  # pyright: ignore[reportMissingImports]
        from learnergy.models.bernoulli import RBM  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    torch.set_num_threads(1)
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(data), torch.zeros(len(data)))

    def epoch() -> tuple[Any, Any, Any]:
        torch.manual_seed(0)
        model = RBM(n_visible=data.shape[1], n_hidden=n_hidden, steps=1, learning_rate=RATE, use_gpu=False)
        model.fit(pairs, batch_size=BATCH, epochs=1)
        return tuple(x.detach().numpy() for x in (model.W.T, model.a, model.b))

    return epoch


def products(data: np.ndarray, n_hidden: int) -> Callable[[], Any]:
    """The five matrix products that a batch of PCD-1 cannot do without, in float32, and nothing else."""
    on_device = jnp.asarray(data).reshape(-1, BATCH, data.shape[1])
    begin = jnp.full((n_hidden, data.shape[1]), 1e-3)

    @jax.jit
    def epoch(w: jax.Array) -> jax.Array:
        def batch(
            carry: tuple[jax.Array, jax.Array], v: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], None]:
            w, h = carry
            held, seen = v @ w.T, h @ w
            free = seen @ w.T
            return (w + 1e-9 * (held.T @ v - free.T @ seen), free), None

        return jax.lax.scan(batch, (w, jnp.ones((BATCH, n_hidden))), on_device)[0][0]

    return lambda: epoch(begin).block_until_ready()


def main(n_hidden: int = 256, repetitions: int = 5) -> dict[str, float]:
    """CPU seconds of each (medians), pseudo-likelihoods, ratios; prints a table."""
    data = pictures()
    ways = {
        "ours, PCD-1": ours(data, n_hidden, "PCD-1"),
        "ours, CD-1": ours(data, n_hidden, "CD-1"),
        "scikit-learn, PCD-1, float64": scikit(data.astype(np.float64), n_hidden),
        "scikit-learn, PCD-1, float32": scikit(data, n_hidden),
    }
    floor = products(data, n_hidden)
    torch_peer = learnergy(data, n_hidden)
    if torch_peer is not None:
        ways["learnergy, CD-1"] = torch_peer
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, JAX {jax.__version__}, scikit-learn "
        f"{sklearn.__version__}, {len(os.sched_getaffinity(0))} cores, OMP_NUM_THREADS "
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )
    quality, seconds = {}, {name: [] for name in (*ways, _FLOOR)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, way in ways.items():
            quality[name] = pseudo_likelihood(*way(), data[:200])
        floor()
        for _ in range(repetitions):
            for name, way in {**ways, _FLOOR: floor}.items():
                begin = time.process_time()
                way()
                seconds[name].append(time.process_time() - begin)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name in ways:
        spread = f"{min(seconds[name]):.3f} to {max(seconds[name]):.3f}"
        print(f"{name:30s} {medians[name]:.3f} CPU s ({spread})  pseudo-likelihood {quality[name]:.1f} nats")
    print(f"{_FLOOR:30s} {medians[_FLOOR]:.3f} CPU s")
    ratios = {}
    for name in ways:
        if not name.startswith("ours"):
            mine = "ours, PCD-1" if "PCD" in name else "ours, CD-1"
            ratios[name] = medians[name] / medians[mine]
            print(
                f"{name} / {mine} = {ratios[name]:.2f}; "
                f"/ ours, CD-1 = {medians[name] / medians['ours, CD-1']:.2f}"
            )
    if torch_peer is None:
        print("learnergy cannot be imported: see benchmarks/peers/restricted.txt")
    return ratios


def growth(repetitions: int = 3) -> None:
    """Exponents of the time of an epoch of CD-1 in the number of visible and of hidden units."""
    for name, settings in (
        ("visible", [(side, 256) for side in (16, 24, 32, 48)]),
        ("hidden", [(28, k) for k in (128, 256, 512, 1024)]),
    ):
        sizes, times = [], []
        for side, n_hidden in settings:
            epoch = ours(pictures(4000, side), n_hidden, "CD-1")
            epoch()
            taken = []
            for _ in range(repetitions):
                begin = time.process_time()
                epoch()
                taken.append(time.process_time() - begin)
            sizes.append(side * side if name == "visible" else n_hidden)
            times.append(statistics.median(taken))
        exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        print(f"{name} units {sizes}: {', '.join(f'{t:.3f}' for t in times)} CPU s, exponent {exponent:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--growth", action="store_true", help="exponents in the sizes of both layers instead")
    given = parser.parse_args()
    growth() if given.growth else main()
