"""A folder of records made by hand: one experiment that holds, one that does not, one undecided."""

from __future__ import annotations

import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib import rc_context
from matplotlib.figure import Figure

from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    compare,
    measured_variables,
    never,
    scales,
    write_record,
)

CARD = {
    "name": "recall-overlap",
    "title": "How well an associative memory recalls",
    "topic": "memory",
    "lecture": "C",
    "systems": ["C1", "A25"],
    "idea": "Patterns are stored by Hebb's rule and one is shown. The theory says how much of it is "
    "recalled as a function of the load.\n\n"
    'Beyond the critical load the memory is lost: x < y & "quoted" <b>not bold</b>.',
    "equations": [
        ["The overlap", r"m = \operatorname{erf}\left(\frac{m}{\sqrt{2 \alpha r}}\right)"],
        [
            "The noise of the other patterns, written out at length",
            r"r = \frac{1}{\left(1 - C\right)^2}, "
            r"\quad C = \sqrt{\frac{2}{\pi \alpha r}} \, e^{-m^2 / (2 \alpha r)}, "
            r"\quad \alpha = \frac{P}{N}, \quad \sum_{\mu=1}^{P} \xi_i^\mu \xi_j^\mu = N J_{ij}",
        ],
    ],
    "sources": ["amari1972"],
    "caption": "Overlap after recall against the load: the line is the theory, the points are simulations.",
}
PARAMETERS = [
    {
        "name": "n_units",
        "value": 4000,
        "unit": "1",
        "low": 2,
        "high": None,
        "doc": "number of units N",
        "choices": None,
    },
    {
        "name": "loads",
        "value": [0.1, 0.12, 0.13],
        "unit": "patterns per unit",
        "low": 0.0,
        "high": 0.2,
        "doc": "loads",
        "choices": None,
    },
    {
        "name": "update",
        "value": "parallel",
        "unit": "1",
        "low": None,
        "high": None,
        "doc": "order of updates",
        "choices": ["parallel", "one"],
    },
]


def write_experiment(
    folder: Path, card: dict | None = None, claims: list[Claim] | None = None, seed: int = 3
) -> Path:
    """A folder as `reproduce` leaves it; `claims=None` writes an undecided one."""
    card = CARD | (card or {})
    place = folder / card["name"]
    place.mkdir(parents=True)
    overlap = Estimate(np.array([0.9983, 0.9936, 0.9877]), np.array([4e-4, 6e-4, 9e-4]), 20)
    record = xr.Dataset(
        {
            **measured_variables("overlap", overlap, ["load"], long_name='overlap, "m"'),
            "overlap_theory": xr.Variable(
                ("load",), [0.998, 0.99322, 0.98721], {"long_name": "overlap", "units": "1"}
            ),
            "course": xr.Variable(("load", "time"), np.linspace(0.0, 1.0, 6).reshape(3, 2), {"units": "1"}),
            "critical_load": xr.Variable((), 0.137906),
        },
        {"load": [0.1, 0.12, 0.13]},
    )
    record.attrs = {
        "experiment": card["name"],
        "title": card["title"],
        "preset": "quick",
        "seed": seed,
        "version": "0.1.0",
        "parameters": json.dumps({line["name"]: line["value"] for line in PARAMETERS}),
        "card": json.dumps(card),
        "parameter_table": json.dumps(PARAMETERS),
        "versions": json.dumps({"jax": "0.10.2", "numpy": "2.3.0", "python": "3.11.2"}),
        "command": f"neuromanifold reproduce {card['name']} --preset quick --seed {seed} --set loads=0.1",
    }
    write_record(record, place / "record.nc")
    common = {"experiment": card["name"], "preset": "quick", "seed": seed, "version": "0.1.0"}
    if claims is None:
        rows = [
            {
                "system": "C1",
                "statement": "The claims of this experiment can be decided.",
                "kind": "undecided",
                "expected": None,
                "measured": None,
                "standard_error": None,
                "tolerance": None,
                "holds": None,
                "reason": "too few samples: 3 of 300.",
            }
            | common
        ]
    else:
        rows = [vars(claim) | common for claim in claims]
    (place / "claims.json").write_text(json.dumps(rows))
    with rc_context({"svg.hashsalt": "fixed", "svg.fonttype": "path"}):
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(record["load"], record["overlap_theory"], label="theory")
        axes.errorbar(record["load"], overlap.mean, overlap.standard_error, fmt="o", label="simulation")
        axes.set_xlabel("load P/N")
        axes.set_ylabel("overlap m")
        axes.legend()
        figure.savefig(place / "figure.svg", metadata={"Date": None})
        figure.savefig(place / "figure.png")
    return place


def good_claims() -> list[Claim]:
    """Claims of four kinds that hold."""
    measured = Estimate(np.asarray(0.9983), np.asarray(4e-4), 20)
    lengths = Estimate(np.array([1.0, 2.1, 4.0, 8.1]), np.array([0.05, 0.1, 0.2, 0.4]), 9)
    return [
        compare(
            Prediction(np.asarray(0.998), 1e-3, "finite size"),
            measured,
            statement="At load 0.10 the overlap "
            "after recall agrees with the solution of Amit, Gutfreund and Sompolinsky.",
            system="C1",
            resolution=0.01,
        ),
        at_least(0.95, measured, statement="At load 0.10 the memory is kept.", system="A25"),
        never(0, 1000, statement="One-by-one updates never raise the energy.", system="C1"),
        scales(
            Prediction(np.asarray(1.0)),
            [1.0, 2.0, 4.0, 8.0],
            lengths,
            statement="Length grows as the size.",
            system="C1",
            resolution=0.5,
        ),
    ]


def bad_claim() -> Claim:
    """A claim that does not hold."""
    measured = Estimate(np.asarray(0.91), np.asarray(4e-4), 20)
    return compare(
        Prediction(np.asarray(0.998)), measured, statement="The overlap agrees.", system="B11", resolution=1.0
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three experiments, made once."""
    out = tmp_path_factory.mktemp("made") / "out"
    write_experiment(out, claims=good_claims())
    write_experiment(
        out,
        {
            "name": "signal-depth",
            "title": "Signals <in> a random & deep network",
            "topic": "signals",
            "lecture": "B",
            "systems": ["B11"],
        },
        [bad_claim(), *good_claims()[1:2]],
    )
    write_experiment(
        out, {"name": "few-samples", "title": "Too few samples", "lecture": "", "systems": ["D7"]}
    )
    (out / "notes").mkdir()
    return out


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Three experiments to be spoiled."""
    return shutil.copytree(made, tmp_path / "out")


@pytest.fixture
def experiments() -> types.SimpleNamespace:
    """What writes more of them."""
    return types.SimpleNamespace(write=write_experiment, good=good_claims, bad=bad_claim)
