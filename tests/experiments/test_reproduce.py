"""The driver of experiments: presets, checked parameters, files, resume, the same seed the same record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
import xarray as xr

from neuromanifold._base import FileError
from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Prediction,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
    read_record,
)
from neuromanifold.experiments import Card, build, command, experiment, parameter, registry, reproduce
from neuromanifold.experiments import _experiment as module
from neuromanifold.experiments._figure import panels, simulation, theory

CARD = Card(
    name="coin-toss",
    title="Tossing coins",
    topic="toys",
    lecture="",
    systems=("A1",),
    idea="A coin that falls on one side with probability p does so in a share p of throws.",
    equations=(("the share", r"\bar{x} = p"),),
    sources=("amari1972",),
    caption="Share of heads against throws.",
)


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(module, "_REGISTRY", {})

    @experiment(CARD, full={"n_throws": 2000})
    class CoinToss:
        p: float = parameter(0.3, doc="probability of heads", low=0.0, high=1.0)
        n_throws: int = parameter(400, doc="throws", unit="throws", low=1)
        weights: tuple[float, ...] = parameter((1.0, 2.0), doc="just numbers", low=0.0, open_low=True)
        side: str = parameter("heads", doc="which side", choices=("heads", "tails"))
        fair: bool = parameter(False, doc="whether p is ignored")
        resolution: float = parameter(0.2, doc="difference to be seen", low=0.0, open_low=True)

        def check(self):
            if self.fair and self.p != 0.3:
                raise ValueError(f"p must be left alone for a fair coin, got {self.p!r}.")

        def predict(self):
            p = 0.5 if self.fair else self.p
            return xr.Dataset(predicted_variable("share_theory", Prediction(p), long_name="share of heads"))

        def simulate(self, key, run):
            p = 0.5 if self.fair else self.p

            def step(key, t, x):
                return jax.random.bernoulli(key, p).astype(float), None

            done = run(
                Process(lambda key, x0: x0, step),
                key,
                0.0,
                self.n_throws,
                observe=lambda x: x,
                label="throws",
            )
            return xr.Dataset(
                measured_variables("share", estimate(done.values[1:]), long_name="share of heads")
            )

        def claims(self, record):
            return [
                compare(
                    read_predicted(record, "share_theory"),
                    read_measured(record, "share"),
                    statement="the share of heads is p",
                    system="A1",
                    resolution=self.resolution,
                )
            ]

        def draw(self, record):
            figure, axes = panels()
            theory(axes[0, 0], [0, 1], [float(record.share_theory)] * 2, label="theory")
            simulation(axes[0, 0], [0.5], [float(record.share)], [float(record.share_stderr)], label="throws")
            return figure

    return CoinToss


def test_presets_and_settings(toy):
    assert registry() == {"coin-toss": toy}
    assert build(toy, "quick").n_throws == 400
    assert build(toy, "full").n_throws == 2000
    assert build(toy, "full", {"n_throws": 7, "p": 0.25}).n_throws == 7
    assert command(build(toy, "quick", {"weights": (3.0, 4.5)}), "quick", 5) == (
        "neuromanifold reproduce coin-toss --preset quick --seed 5 --set weights=3.0,4.5"
    )


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"p": 1.5}, "p must be a finite number in [0, 1], got 1.5."),
        ({"n_throws": 0}, "n_throws must be an integer >= 1, got 0."),
        ({"n_throws": 2.5}, "n_throws must be an integer >= 1, got 2.5."),
        ({"weights": (1.0, 0.0)}, "weights[1] must be a finite number > 0, got 0.0."),
        ({"weights": ()}, "weights must hold at least one value, got ()."),
        ({"side": "edge"}, "side must be one of 'heads', 'tails', got 'edge'."),
        ({"fair": 1}, "fair must be True or False, got 1."),
        ({"fair": True, "p": 0.4}, "p must be left alone for a fair coin, got 0.4."),
    ],
)
def test_every_bad_value_is_refused(toy, settings, sentence):
    with pytest.raises(ValueError) as caught:
        build(toy, "quick", settings)
    assert str(caught.value) == sentence


def test_unknown_presets_and_fields_are_refused(toy):
    with pytest.raises(ValueError, match="preset must be one of 'quick', 'full', got 'slow'"):
        build(toy, "slow")
    with pytest.raises(ValueError, match="a field of coin-toss must be one of p, n_throws"):
        build(toy, "quick", {"throws": 3})


def test_the_files_and_what_they_hold(toy, tmp_path):
    outcome = reproduce(build(toy, "quick"), seed=3, out=tmp_path)
    assert outcome.holds
    folder = tmp_path / "coin-toss"
    assert sorted(path.name for path in folder.iterdir()) == [
        "claims.json",
        "figure.png",
        "figure.svg",
        "record.nc",
    ]
    (claim,) = json.loads((folder / "claims.json").read_text())
    assert set(claim) == {
        "experiment", "system", "statement", "expected", "measured", "standard_error", "tolerance",
        "reason", "holds", "preset", "seed", "version", "kind",
    }  # fmt: skip
    assert claim["experiment"] == "coin-toss"
    assert claim["seed"] == 3
    assert claim["expected"] == 0.3
    record = read_record(folder / "record.nc")
    assert json.loads(record.attrs["parameters"])["n_throws"] == 400
    assert json.loads(record.attrs["card"])["title"] == "Tossing coins"
    assert record.attrs["command"] == "neuromanifold reproduce coin-toss --preset quick --seed 3"
    xr.testing.assert_identical(record, outcome.record)


def test_the_same_seed_gives_the_same_files_and_another_another(toy, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        reproduce(build(toy, "quick"), seed=seed, out=tmp_path / name)
    one, two, other = (read_record(tmp_path / name / "coin-toss" / "record.nc") for name in "abc")
    xr.testing.assert_identical(one, two)
    assert float(one.share) != float(other.share)
    for name in ("figure.svg", "figure.png", "claims.json"):
        assert (tmp_path / "a/coin-toss" / name).read_bytes() == (
            tmp_path / "b/coin-toss" / name
        ).read_bytes()


def test_undecided_is_an_error_and_never_a_pass(toy, tmp_path):
    outcome = reproduce(build(toy, "quick", {"resolution": 0.01}), out=tmp_path)
    assert not outcome.holds
    assert "too few samples" in outcome.error
    (row,) = json.loads((tmp_path / "coin-toss" / "claims.json").read_text())
    assert row["holds"] is None
    assert row["kind"] == "undecided"


def test_a_mutated_prediction_does_not_hold(toy):
    wrong = build(toy, "quick", {"n_throws": 2000})
    object.__setattr__(wrong, "predict", lambda: xr.Dataset(
        predicted_variable("share_theory", Prediction(0.7), long_name="share of tails")))  # fmt: skip
    outcome = reproduce(wrong)
    assert not outcome.holds
    assert outcome.error is None


def test_resume_takes_a_finished_record_and_a_started_run(toy, tmp_path, monkeypatch):
    whole = reproduce(build(toy, "quick"), seed=1, out=tmp_path / "whole")
    calls = []
    original = toy.simulate
    monkeypatch.setattr(toy, "simulate", lambda self, key, run: calls.append(1) or original(self, key, run))
    again = reproduce(build(toy, "quick"), seed=1, out=tmp_path / "whole", resume=True)
    assert calls == []
    xr.testing.assert_identical(whole.record, again.record)
    reproduce(build(toy, "quick"), seed=2, out=tmp_path / "whole", resume=True)
    assert calls == [1]
    (tmp_path / "whole/coin-toss/record.nc").write_bytes(b"damaged")
    with pytest.raises(FileError, match="damaged"):
        reproduce(build(toy, "quick"), seed=1, out=tmp_path / "whole", resume=True)


def test_interrupted_and_resumed_the_record_is_the_same(toy, tmp_path):
    from neuromanifold.dynamics import RunInterrupted

    def interrupt(label, done, total, seconds):
        if done > 50 and not (tmp_path / "stopped").exists():
            (tmp_path / "stopped").touch()
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)

    whole = reproduce(build(toy, "full"), preset="full", out=tmp_path / "a")
    with pytest.raises(RunInterrupted, match="throws stopped at step"):
        reproduce(build(toy, "full"), preset="full", out=tmp_path / "b", progress=interrupt)
    assert list((tmp_path / "b/coin-toss/checkpoints").iterdir())
    rest = reproduce(build(toy, "full"), preset="full", out=tmp_path / "b", resume=True)
    xr.testing.assert_identical(whole.record, rest.record)
    assert not (tmp_path / "b/coin-toss/checkpoints").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(toy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot write"):
        reproduce(build(toy, "quick"), out=tmp_path / "file")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_outside_their_range_are_refused(toy, seed):
    with pytest.raises(ValueError, match="seed must be an integer in"):
        reproduce(build(toy, "quick"), seed=seed)


def test_a_class_that_is_no_experiment_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_REGISTRY", {})
    with pytest.raises(TypeError, match=r"must define predict\(\)"):
        experiment(CARD, full={})(type("Empty", (), {}))


def test_every_registered_experiment_is_run_through_the_driver_by_a_test_of_its_own():
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*_experiment*.py")]
    # What a module names in SMALL, the fixture `records` runs through the driver.
    driven = [text for text in tests if re.search(r"reproduced?\(|^SMALL = ", text, re.MULTILINE)]
    for name, cls in registry().items():
        assert any(cls.__name__ in text or f'"{name}"' in text for text in driven), name


def test_every_registered_experiment_keeps_the_contract():
    """Cards that a page can be made of, presets that build, names that fit a command line."""
    from latex2mathml.converter import convert

    for name, cls in registry().items():
        card = cls.card
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert card.idea.endswith(".")
        assert card.caption.endswith(".")
        assert card.systems
        assert card.sources
        for caption, equation in card.equations:
            assert caption
            assert convert(equation).startswith("<math")
        for preset in ("quick", "full"):
            assert build(cls, preset).card is card
        with pytest.raises(ValueError):
            build(cls, "quick", {"no_such_field": 1})
    assert jnp.ones(1).dtype == jnp.float32
