"""Empirical tangent kernels against Neural Tangents, and a kernel of 10,000 inputs.

    python -m venv PEERS && PEERS/bin/pip install -r benchmarks/peers/tangent.txt
    PEERS/bin/pip install --no-deps neural-tangents==0.6.5
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.tangent --peer PEERS/bin/python    CPU seconds, ratios
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.tangent --growth                   exponent in inputs
    python -m benchmarks.tangent --large                                                   peak memory

A perceptron 784-512-512-512-10 of ReLU and 200 inputs with themselves: the trace over logits in float32 and
float64, and the kernel of all pairs of logits; a network of three convolutions; and the outputs per logit.
Ours chooses its way by itself; the peer is given the best of its ways for each case (structured derivatives
over examples). Its Python is started once, is handed one case after the other and times itself; both are
warm, timed in turn, and their kernels are compared. Neural Tangents imports TensorFlow for a part that is not
used here, which is left out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

CASES = (
    "trace, float32",
    "trace, float64",
    "all pairs, float32",
    "diagonal, float32",
    "convolutions, float32",
)
ROUNDS = 5


def perceptron(params: Any, x: Any) -> Any:
    for i, (w, b) in enumerate(params):
        x = jnp.matmul(x, w) * (1.5 / np.sqrt(w.shape[0])) + 0.1 * b[None]
        x = jax.nn.relu(x) if i < len(params) - 1 else x
    return x


def convolutional(params: Any, x: Any) -> Any:
    *kernels, w = params
    for k in kernels:
        x = jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x / np.sqrt(9 * k.shape[2]))
    return jnp.matmul(x.mean((1, 2)), w)


def case(name: str) -> tuple[Callable[..., Any], Any, Any, tuple[int, ...], tuple[int, ...]]:
    """Function, parameters, inputs, traced and diagonal axes."""
    random = np.random.default_rng(0)
    dtype = name.split(", ")[1]
    if name.startswith("convolutions"):
        x = random.standard_normal((20, 16, 16, 3)).astype(dtype)
        shapes = [(3, 3, 3, 32), (3, 3, 32, 32), (3, 3, 32, 32), (32, 10)]
        return convolutional, [jnp.asarray(random.standard_normal(s), dtype) for s in shapes], x, (-1,), ()
    x = random.standard_normal((200, 784)).astype(dtype)
    widths = (784, 512, 512, 512, 10)
    params = [
        (jnp.asarray(random.standard_normal((a, b)), dtype), jnp.asarray(random.standard_normal(b), dtype))
        for a, b in itertools.pairwise(widths)
    ]
    axes = {"trace": ((-1,), ()), "all pairs": ((), ()), "diagonal": ((), (-1,))}[name.split(", ")[0]]
    return perceptron, params, x, *axes


def timed(kernel: Callable[[], Any]) -> tuple[float, np.ndarray]:
    begin = time.process_time()
    made = np.asarray(kernel())
    return time.process_time() - begin, made


def peer() -> None:
    """Run in the peer's Python: a case's name comes in, a time goes out, the kernel into a file."""
    import types

    sys.modules["neural_tangents.experimental"] = types.ModuleType("experimental")
    import neural_tangents as nt  # pyright: ignore[reportMissingImports]

    kernels: dict[str, Callable[[], Any]] = {}
    print(json.dumps({"version": nt.__version__, "jax": jax.__version__}), flush=True)
    for line in sys.stdin:
        name, path = json.loads(line)
        jax.config.update("jax_enable_x64", "float64" in name)
        if name not in kernels:
            f, params, x, traced, diagonal = case(name)
            made = jax.jit(nt.empirical_ntk_fn(f, traced, diagonal, 0, implementation=3))
            kernels[name] = lambda made=made, x=x, params=params: made(x, None, params)
        seconds, values = timed(kernels[name])
        np.save(path, values)
        print(json.dumps(seconds), flush=True)


def main(other: str | None) -> dict[str, float]:
    """CPU seconds of each case (medians), differences and ratios."""
    from neuromanifold.geometry import empirical_ntk_fn

    print(setting())
    theirs: subprocess.Popen[str] | None = None
    if other is not None:
        theirs = subprocess.Popen(
            [other, str(Path(__file__)), "--as-peer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert theirs.stdout is not None
        print("Neural Tangents", json.loads(theirs.stdout.readline()))
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "kernel.npy"))
        for name in CASES:
            with jax.enable_x64("float64" in name):
                f, params, x, traced, diagonal = case(name)
                ntk_fn = empirical_ntk_fn(f, traced, diagonal)
                cold, values = timed(lambda fn=ntk_fn, x=x, p=params: fn(x, None, p))
                mine, peers, apart = [], [], 0.0
                for k in range(ROUNDS + 1):
                    seconds, values = timed(lambda fn=ntk_fn, x=x, p=params: fn(x, None, p))
                    mine.append(seconds)
                    if theirs is not None and theirs.stdin is not None and theirs.stdout is not None:
                        theirs.stdin.write(json.dumps([name, path]) + "\n")
                        theirs.stdin.flush()
                        seconds = json.loads(theirs.stdout.readline())
                        if k > 0:
                            peers.append(seconds)
                        apart = float(np.abs(np.load(path) - values).max() / np.abs(values).max())
            text = (
                f"{name:22s} ours {statistics.median(mine[1:]):.4f} CPU s ({min(mine):.4f} to {max(mine):.4f}"
            )
            text += f"; first call {cold:.2f})"
            if peers:
                ratios[name] = statistics.median(peers) / statistics.median(mine[1:])
                text += f"  peer {statistics.median(peers):.4f} ({min(peers):.4f} to {max(peers):.4f})"
                text += f"  peer / ours {ratios[name]:.2f}, largest relative difference {apart:.1e}"
            print(text, flush=True)
    if theirs is not None:
        theirs.terminate()
    return ratios


def growth() -> None:
    """Exponent of the time in the number of inputs; 2 in the limit."""
    from neuromanifold.geometry import empirical_ntk_fn

    print(setting())
    f, params, _, traced, _ = case("trace, float32")
    sizes, seconds = (200, 400, 800, 1600), []
    for n in sizes:
        x = np.random.default_rng(0).standard_normal((n, 784)).astype("float32")
        ntk_fn = empirical_ntk_fn(f, traced)
        timed(lambda fn=ntk_fn, x=x: fn(x, None, params))
        seconds.append(
            statistics.median(timed(lambda fn=ntk_fn, x=x: fn(x, None, params))[0] for _ in range(3))
        )
    each = ", ".join(f"{n}: {s:.3f} s" for n, s in zip(sizes, seconds, strict=True))
    print(f"CPU against inputs: {each}; exponent {np.polyfit(np.log(sizes), np.log(seconds), 1)[0]:.2f}")


def large(n: int = 10_000) -> None:
    """Seconds and peak memory of the kernel of 10,000 inputs with one output."""
    from neuromanifold.geometry import empirical_ntk_fn

    print(setting())
    random = np.random.default_rng(0)
    widths = (784, 512, 512, 512, 1)
    params = [
        (random.standard_normal((a, b)).astype("float32"), random.standard_normal(b).astype("float32"))
        for a, b in itertools.pairwise(widths)
    ]
    x = random.standard_normal((n, 784)).astype("float32")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin, wall = time.process_time(), time.perf_counter()
    kernel = empirical_ntk_fn(perceptron)(x, None, params).block_until_ready()
    begin, wall = time.process_time() - begin, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{n} x {n}, one output, compilation included: {begin:.1f} CPU s, {wall:.1f} s; peak memory "
        f"{peak:.0f} MiB, {before:.0f} MiB of it before; the kernel {kernel.nbytes / 2**20:.0f} MiB"
    )


def setting() -> str:
    return (
        f"Python {platform.python_version()}, NumPy {np.__version__}, JAX {jax.__version__}, "
        f"{len(os.sched_getaffinity(0))} cores, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="a Python with neural-tangents")
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--growth", action="store_true", help="exponent in the number of inputs instead")
    parser.add_argument("--large", action="store_true", help="10,000 inputs instead")
    asked = parser.parse_args()
    if asked.as_peer:
        peer()
    elif asked.growth:
        growth()
    elif asked.large:
        large()
    else:
        main(asked.peer)
