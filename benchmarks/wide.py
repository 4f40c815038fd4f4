"""Kernels of wide networks against Neural Tangents: the same inputs, seconds, memory and values.

    python -m venv PEER && PEER/bin/pip install -r benchmarks/peers/wide.txt
    PEER/bin/pip install --no-deps neural-tangents==0.6.5
    python -m benchmarks.wide --peer PEER/bin/python              CPU seconds, peak memory, ratios
    python -m benchmarks.wide --peer PEER/bin/python --values     every combinator, both kernels, in float64
    python -m benchmarks.wide --peer PEER/bin/python --values --like Conv      those of that name

Each side runs in a process of its own, the peer in its own Python, both by this file. CPU seconds are those
of all threads, warm, the median of five calls of one compiled function; results of both are compared.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

import jax
import numpy as np

CASES = {
    "a": "3 hidden ReLU layers, NNGP and NTK, 2000 x 2000, 784 channels, one set",
    "a2": "the same of two sets",
    "b": "3 hidden erf layers, NNGP and NTK, 2000 x 2000, one set",
    "c": "5 x (3 x 3 convolution, ReLU), mean of all positions, NTK, 20 x 20 of 16 x 16 x 3, one set",
}
PRECISIONS = ("float32", "float64")
# Neural Tangents has Hermite polynomials for unit variance alone, and NaN where an input meets itself behind
# the square of a rectifier; neither is compared.


def library(side: str) -> Any:
    """The module of combinators of ours or the peer."""
    if side == "ours":
        return importlib.import_module("neuromanifold.wide")
    # Imported at its top, and needs TensorFlow.
    sys.modules["neural_tangents.experimental"] = types.ModuleType("experimental")
    return importlib.import_module("neural_tangents").stax


def case(name: str, s: Any) -> tuple[Any, tuple[int, ...], Any]:
    """Network, shape of the inputs, and which kernels."""
    if name == "c":
        body = [x for _ in range(5) for x in (s.Conv(64, (3, 3), None, "SAME", 1.5, 0.1), s.Relu())]
        return s.serial(*body, s.GlobalAvgPool(), s.Dense(1, 1.5, 0.1)), (20, 16, 16, 3), "ntk"
    phi = s.Erf if name == "b" else s.Relu
    body = [x for _ in range(3) for x in (s.Dense(512, 1.5, 0.1), phi())]
    return s.serial(*body, s.Dense(1, 1.5, 0.1)), (2000, 784), ("nngp", "ntk")


def timed(side: str, name: str, precision: str, repetitions: int, folder: Path) -> None:
    """One side of one case; results are left in the folder."""
    s = library(side)
    network, shape, get = case(name, s)
    random = np.random.default_rng(0)
    x = random.standard_normal(shape).astype(precision)
    y = random.standard_normal(shape).astype(precision) if name == "a2" else None
    compiled = jax.jit(lambda x, y: network[2](x, y, get))
    begin = time.perf_counter()
    found = jax.block_until_ready(compiled(x, y))
    first, seconds, walls = time.perf_counter() - begin, [], []
    for _ in range(repetitions):
        wall, cpu = time.perf_counter(), time.process_time()
        jax.block_until_ready(compiled(x, y))
        seconds.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    np.savez(folder / f"{side}.npz", *jax.tree_util.tree_leaves(found))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    told = {"seconds": seconds, "wall": statistics.median(walls), "first": first, "peak": peak}
    (folder / f"{side}.json").write_text(json.dumps(told | {"jax": jax.__version__}))


def networks(s: Any) -> dict[str, tuple[Any, Any, Any, dict[str, Any]]]:
    """Network, both sets of inputs and keyword arguments, by combinator."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 6)), random.normal(size=(4, 6))
    image, other = random.normal(size=(3, 6, 5, 2)), random.normal(size=(2, 6, 5, 2))
    row, rows = random.normal(size=(3, 7, 2)), random.normal(size=(2, 7, 2))
    found: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {}

    def add(name: str, network: Any, one: Any, two: Any, **kwargs: Any) -> None:
        found[name] = (network, one, two, kwargs)

    functions = {
        "Relu": s.Relu(),
        "LeakyRelu": s.LeakyRelu(0.2),
        "ABRelu": s.ABRelu(-0.3, 1.2),
        "Abs": s.Abs(),
        "Sign": s.Sign(),
        "Erf": s.Erf(1.3, 0.7, 0.2),
        "Sigmoid_like": s.Sigmoid_like(),
        "Gelu": s.Gelu(),
        "Sin": s.Sin(1.2, 0.8, 0.3),
        "Cos": s.Cos(1.2, 0.8, 0.3),
        "Rbf": s.Rbf(0.6),
        "Exp": s.Exp(1.1, 0.4),
        "Gaussian": s.Gaussian(1.1, -0.5),
        "Gabor": s.Gabor(),
        "ExpNormalized": s.ExpNormalized(1.3, -0.8),
        "Polynomial": s.Polynomial([0.3, -0.5, 0.2, 0.1]),
        "Monomial": s.Monomial(3),
        "RectifiedMonomial": s.RectifiedMonomial(2),
    }
    for name, phi in functions.items():
        network = s.serial(s.Dense(5, 1.3, 0.2), phi, s.Dense(5, 1.1, 0.1))
        add(name, network, x, y)
        if name != "RectifiedMonomial":
            add(f"{name}, one set", network, x, None)
    for name, scales in (("standard", ((1, 1),) * 3), ("standard, scaled", ((1, 4), (4, 2), (2, 1)))):
        wide = {"parameterization": "standard"}
        add(
            name,
            s.serial(
                s.Dense(64, 1.3, 0.2, s=scales[0], **wide),
                s.Relu(),
                s.Dense(32, 1.1, 0.1, s=scales[1], **wide),
                s.Relu(),
                s.Dense(1, 1.1, 0.3, s=scales[2], **wide),
            ),
            x,
            y,
        )
    for padding in ("VALID", "SAME", "CIRCULAR"):
        for steps in (None, (2, 2)):
            first = s.Conv(8, (3, 2), steps, padding, 1.3, 0.2)
            second = s.Conv(8, (2, 2), None, padding, 1.2, 0.1)
            plain = s.Conv(8, (2, 2), None, padding, 1.3, 0.2)
            at = f"{padding}, strides {steps}"
            end = s.Dense(1, 1.1, 0.2)
            add(
                f"Conv, {at}",
                s.serial(first, s.Relu(), second, s.Relu(), s.GlobalAvgPool(), end),
                image,
                other,
            )
            add(f"Flatten, {at}", s.serial(first, s.Relu(), second, s.Erf(), s.Flatten(), end), image, other)
            pool = s.AvgPool((2, 2), steps, padding)
            add(f"AvgPool, {at}", s.serial(plain, s.Relu(), pool, s.Flatten(), end), image, None)
            pool = s.SumPool((2, 2), steps, padding)
            add(f"SumPool, {at}", s.serial(plain, s.Relu(), pool, s.GlobalSumPool(), end), image, other)
            # Behind one convolution the peer takes sides of ConvLocal and sizes of ImageResize for the wrong
            # axes where pairs of positions are kept; behind two it does not.
            local = s.ConvLocal(8, (3, 2), steps, padding, 1.3, 0.2)
            back = s.ConvTranspose(8, (3, 2), steps, padding, 1.3, 0.2)
            for name, inner in (("ConvLocal", local), ("ConvTranspose", back)):
                add(
                    f"{name}, {at}",
                    s.serial(plain, s.Relu(), inner, s.Relu(), s.Flatten(), end),
                    image,
                    other,
                )
                twice = (plain, s.Relu(), s.Conv(8, (1, 1)), s.Relu())
                pooled = s.serial(*twice, inner, s.Relu(), s.GlobalAvgPool(), end)
                add(f"{name} and pooling, {at}", pooled, image, None)
            if padding != "CIRCULAR":
                pool = s.AvgPool((3, 2), steps, padding, normalize_edges=True)
                add(f"AvgPool, edges, {at}", s.serial(plain, s.Relu(), pool, s.Flatten(), end), image, other)
    same = s.Conv(8, (2, 2), None, "SAME", 1.3, 0.2)
    end = s.Dense(3, 1.1, 0.2)
    standard = s.Conv(8, (3, 3), None, "SAME", 1.3, 0.2, parameterization="standard", s=(1, 2))
    last = s.Dense(1, 1.1, 0.2, parameterization="standard", s=(2, 1))
    add("Conv, standard", s.serial(standard, s.Relu(), s.GlobalAvgPool(), last), image, other)
    add("LayerNorm", s.serial(s.Dense(5, 1.3, 0.2), s.LayerNorm(), s.Relu(), end), x, y)
    for name, axis, pool in (("all axes", (1, 2, 3), s.Flatten()), ("channels", -1, s.GlobalAvgPool())):
        add(f"LayerNorm, {name}", s.serial(same, s.LayerNorm(axis), s.Relu(), pool, end), image, other)
    body = s.serial(s.Dense(5, 1.3, 0.2), s.Relu(), s.Dropout(0.8), s.Dense(5, 1.2, 0.1), s.Relu(), end)
    add("Dropout, one set", body, x, None)
    add("Dropout", body, x, y)
    add("Dropout, images", s.serial(same, s.Relu(), s.Dropout(0.8), s.GlobalAvgPool(), end), image, None)
    beside = s.parallel(s.Identity(), s.serial(s.Relu(), s.Dense(5, 1.1, 0.1)))
    add(
        "FanInSum",
        s.serial(s.Dense(5, 1.3, 0.2), s.FanOut(2), beside, s.FanInSum(), s.Relu(), end),
        x,
        y,
    )
    beside = s.parallel(
        s.serial(s.Dense(5, 1.3, 0.2), s.Erf()), s.serial(s.Identity(), s.Dense(5, 1.1, 0.1), s.Relu())
    )
    add("FanInProd", s.serial(s.FanOut(2), beside, s.FanInProd(), end), x, y)
    beside = s.parallel(s.serial(s.Dense(5, 1.3, 0.2), s.Erf()), s.serial(s.Dense(7, 1.1, 0.1), s.Relu()))
    add("FanInConcat", s.serial(s.FanOut(2), beside, s.FanInConcat(-1), end), x, y)
    once = s.serial(s.Relu(), s.Dense(5, 1.3, 0.2))
    add("repeat", s.serial(s.Dense(5, 1.3, 0.2), s.repeat(once, 4)), x, y)

    add("DotGeneral, scalar", s.serial(same, s.Relu(), s.DotGeneral(rhs=1.7), s.Flatten(), end), image, other)
    narrower = s.DotGeneral(lhs=np.array([0.5, -1.0, 2.0]), dimension_numbers=(((0,), (1,)), ((), ())))
    thrice = s.Index(s.Slice[:, :3])
    add("DotGeneral, contracted", s.serial(same, s.Relu(), thrice, narrower, s.Flatten(), end), image, other)
    for method in ("nearest", "linear"):
        for size in ((-1, 3, 9, -1), (-1, 8, -1, -1)):
            resized = s.ImageResize(size, method, antialias=False)
            chain = s.serial(same, s.Relu(), same, s.Relu(), resized, same, s.Relu(), s.GlobalAvgPool(), end)
            add(f"ImageResize, {method} {size}", chain, image, other)
    for name, idx, behind in (
        ("part", s.Slice[:, 1:5:2, ::-1], s.Conv(8, (2, 2), None, "SAME", 1.2)),
        ("row", s.Slice[:, 0, ...], s.Conv(8, (2,), None, "SAME", 1.2)),
    ):
        add(
            f"Index, {name}",
            s.serial(same, s.Relu(), s.Index(idx), behind, s.Relu(), s.Flatten(), end),
            image,
            other,
        )
        pooled = s.serial(same, s.Relu(), s.Index(idx), behind, s.Relu(), s.GlobalAvgPool(), end)
        add(f"Index and pooling, {name}", pooled, image, None)
    graphs = random.normal(size=(3, 7, 7)), random.normal(size=(2, 7, 7))
    body = (s.Dense(6, 1.3, 0.2), s.Relu())
    deep = s.serial(*body, s.Aggregate(), s.Dense(6, 1.2, 0.1), s.Relu(), s.GlobalAvgPool(), end)
    add("Aggregate", deep, row, rows, pattern=graphs)
    add("Aggregate, one set", deep, row, None, pattern=(graphs[0], graphs[0]))
    partial = s.serial(same, s.Relu(), s.Aggregate(1), same, s.Relu(), s.GlobalAvgPool(), end)
    add("Aggregate, one axis", partial, image, other, pattern=(graphs[0][:, :6, :6], graphs[1][:, :6, :6]))
    edges = tuple(random.integers(0, 7, size=(n, 12, 1, 2)) for n in (3, 2))
    edges[0][1, 8:] = -1
    sparse = s.Aggregate(implementation="SPARSE")
    add("Aggregate, edges", s.serial(*body, sparse, *body, s.GlobalAvgPool(), end), row, rows, pattern=edges)

    for kind in ("SOFTMAX", "IDENTITY", "ABS", "RELU"):
        for place in ("NONE", "SUM", "CONCAT"):
            for scaled in (True, False) if kind == "IDENTITY" else (True,):
                options = {
                    "linear_scaling": scaled,
                    "W_key_std": 1.2,
                    "W_value_std": 0.9,
                    "W_query_std": 0.8,
                    "W_out_std": 1.1,
                    "b_std": 0.3,
                    "attention_mechanism": kind,
                    "pos_emb_type": place,
                    "W_pos_emb_std": 0.7,
                }
                if place != "NONE":
                    options |= {"val_pos_emb": kind in ("SOFTMAX", "IDENTITY")}
                    options |= {"pos_emb_decay_fn": lambda d: 1 / (1 + d)} if kind == "ABS" else {}
                if place == "CONCAT":
                    options |= {"n_chan_pos_emb": 3}
                attend = s.GlobalSelfAttention(8, 4, 4, 4, **options)
                name = f"GlobalSelfAttention, {kind}, {'1/d' if scaled else '1/sqrt(d)'}, {place}"
                chain = s.serial(s.Conv(8, (3,), None, "SAME", 1.3, 0.2), s.Relu(), attend, s.Relu())
                add(name, s.serial(chain, s.Flatten(), end), row, rows)
                if place == "SUM":
                    unlike = options | {"val_pos_emb": not options["val_pos_emb"]}
                    attend = s.GlobalSelfAttention(8, 4, 4, 4, **unlike)
                    chain = s.serial(s.Conv(8, (3,), None, "SAME", 1.3, 0.2), s.Relu(), attend, s.Relu())
                    add(f"{name}, values otherwise", s.serial(chain, s.GlobalAvgPool(), end), row, None)

    holes, more = row.copy(), rows.copy()
    holes[0, 5:], holes[2, 2:], more[1, 6:] = 99.0, 99.0, 99.0
    masked = {"mask_constant": 99.0}
    conv = s.Conv(8, (3,), None, "SAME", 1.3, 0.2)
    softmax = s.GlobalSelfAttention(8, 4, 4, 4, W_key_std=1.2, b_std=0.3)
    relu = s.GlobalSelfAttention(8, 4, 4, 4, attention_mechanism="RELU", pos_emb_type="SUM")
    chains = {
        "Dense": s.serial(s.Dense(8, 1.3, 0.2), s.Relu(), s.Flatten(), end),
        "Conv": s.serial(conv, s.Relu(), conv, s.Cos(), s.GlobalAvgPool(), end),
        "Conv, strides": s.serial(s.Conv(8, (3,), (2,), "VALID", 1.3, 0.2), s.Relu(), s.GlobalAvgPool(), end),
        "ConvLocal": s.serial(conv, s.Relu(), s.ConvLocal(8, (3,), None, "SAME", 1.3, 0.2), s.Flatten(), end),
        "AvgPool": s.serial(conv, s.Relu(), s.AvgPool((2,), (2,), "SAME"), conv, s.Relu(), s.Flatten(), end),
        "GlobalSumPool": s.serial(conv, s.Erf(), s.GlobalSumPool(), end),
        "LayerNorm": s.serial(conv, s.LayerNorm((1, 2)), s.Relu(), s.GlobalAvgPool(), end),
        "softmax": s.serial(conv, s.Relu(), softmax, s.Relu(), s.GlobalAvgPool(), end),
        "rectified attention": s.serial(conv, s.Relu(), relu, s.Relu(), s.GlobalAvgPool(), end),
        "FanInSum": s.serial(
            conv,
            s.FanOut(2),
            s.parallel(s.Identity(), s.serial(s.Relu(), conv)),
            s.FanInSum(),
            s.Flatten(),
            end,
        ),
        "Index": s.serial(conv, s.Relu(), s.Index(s.Slice[:, 1:6]), s.Flatten(), end),
    }
    for name, network in chains.items():
        add(f"mask, {name}", network, holes, more, **masked)
        add(f"mask, {name}, one set", network, holes, None, **masked)
    return found


