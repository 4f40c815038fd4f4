"""Simulated annealing against dwave-samplers on one Sherrington-Kirkpatrick instance, and how its cost grows.

    python -m venv PEERS && PEERS/bin/pip install -r benchmarks/peers/annealing.txt
    python -m benchmarks.annealing --peer PEERS/bin/python     wall seconds, energies, ratio
    python -m benchmarks.annealing --growth                    exponents in units and in reads

Both anneal the same couplings, ten reads of a thousand sweeps of Metropolis, each with its own default
temperatures, in turn, on whatever cores the process may use. The peer runs in a Python of its own, which
times the building of its problem and its sampling and nothing else. Ours is timed warm, from couplings to
energies; compilation is stated.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time

import jax
import numpy as np

from neuromanifold.networks.energy import Ising, anneal

PEER = """
import json, sys, time
import numpy as np
from dwave.samplers import SimulatedAnnealingSampler
from dimod import BinaryQuadraticModel
from importlib.metadata import version
n, reads, sweeps, seed, rounds = map(int, sys.argv[1:])
random = np.random.default_rng(seed)
upper = np.triu(random.normal(size=(n, n)) / np.sqrt(n), 1)
couplings = upper + upper.T
rows, columns = np.triu_indices(n, 1)
print(json.dumps({"version": version("dwave-samplers")}), flush=True)
for k in range(rounds):
    sys.stdin.readline()
    wall, cpu = time.perf_counter(), time.process_time()
    model = BinaryQuadraticModel.from_numpy_vectors(
        np.zeros(n), (rows, columns, -couplings[rows, columns]), 0.0, "SPIN")
    found = SimulatedAnnealingSampler().sample(model, num_reads=reads, num_sweeps=sweeps, seed=k)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    spins = found.record.sample[:, np.argsort(found.variables)].astype(float)
    energy = -0.5 * np.einsum("ki,ij,kj->k", spins, couplings, spins) / n
    print(json.dumps({"wall": wall, "cpu": cpu, "best": energy.min(), "mean": energy.mean()}), flush=True)
"""


def instance(n: int, seed: int) -> np.ndarray:
    upper = np.triu(np.random.default_rng(seed).normal(size=(n, n)) / np.sqrt(n), 1)
    return upper + upper.T


def ours(couplings: np.ndarray, n_reads: int, n_sweeps: int, seed: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = anneal(
        jax.random.key(seed), Ising(couplings), n_sweeps, n_reads=n_reads, every=max(n_sweeps // 10, 1)
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    energies = found.best_energies / len(couplings)
    return {"wall": wall, "cpu": cpu, "best": float(energies.min()), "mean": float(energies.mean())}


def main(
    peer: str | None,
    n_units: int = 1000,
    n_reads: int = 10,
    n_sweeps: int = 1000,
    seed: int = 12345,
    rounds: int = 5,
) -> None:
    """Median wall and CPU seconds of each, energies, and the ratio ours / peer."""
    print(setting())
    couplings = instance(n_units, seed)
    cold = ours(couplings, n_reads, n_sweeps, 99)
    theirs: subprocess.Popen[str] | None = None
    if peer is not None:
        given = [str(k) for k in (n_units, n_reads, n_sweeps, seed, rounds)]
        theirs = subprocess.Popen(
            [peer, "-c", PEER, *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert theirs.stdin is not None
        assert theirs.stdout is not None
        version = json.loads(theirs.stdout.readline())["version"]
    found: dict[str, list[dict[str, float]]] = {"ours": []}
    for k in range(rounds):
        found["ours"].append(ours(couplings, n_reads, n_sweeps, k))
        if theirs is not None and theirs.stdin is not None and theirs.stdout is not None:
            theirs.stdin.write("\n")
            theirs.stdin.flush()
            found.setdefault(f"dwave-samplers {version}", []).append(json.loads(theirs.stdout.readline()))
    print(f"N = {n_units}, {n_reads} reads, {n_sweeps} sweeps; ours cold {cold['wall']:.2f} s")
    medians = {}
    for name, made in found.items():
        wall, cpu = ([one[key] for one in made] for key in ("wall", "cpu"))
        medians[name] = statistics.median(wall)
        best, mean = (statistics.fmean(one[key] for one in made) for key in ("best", "mean"))
        print(
            f"{name}: wall {medians[name]:.3f} s ({min(wall):.3f} to {max(wall):.3f}), "
            f"CPU {statistics.median(cpu):.3f} s, E/N best {best:.5f} mean {mean:.5f} over {rounds} rounds"
        )
    if theirs is not None:
        theirs.terminate()
        ours_first, peer_next = medians.values()
        print(f"ours / peer, wall: {ours_first / peer_next:.3f}")


def growth(n_sweeps: int = 200) -> None:
    """Exponents of the seconds a sweep in units at 10 reads, and in reads at 1000 units."""
    print(setting())
    ways = {
        "units": ((500, 1000, 2000, 4000), lambda n: (instance(n, 0), 10)),
        "reads": ((10, 20, 40, 80), lambda n: (instance(1000, 0), n)),
    }
    for name, (sizes, make) in ways.items():
        seconds = []
        for size in sizes:
            couplings, n_reads = make(size)
            ours(couplings, n_reads, n_sweeps, 0)
            # What does not grow with sweeps is taken off.
            long, short = (
                statistics.median(ours(couplings, n_reads, n, k)["cpu"] for k in range(3))
                for n in (n_sweeps, n_sweeps // 10)
            )
            seconds.append((long - short) / (n_sweeps - n_sweeps // 10))
        exponent = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        each = ", ".join(f"{size}: {1e3 * s:.3f} ms" for size, s in zip(sizes, seconds, strict=True))
        print(f"CPU of a sweep against {name}: {each}; exponent {exponent:.2f}")


def setting() -> str:
    return (
        f"Python {platform.python_version()}, NumPy {np.__version__}, JAX {jax.__version__}, "
        f"{len(os.sched_getaffinity(0))} cores, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="a Python with dwave-samplers")
    parser.add_argument("--growth", action="store_true", help="exponents instead")
    asked = parser.parse_args()
    if asked.growth:
        growth()
    else:
        main(asked.peer)
