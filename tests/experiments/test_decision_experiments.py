"""Decision and postdiction at small sizes: claims hold, fail for wrong formulas; cards say what they are."""

from __future__ import annotations

import numpy as np
import pytest

from neuromanifold.experiments.decision import DecisionDiffusion, DecisionSymbols, Postdiction

SMALL = {
    "decision-diffusion": DecisionDiffusion(),
    "postdiction": Postdiction(),
    "decision-symbols": DecisionSymbols(),
}


@pytest.mark.parametrize("name", list(SMALL))
def test_claims_hold_and_figures_are_drawn(failed, labelled, name, records):
    assert failed(name) == []
    labelled(SMALL[name].draw(records[name]))


@pytest.mark.parametrize("name", list(SMALL))
def test_cards_say_that_they_interpret(name):
    assert "interpretation" in SMALL[name].card.idea


def test_diffusion_claims_fail_for_other_formulas(failed, records):
    record = records["decision-diffusion"]
    # 1/(1 + e^{-mu a/s^2}) without the factor 2, and times without the correction.
    wrong = 1 / (1 + np.exp(-record.drift.values))
    assert len(failed("decision-diffusion", choice_predicted=wrong)) == 2
    swapped = {"corrected": record.uncorrected.values, "uncorrected": record.corrected.values}
    assert len(failed("decision-diffusion", **swapped)) == 2
    even = 0.5 * (record.upper_share_predicted.values + record.lower_share_predicted.values)
    assert len(failed("decision-diffusion", upper_share_predicted=even)) >= 2


def test_postdiction_claims_fail_for_other_formulas(failed, records):
    record = records["postdiction"]
    # A sixth off, and lags that bring nothing.
    assert len(failed("postdiction", before_predicted=1.17 * record.before_predicted.values)) == 2
    flat = np.repeat(record.after_predicted.values[:, :1], record.sizes["lag"], axis=1)
    assert len(failed("postdiction", after_predicted=flat)) == 6
    assert len(failed("postdiction", gain=-record.gain.values)) == 4


def test_symbol_claims_fail_where_the_other_side_wins(failed):
    # Exponential growth at rate beta - 1 from m_0 to theta: the linear formula.
    linear = np.log(0.6 / 0.15) / 1.5
    assert len(failed("decision-symbols", commit_predicted=linear)) == 1
    assert len(failed("decision-symbols", committed_elsewhere=1)) == 1
    assert len(failed("decision-symbols", turned=0)) == 1
    assert len(failed("decision-symbols", turned=SMALL["decision-symbols"].n_networks)) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DecisionDiffusion(bound=0.0), "bound must be"),
        (lambda: DecisionDiffusion(steps=(0.01, 0.04)), "steps must fall"),
        (lambda: DecisionDiffusion(bound=0.1), "steps must be below"),
        (lambda: Postdiction(output_noise=0.0), "output_noise must be"),
        (lambda: Postdiction(lags=(-1,)), r"lags\[0\] must be"),
        (lambda: Postdiction(lags=(2, 1)), "lags must rise"),
        (lambda: DecisionSymbols(beta=1.25, theta=0.8), "theta must be below"),
        (lambda: DecisionSymbols(kappas=(0.0, 0.4)), "kappas must lie clearly"),
    ],
)
def test_bad_parameters_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