def valued(side: str, folder: Path, like: str) -> None:
    """Kernels of every network of such a name; results are left in the folder."""
    jax.config.update("jax_enable_x64", True)
    arrays, refused = {}, {}
    for name, (network, one, other, kwargs) in networks(library(side)).items():
        if like.lower() not in name.lower():
            continue
        print(f"{side}: {name}", file=sys.stderr, flush=True)
        try:
            found = network[2](one, other, ("nngp", "ntk"), **kwargs)
            arrays |= {f"{name}: {kind}": np.asarray(getattr(found, kind)) for kind in ("nngp", "ntk")}
        except Exception as error:
            refused[name] = f"{type(error).__name__}: {error}"[:200]
    np.savez(folder / f"{side}.npz", **arrays)
    (folder / f"{side}.json").write_text(json.dumps(refused))


def run_side(side: str, python: str, folder: Path, *arguments: str) -> Any:
    command = [python, str(Path(__file__)), "--side", side, "--folder", str(folder), *arguments]
    # An older XLA stops at flags that it does not know, and JAX at settings that it does not have.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XLA_", "JAX_"))}
    subprocess.run(command, check=True, env=dict(os.environ) if side == "ours" else kept)
    return json.loads((folder / f"{side}.json").read_text()), dict(np.load(folder / f"{side}.npz"))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference relative to the largest entry."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def compare_values(pythons: dict[str, str], like: str) -> None:
    """A line for each network of such a name; exit status 1 where one differs by more than 1e-6."""
    with tempfile.TemporaryDirectory() as name:
        told = {
            side: run_side(side, python, Path(name), "--values", "--like", like)
            for side, python in pythons.items()
        }
    if "peer" not in told:
        print(f"{len(told['ours'][1])} kernels, refused: {told['ours'][0]}")
        return
    (mine, ours), (other, theirs) = told["ours"], told["peer"]
    worst, missing = (
        0.0,
        {**{f"ours {k}": v for k, v in mine.items()}, **{f"peer {k}": v for k, v in other.items()}},
    )
    for name in theirs:
        if name in ours:
            off = difference(ours[name], theirs[name])
            worst = max(worst, off) if off == off else np.inf
            print(f"{name:75s} {off:.1e}{'' if off <= 1e-6 else '   DIFFERS'}")
    for name, sentence in missing.items():
        print(f"{name}: {sentence}")
    print(f"{len(theirs)} kernels, the largest relative difference {worst:.1e}, {len(missing)} refused")
    if missing or not worst <= 1e-6:
        raise SystemExit(1)


