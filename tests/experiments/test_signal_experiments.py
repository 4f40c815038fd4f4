"""The three experiments on signals: they hold, fail on mutated theory, refuse nonsense, and draw."""

from __future__ import annotations

import numpy as np
import pytest

from neuromanifold.evidence import UndecidedError
from neuromanifold.experiments.signals import OrderChaos, SignalCorrelation, SignalLength

SMALL = {
    "signal-length": SignalLength(),
    "signal-correlation": SignalCorrelation(),
    "order-chaos": OrderChaos(),
}


@pytest.mark.parametrize("name", list(SMALL))
def test_claims_hold(records, name):
    claims = SMALL[name].claims(records[name])
    assert len(claims) >= 4
    assert [claim.statement for claim in claims if not claim.holds] == []


@pytest.mark.parametrize("name", list(SMALL))
def test_figures_are_drawn(records, labelled, name):
    labelled(SMALL[name].draw(records[name]))


def statements_that_fail(experiment, record) -> list[str]:
    return [claim.statement for claim in experiment.claims(record) if not claim.holds]


def test_length_claims_fail_without_the_square_root(records):
    """phi(q z) in place of phi(sqrt(q) z)."""
    record = records["signal-length"].copy(deep=True)
    z = np.linspace(-10, 10, 2001)
    w = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    for i in range(record.sizes["start"]):
        a = record["tanh_wide"].values[i, :-1]
        q = 1.5**2 * a + 0.09
        record["tanh_finite"].values[i, 1:] = np.tanh(q[:, None] * z[None, :]) ** 2 @ w
    failed = statements_that_fail(SMALL["signal-length"], record)
    assert sum("tanh: activity" in text for text in failed) >= 2


def test_length_claims_fail_without_the_bias_of_finite_width(records):
    record = records["signal-length"].copy(deep=True)
    experiment = SMALL["signal-length"]
    shift = record["small_finite"].values - float(record["small_wide"])
    record["small_finite"].values[:] = float(record["small_wide"]) - shift
    failed = statements_that_fail(experiment, record)
    assert sum("shifted by b/n" in text for text in failed) == record["small_finite"].size


def test_a_bias_too_small_to_see_is_undecided(records):
    record = records["signal-length"].copy(deep=True)
    record["small_finite"].values[:] = float(record["small_wide"]) * (1 + 1e-6)
    with pytest.raises(UndecidedError):
        SMALL["signal-length"].claims(record)


def test_correlation_claims_fail_when_the_distance_law_is_a_third_off(records):
    """A distance that is a third too large."""
    record = records["signal-correlation"].copy(deep=True)
    for phase in ("ordered", "chaotic"):
        record[f"{phase}_finite"].values[:] *= 1.33
    assert len(statements_that_fail(SMALL["signal-correlation"], record)) >= 8


def test_growth_claims_fail_for_a_first_power_of_sigma_w(records):
    """chi_1 = sigma_w E phi'^2 in place of sigma_w^2 E phi'^2."""
    record = records["order-chaos"].copy(deep=True)
    record["rate_predicted"].values[:] -= np.log(record.sigma_w.values)
    failed = statements_that_fail(SMALL["order-chaos"], record)
    # At sigma_w close to 1 the mutant is close to the truth.
    assert any(f"{float(record.sigma_w[-1]):.3f}" in text for text in failed)
    assert len(failed) >= 2


def test_growth_sign_claims_fail_on_the_wrong_side(records):
    record = records["order-chaos"].copy(deep=True)
    record["rate_measured"].values[:] *= -1
    failed = statements_that_fail(SMALL["order-chaos"], record)
    off_the_edge = [factor for factor in SMALL["order-chaos"].factors if factor != 1.0]
    assert sum("small perturbation" in text for text in failed) == len(off_the_edge)


def test_mode_claims_fail_for_another_window(records):
    """lambda_k of dense layers (1 for all), and of a window of 5 in place of 3."""
    for wrong in (np.ones(5), np.cos(2 * np.pi / 8 * np.outer(np.arange(5), np.arange(-2, 3))).mean(1)):
        record = records["order-chaos"].copy(deep=True)
        record["modes_predicted"].values[:] = wrong ** record.layer.values[:, None]
        failed = statements_that_fail(SMALL["order-chaos"], record)
        assert sum("convolution: mode" in text for text in failed) >= 3


def test_the_two_edges_are_the_printed_ones(records):
    record = records["order-chaos"]
    assert float(record["critical_tanh"]) == pytest.approx(1.395584, abs=5.1e-7)
    assert float(record["critical_erf"]) == pytest.approx(1.645094, abs=5.1e-7)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SignalLength(n_units=3), "n_units must be"),
        (lambda: SignalLength(sigma_w_relu=1.5), "sigma_w_relu must be"),
        (lambda: SignalLength(starts=()), "starts must hold"),
        (lambda: SignalCorrelation(sigma_w_ordered=2.0), "sigma_w_ordered must give chi_1 below 1"),
        (lambda: SignalCorrelation(sigma_w_chaotic=1.0), "sigma_w_chaotic must give chi_1 above 1"),
        (lambda: SignalCorrelation(activation="relu"), "activation must be one of"),
        (lambda: OrderChaos(perturbation=0.1), "perturbation must be"),
        (lambda: OrderChaos(half_width=4), "half_width must"),
        (lambda: OrderChaos(n_channels=50, n_directions=43), "n_channels must"),
    ],
)
def test_bad_parameters_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
