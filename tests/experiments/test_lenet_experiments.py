"""Experiments on LeNets: records, claims from the record alone, sources, mutations that fail."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import neuromanifold.experiments.perception  # noqa: F401  (registers)
from neuromanifold._base import FileError
from neuromanifold.data import DATA_VARIABLE, load_mnist_subset, split
from neuromanifold.dynamics import run
from neuromanifold.evidence import UndecidedError
from neuromanifold.experiments import build, registry, reproduce
from neuromanifold.experiments.perception._training import Preparation, standard_preparation, train
from neuromanifold.learning import MaximumPosterior
from neuromanifold.networks.convolutional import LeNet5

NAMES = ("lenet-digits", "lenet-distortions", "lenet-1989-usps", "lenet-gradients")


def small(name):
    """An experiment that learns too little to say anything about digits, but runs every line."""
    return build(registry()[name], "quick", {} if name == "lenet-gradients" else {"n_epochs": 1})


@pytest.mark.parametrize("name", ["lenet-digits", "lenet-1989-usps"])
def test_record_is_a_function_of_the_seed_and_holds_what_the_figure_needs(name, tmp_path):
    first = reproduce(small(name), seed=3, out=tmp_path)
    if name == "lenet-digits":
        xr.testing.assert_equal(first.record, reproduce(small(name), seed=3).record)
    record = first.record
    assert record.sizes["epoch"] == 2
    assert ((record["held_out_error"] >= 0) & (record["held_out_error"] <= 1)).all()
    # The error by digit, on as many digits of each class, averages to the error.
    assert record["class_error"].mean() == pytest.approx(float(record["held_out_error"][-1]))
    hard = record["hard_label"] != record["hard_decision"]
    n_wrong = round(float(record["held_out_error"][-1]) * small(name).n_test)
    assert int(hard.sum()) == min(n_wrong, record.sizes["shown"])
    assert (tmp_path / name / "figure.svg").exists()


def test_both_courses_of_distortions_are_recorded(tmp_path):
    record = reproduce(small("lenet-distortions"), seed=3, out=tmp_path).record
    assert record["held_out_error"].dims == ("distorted", "epoch")
    assert record["held_out_error"].shape == (2, 2)
    plain, distorted = record["held_out_error"].values
    assert plain[0] == distorted[0]
    assert (plain < 0.9).any() or (distorted < 0.9).any()
    assert (tmp_path / "lenet-distortions" / "figure.svg").exists()


def record_with(error, n, name, **settings):
    """A record as if training had reached an error."""
    made = build(registry()[name], "quick", settings)
    variables = {}
    spread = np.sqrt(error * (1 - error) / n)
    shape = (2, 2) if name == "lenet-distortions" else (2,)
    dims = ("distorted", "epoch")[-len(shape) :]
    for suffix, value in (("", error), ("_stderr", spread)):
        variables[f"held_out_error{suffix}"] = xr.Variable(
            dims, np.full(shape, value), {"n": n, "correlation_time": 1.0}
        )
    return made, xr.Dataset(variables)


@pytest.mark.parametrize(
    ("name", "settings", "bound"),
    [
        ("lenet-digits", {"source": "mnist"}, 0.012),
        ("lenet-digits", {"source": "mnist", "architecture": "modern", "distortions": True}, 0.008),
        ("lenet-distortions", {"source": "mnist"}, 0.008),
        ("lenet-1989-usps", {"source": "usps"}, 0.055),
    ],
)
def test_bounds_of_the_full_claims(name, settings, bound):
    for error, holds in ((bound - 0.0005, True), (bound + 0.0005, False)):
        made, record = record_with(error, 10_000, name, **settings)
        (claim,) = made.claims(record)
        assert (claim.holds, claim.expected, claim.kind) == (holds, bound, "at most")


@pytest.mark.parametrize("name", ["lenet-digits", "lenet-distortions", "lenet-1989-usps"])
def test_quick_claims_fail_and_are_undecided_where_they_should(name):
    made, record = record_with(0.5, 1000, name)
    (claim,) = made.claims(record)
    assert not claim.holds
    made, record = record_with(1 - claim.expected + 0.001, 1000, name)
    with pytest.raises(UndecidedError):
        made.claims(record)


class WrongSignInC1(eqx.Module):
    """LeNet-5 whose first layer has the right values and the wrong sign of the gradient."""

    network: LeNet5

    @property
    def layers(self):
        return self.network.layers

    def _turned(self):
        turned = jax.tree.map(lambda w: 2 * jax.lax.stop_gradient(w) - w, self.network.c1)
        return eqx.tree_at(lambda m: m.c1, self.network, turned)

    def __call__(self, picture):
        return self._turned()(picture)

    def scores(self, picture):
        return self._turned().scores(picture)


@pytest.mark.slow
def test_digits_are_learned_and_a_mutated_rule_is_not_taken_for_it():
    """The quick course clears its bound at five standard errors; two mutations of the rule do not.

    Convolutional layers that do not learn, and a gradient with the wrong sign in the first layer.
    """
    quick = build(registry()["lenet-digits"], "quick", {"n_epochs": 5})
    key = jax.random.key(1)
    training, held_out = split(key, load_mnist_subset(), 1000)
    network = LeNet5(key=jax.random.key(2))
    frozen = eqx.tree_at(
        lambda m: (m.c1, m.c3),
        jax.tree.map(eqx.is_inexact_array, network),
        (False, False),
    )

    def holds(network, trainable=eqx.is_inexact_array):
        variables = train(
            run,
            key,
            network,
            MaximumPosterior(quick.rubbish),
            training,
            held_out,
            standard_preparation(training, 32),
            dataclasses.replace(quick, n_watched=100),
            trainable=trainable,
            label="course",
        )
        try:
            (claim,) = quick.claims(xr.Dataset(variables))
        except UndecidedError:
            return False
        return claim.holds

    assert holds(network)
    assert not holds(network, frozen)
    assert not holds(WrongSignInC1(network))


def test_gradients_and_counts_hold_and_a_wrong_table_is_seen(tmp_path):
    outcome = reproduce(small("lenet-gradients"), out=tmp_path)
    assert outcome.holds
    counted = {claim.statement: claim.measured for claim in outcome.claims if claim.kind == "agrees"}
    assert sorted(counted.values()) == [1256, 9760, 60000, 64660, 340908]
    made = small("lenet-gradients")
    wrong = outcome.record.copy(deep=True)
    wrong["counted_connections"][2] += 1
    assert [claim.holds for claim in made.claims(wrong)].count(False) == 1
    wrong = outcome.record.copy(deep=True)
    wrong["discrepancy"][5] = 2e-7
    assert [claim.holds for claim in made.claims(wrong)].count(False) == 1


def test_counts_follow_other_sizes():
    made = build(registry()["lenet-gradients"], "quick", {"n_maps": (4, 8, 20), "n_maps_1989": (3, 5)})
    predicted = made.predict()
    network = LeNet5(key=jax.random.key(0), n_maps=(4, 8, 20))
    own = [str(layer).startswith("LeNet-5 ") for layer in predicted["layer"].values]
    assert predicted["expected_parameters"].values[own].sum() == network.n_parameters
    assert predicted["expected_connections"].values[own].sum() == network.n_connections


def test_full_sources_come_from_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    for name in ("lenet-digits", "lenet-distortions", "lenet-1989-usps"):
        with pytest.raises(FileError, match="there is no file"):
            build(registry()[name], "full").simulate(jax.random.key(0), run)


def test_preparation_distorts_in_training_only(key):
    digits = load_mnist_subset().take(np.arange(0, 5000, 50))
    plain = standard_preparation(digits, 32)
    prepared = np.asarray(plain(None, jnp.asarray(digits.images)))
    assert abs(prepared.mean()) < 1e-4
    assert prepared.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(plain(key, jnp.asarray(digits.images)), prepared)
    uneven = Preparation(31, 0.0, 1.0)
    assert uneven(None, jnp.zeros((1, 28, 28), jnp.uint8)).shape == (1, 31, 31)


@pytest.mark.parametrize("name", NAMES)
def test_cards_are_complete_and_fields_are_refused(name):
    made = registry()[name]
    card = dataclasses.asdict(made.card)
    assert all(card.values())
    assert made.card.systems == ("D7",)
    field = "n_directions" if name == "lenet-gradients" else "n_epochs"
    with pytest.raises(ValueError, match=field):
        build(made, "quick", {field: 0})
    with pytest.raises(ValueError, match="n_maps"):
        build(made, "quick", {"n_maps": (1, 2, 3, 4)})
