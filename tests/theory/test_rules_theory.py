"""Gardner's bound, first steps, sparse coding: equations hold, limits come out, mutants do not pass."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import linprog, minimize_scalar
from scipy.special import erf, ndtr
from scipy.stats import norm

from neuromanifold.theory.memory import (
    capacity,
    first_step,
    gardner_capacity,
    information_per_synapse,
    no_error_capacity,
    optimal_stability,
    pattern_stability,
    retrieval,
    rule_first_step,
    separable_fraction,
    sparse_branch,
    sparse_capacity,
    sparse_capacity_asymptote,
    sparse_finite_step,
    sparse_first_step,
    sparse_retrieval,
)


def moment(kappa):
    return quad(lambda t: (t + kappa) ** 2 * norm.pdf(t), -kappa, 12 + abs(kappa))[0]


@pytest.mark.parametrize("kappa", [-0.5, 0.0, 0.7, 2.5])
def test_gardner_bound_is_the_integral(kappa):
    assert float(gardner_capacity(kappa)) == pytest.approx(1 / moment(kappa), rel=1e-8)
    assert float(optimal_stability(gardner_capacity(kappa))) == pytest.approx(kappa, abs=1e-9)


@pytest.mark.parametrize("kappa, bias", [(0.0, 0.5), (0.4, 0.8), (0.0, 0.99)])
def test_bias_by_minimising_the_integral(kappa, bias):
    def load(v):
        parts = [(1 + s * bias) / 2 * moment((kappa - s * v * bias) / np.sqrt(1 - bias**2)) for s in (1, -1)]
        return sum(parts)

    found = minimize_scalar(load, bounds=(0, 6), method="bounded", options={"xatol": 1e-9})
    expected = 1 / found.fun
    assert float(gardner_capacity(kappa, bias)) == pytest.approx(expected, rel=1e-6)
    assert float(gardner_capacity(kappa, -bias)) == pytest.approx(expected, rel=1e-6)
    # Biased patterns carry less, and so more of them fit.
    assert expected > float(gardner_capacity(kappa))
    assert float(optimal_stability(expected, bias)) == pytest.approx(kappa, abs=1e-5)


def test_gardner_known_numbers():
    assert float(gardner_capacity(0.0)) == 2.0
    # With strong bias the capacity grows as 1/((1 - m)|ln(1 - m)|), from above and slowly.
    ratios = [float(gardner_capacity(0.0, 1 - e)) * e * abs(np.log(e)) for e in (1e-2, 1e-4, 1e-6)]
    assert ratios[0] > ratios[1] > ratios[2] > 1


def test_separable_fraction_is_covers():
    # 2^(1 - P) sum_{k < N} binom(P - 1, k), by hand for N = 2: 2 P / 2^P.
    counts = np.arange(2, 9)
    np.testing.assert_allclose(separable_fraction(counts, 2), 2 * counts / 2.0**counts, rtol=1e-12)
    assert float(separable_fraction(2 * 37, 37)) == pytest.approx(0.5)
    # Against linear programs on Gaussian points in three dimensions.
    random, solved = np.random.default_rng(0), 0
    for _ in range(150):
        x = random.normal(size=(7, 3)) * random.choice([-1, 1], (7, 1))
        solved += linprog(np.zeros(3), -x, -np.ones(7), bounds=(None, None)).status == 0
    expected = float(separable_fraction(7, 3))
    assert abs(solved / 150 - expected) < 5 * np.sqrt(expected * (1 - expected) / 150)


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.floats(0.05, 0.9), st.floats(0.05, 0.95))
def test_first_steps_by_their_stabilities(alpha, m):
    gain = m / np.sqrt(2 * (1 - m**2))
    hebb = quad(lambda t: norm.pdf(t, 1 / np.sqrt(alpha)) * erf(gain * t), -10, 30, limit=200)[0]
    assert float(rule_first_step("hebb", alpha, m)) == pytest.approx(hebb, abs=1e-6)
    assert float(rule_first_step("hebb", alpha, m)) == pytest.approx(float(first_step(alpha, m)))
    delta = float(pattern_stability(alpha))
    assert float(rule_first_step("pseudo-inverse", alpha, m)) == pytest.approx(float(erf(gain * delta)))
    kappa = float(optimal_stability(alpha))
    above = quad(lambda t: norm.pdf(t) * erf(gain * t), kappa, kappa + 9)[0]
    best = ndtr(kappa) * erf(gain * kappa) + above
    assert float(rule_first_step("optimal", alpha, m)) == pytest.approx(best, abs=1e-7)
    assert kappa >= delta - 1e-9  # no rule has a larger least stability


def test_the_diagonal_holds_what_is_wrong():
    near = 1 - 1e-7
    for alpha, corrected in ((0.45, 1.0), (0.55, 0.0)):
        errors_after = 1 - rule_first_step("pseudo-inverse with diagonal", alpha, near)
        assert float(errors_after / (1 - near)) == pytest.approx(1 - corrected, abs=1e-6)
    # Without it wrong units are corrected up to a load of one.
    assert 1 - float(rule_first_step("pseudo-inverse", 0.9, near)) < 1e-6 * (1 - near)


def test_no_error_capacities():
    assert float(no_error_capacity(1000)) == pytest.approx(1000 / (4 * np.log(1000)))
    assert float(no_error_capacity(1000, patterns="one")) == pytest.approx(1000 / (2 * np.log(1000)))
    assert float(no_error_capacity(1000, "storkey")) == pytest.approx(1000 / np.sqrt(2 * np.log(1000)))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("hold", [0.0, 0.6])
def test_sparse_branch_solves_the_equations(exact, hold):
    f = 0.07
    s = sparse_branch(f, np.linspace(-3, -1, 5), np.linspace(2.2, 3, 5), exact, hold)
    q = f * s.hits + (1 - f) * s.false_alarms
    power = q * (1 - q) if exact else q
    np.testing.assert_allclose(s.noise**2, s.load * power / (1 - s.susceptibility) ** 2, rtol=1e-10)
    back = s.load * s.susceptibility / (1 - s.susceptibility)
    effective = s.threshold - back / 2 + (s.load * q / (1 - s.susceptibility) if exact else 0)
    a1 = (effective - hold * back / 2 - (1 - f) * s.overlap) / s.noise
    a0 = (effective + hold * back / 2 + f * s.overlap) / s.noise
    np.testing.assert_allclose(ndtr(-a1), s.hits, rtol=1e-9)
    np.testing.assert_allclose(ndtr(-a0), s.false_alarms, rtol=1e-9)
    density = f * norm.pdf(a1) + (1 - f) * norm.pdf(a0)
    np.testing.assert_allclose(s.susceptibility, density / s.noise, rtol=1e-9)
    np.testing.assert_allclose(s.overlap, s.hits - s.false_alarms, rtol=1e-12)


def test_half_activity_is_hopfields_network():
    dense = capacity().load
    assert float(sparse_capacity(0.5, control=True, exact=True).load) == pytest.approx(dense, abs=1e-8)
    assert float(sparse_capacity(0.5, control=True).load) == pytest.approx(dense / 2, abs=1e-8)
    # Overlaps too, m = p_1 - p_0 of 0/1 units being that of +-1 units.
    found = sparse_retrieval(0.1, 0.5, exact=True).overlap
    assert float(found) == pytest.approx(float(retrieval(0.1).overlap), abs=1e-9)


def test_capacity_at_the_best_threshold_is_a_maximum():
    best = sparse_capacity(0.05)
    assert float(best.load) == pytest.approx(0.942947, abs=1e-5)
    a1, a0 = norm.isf(best.hits), norm.isf(best.false_alarms)
    for da, db in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        assert sparse_branch(0.05, a1 + da, a0 + db).load < best.load
    assert sparse_capacity(0.05, control=True).load < best.load


def test_capacity_and_information_grow_to_their_asymptotes():
    activities = (1e-1, 1e-2, 1e-4, 1e-8)
    ratios, bits = [], []
    for f in activities:
        at = sparse_capacity(f)
        ratios.append(float(at.load / sparse_capacity_asymptote(f)))
        bits.append(float(information_per_synapse(at.load, f, at.hits, at.false_alarms)))
    assert all(np.diff(ratios) > 0)
    assert 0.5 < ratios[-1] < 1
    assert all(np.diff(bits) > 0)
    assert 0.3 < bits[-1] < 1 / (2 * np.log(2))
    # Perfect recall of one bit a unit: alpha times the entropy.
    assert float(information_per_synapse(0.1, 0.5, 1.0, 0.0)) == pytest.approx(0.1)


def test_fixed_threshold_lies_on_the_branch():
    found = sparse_retrieval(0.4, 0.05, 0.55, exact=True)
    assert float(found.threshold) == pytest.approx(0.55, abs=1e-9)
    assert float(found.load) == pytest.approx(0.4, abs=1e-9)
    with pytest.raises(ValueError, match="alpha must be below the load at which threshold"):
        sparse_retrieval(1.2, 0.05, 0.55)


def test_held_units_keep_more():
    kept = [float(sparse_retrieval(0.4, 0.1, exact=True, hold=h).overlap) for h in (0.0, 0.5, 1.0)]
    assert kept[0] < kept[1] < kept[2]
    assert float(sparse_retrieval(0.6, 0.1, exact=True, hold=1.0).overlap) > 0.8  # beyond equilibrium


@pytest.mark.parametrize("exact", [False, True])
def test_first_step_of_sparse_cues_against_sampled_fields(exact):
    """Fields drawn from the couplings themselves, at one size, without the networks."""
    random = np.random.default_rng(3)
    n, f, alpha, hits, theta = 1500, 0.1, 0.3, 0.6, 0.45
    ups = []
    for _ in range(12):
        if exact:
            xi = (random.random((round(alpha * n), n)).argsort(1) < f * n).astype(float)
        else:
            xi = (random.random((round(alpha * n), n)) < f).astype(float)
        ones = np.flatnonzero(xi[0])
        cue = np.zeros(n)
        cue[random.permutation(ones)[: round(hits * len(ones))]] = 1
        # A unit without the cue's drive upon itself: only those that the cue lacks are looked at.
        own = cue * (((xi - f) ** 2).sum(0) / (n * f * (1 - f)))
        field = (xi - f).T @ ((xi - f) @ cue) / (n * f * (1 - f)) - own
        missing = ones[cue[ones] == 0]
        ups.append([np.mean(field[missing] > theta), field[missing].mean(), field[missing].std()])
    measured, error = np.mean(ups, 0), np.std(ups, 0, ddof=1) / np.sqrt(12)
    step = sparse_first_step(alpha, f, hits, 0.0, theta, exact)
    assert abs(measured[0] - float(step.hits)) < 5 * error[0]
    assert abs(measured[2] - float(step.noise)) < 5 * error[2]
    # The noise of a whole pattern would be larger.
    assert abs(measured[2] - float(step.noise) / np.sqrt(hits)) > 5 * error[2]
    mean = (1 - f) * hits - (alpha * f * hits if exact else 0.0)
    assert abs(measured[1] - mean) < 5 * error[1] + 1 / n


def test_control_of_the_first_step_keeps_the_activity():
    step = sparse_first_step([0.2, 0.5], 0.05, 0.5, [0.0, 0.01])
    np.testing.assert_allclose(0.05 * step.hits + 0.95 * step.false_alarms, 0.05, rtol=1e-9)
    again = sparse_first_step(0.2, 0.05, 0.5, 0.0, float(step.threshold[0]))
    assert float(again.hits) == pytest.approx(float(step.hits[0]))


@pytest.mark.parametrize("threshold", [-0.19, 0.06, 0.31])
def test_finite_step_by_enumeration(threshold):
    """All pairs of other patterns of four ones among eight units, cue of two ones and a zero."""
    n, n_ones, f = 8, 4, 0.5
    rows = np.zeros((70, n))
    for row, places in zip(rows, itertools.combinations(range(n), n_ones), strict=True):
        row[list(places)] = 1
    pattern, cue = np.array([1, 1, 1, 1, 0, 0, 0, 0.0]), np.array([1, 1, 0, 0, 1, 0, 0, 0.0])

    def field(each):
        return (each - f) * (((each - f) * cue).sum(-1, keepdims=True) - (each - f) * cue) / (n * f * (1 - f))

    fields = field(pattern) + field(rows)[:, None] + field(rows)
    assert np.abs(fields - threshold).min() > 0.02  # no field is equal to the threshold
    fires = (fields > threshold).mean((0, 1))
    step = sparse_finite_step(n, 3, n_ones, 2, 1, threshold)
    assert step.hits == pytest.approx(fires[:4].mean(), abs=1e-6)
    assert step.false_alarms == pytest.approx(fires[4:].mean(), abs=1e-6)
    assert step.error == 0


@pytest.mark.parametrize("n_false", [0, 6])
def test_finite_step_against_sampled_fields(n_false):
    """Few ones in a cue, fields from the couplings themselves; infinite N is told apart."""
    random = np.random.default_rng(5)
    n, count, n_ones, n_hits, theta, n_sets = 600, 400, 15, 6, 0.32, 80
    f, found = n_ones / n, []
    for _ in range(n_sets):
        xi = (random.random((count, n)).argsort(1).argsort(1) < n_ones) - f
        seen = []
        for mu in range(20):
            ones, zeros = np.flatnonzero(xi[mu] > 0), np.flatnonzero(xi[mu] < 0)
            cue = np.zeros(n)
            cue[random.permutation(ones)[:n_hits]] = 1
            cue[random.permutation(zeros)[:n_false]] = 1
            field = (xi.T @ (xi @ cue) - cue * (xi**2).sum(0)) / (n * f * (1 - f))
            order = np.argsort(-field)
            for fires in (np.isin(np.arange(n), order[:n_ones]), field > theta):
                seen.append(fires[ones].mean() - fires[zeros].mean())
        found.append(np.reshape(seen, (20, 2)).mean(0))
    mean, error = np.mean(found, 0), np.std(found, 0, ddof=1) / np.sqrt(n_sets)
    for index, threshold in enumerate((None, theta)):
        step = sparse_finite_step(n, count, n_ones, n_hits, n_false, threshold)
        assert abs(mean[index] - step.overlap) < 5 * error[index] + step.error
        part = n_false / (n - n_ones)
        limit = sparse_first_step(count / n, f, n_hits / n_ones, part, threshold, exact=True)
        assert abs(mean[index] - float(limit.overlap)) > 5 * error[index] + step.error


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_finite_step_approaches_the_limit_as_one_over_n(threshold):
    limit = float(sparse_first_step(0.5, 0.05, 0.4, 0.01, threshold, exact=True).overlap)
    sizes = np.array([2000, 4000, 8000])
    gaps = [
        sparse_finite_step(n, n // 2, n // 20, n // 50, 95 * n // 10_000, threshold).overlap - limit
        for n in sizes.tolist()
    ]
    slope = np.polyfit(np.log(sizes), np.log(np.abs(gaps)), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: sparse_finite_step(2, 10, 1, 1, 1), "n_units must be an integer >= 3"),
        (lambda: sparse_finite_step(100, 1, 10, 5), "n_patterns must be an integer >= 2"),
        (lambda: sparse_finite_step(100, 10, 100, 5), "n_ones must be an integer in \\[1, 99\\]"),
        (lambda: sparse_finite_step(100, 10, 10, 11), "n_hits must be"),
        (lambda: sparse_finite_step(100, 10, 10, 5, 91), "n_false must be"),
        (lambda: sparse_finite_step(100, 10, 10, 1), "n_hits must leave a cue of two ones"),
        (lambda: sparse_finite_step(100, 10, 10, 5, 0, np.nan), "threshold must be a finite"),
        (lambda: gardner_capacity(0.0, 1.0), "bias must lie in \\(-1, 1\\)"),
        (lambda: gardner_capacity(np.nan), "margin must be finite"),
        (lambda: optimal_stability(0.0), "alpha must be > 0"),
        (lambda: separable_fraction(2.5, 3), "n_patterns must be integers >= 1"),
        (lambda: separable_fraction(2, 0), "n_inputs must be an integer >= 1"),
        (lambda: rule_first_step("storkey", 0.1, 0.5), "rule must be one of"),
        (lambda: rule_first_step("pseudo-inverse", 1.0, 0.5), "alpha must lie in \\(0, 1\\) for pseudo"),
        (lambda: rule_first_step("optimal", 2.5, 0.5), "alpha must lie in \\(0, 2\\)"),
        (lambda: rule_first_step("hebb", 0.1, 1.0), "overlap must lie in"),
        (lambda: pattern_stability(1.2), "alpha must lie in"),
        (lambda: no_error_capacity(2), "n_units must be >= 3"),
        (lambda: no_error_capacity(99, "storkey", "one"), "patterns must be one of 'all'"),
        (lambda: sparse_branch(0.0, -1.0), "activity must lie in"),
        (lambda: sparse_branch(0.1, 2.0, 1.0), "to_zeros must be above to_ones"),
        (lambda: sparse_branch(0.1, -1.0, 1.0, hold=2.0), "hold must be a finite number in"),
        (lambda: sparse_capacity(1.0), "activity must be a finite number in"),
        (lambda: sparse_retrieval(2.0, 0.05), "alpha must be at most 0.897"),
        (lambda: sparse_retrieval(-1.0, 0.05), "alpha must be a finite number > 0"),
        (lambda: sparse_retrieval(0.1, 0.05, 0.5, hold=0.5), "hold must be 0 under a fixed threshold"),
        (lambda: sparse_first_step(0.1, 0.05, 1.5), "hits must lie in"),
        (lambda: sparse_first_step(0.1, 0.05, 0.0), "hits must leave a cue with ones"),
        (lambda: sparse_first_step(0.0, 0.05, 0.5), "alpha must be > 0"),
    ],
)
def test_arguments_outside_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