def compare_speed(pythons: dict[str, str], names: list[str], repetitions: int) -> None:
    """Seconds, memory and ratios; exit status 1 where float64 results differ by more than 1e-6."""
    wrong = False
    for name in names:
        print(f"{name}: {CASES[name]}")
        for precision in PRECISIONS:
            told, results = {}, {}
            for side, python in pythons.items():
                with tempfile.TemporaryDirectory() as folder:
                    arguments = ("--case", name, "--precision", precision, "--repetitions", str(repetitions))
                    told[side], results[side] = run_side(side, python, Path(folder), *arguments)
                t, middle = told[side], statistics.median(told[side]["seconds"])
                print(
                    f"  {precision} {side:5s} {middle:.4f} CPU s ({min(t['seconds']):.4f} to "
                    f"{max(t['seconds']):.4f}), wall {t['wall']:.4f}, first call {t['first']:.2f}, peak "
                    f"{t['peak'] / 1e9:.2f} GB, JAX {t['jax']}",
                    flush=True,
                )
            if "peer" in told:
                ours, peer = told["ours"], told["peer"]
                ratio = statistics.median(peer["seconds"]) / statistics.median(ours["seconds"])
                pairs = zip(results["ours"].values(), results["peer"].values(), strict=True)
                off = max(difference(a, b) for a, b in pairs)
                wrong |= precision == "float64" and not off <= 1e-6
                print(
                    f"  {precision} peer / ours = {ratio:.2f} in CPU seconds, "
                    f"{peer['peak'] / ours['peak']:.2f} in memory; results differ by {off:.1e}",
                    flush=True,
                )
    if wrong:
        raise SystemExit("results in double precision differ by more than 1e-6.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="the peer's Python; without it only ours is run")
    parser.add_argument("--values", action="store_true", help="compare kernels of every combinator instead")
    parser.add_argument("--like", default="", help="with --values: networks whose names contain this")
    parser.add_argument("--case", choices=tuple(CASES))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--precision", choices=PRECISIONS)
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side and given.values:
        valued(given.side, given.folder, given.like)
    elif given.side:
        jax.config.update("jax_enable_x64", given.precision == "float64")
        timed(given.side, given.case, given.precision, given.repetitions, given.folder)
    else:
        pythons = {"ours": sys.executable} | ({"peer": given.peer} if given.peer else {})
        if given.values:
            compare_values(pythons, given.like)
        else:
            compare_speed(pythons, [given.case] if given.case else list(CASES), given.repetitions)
