"""Information: exact laws, bias and its corrections, shuffles, adjusted Rand index, decoding."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from scipy.stats import entropy as natural_entropy
from sklearn.metrics import adjusted_rand_score

from neuromanifold.geometry import (
    adjusted_rand_index,
    contingency,
    entropy,
    half_rise,
    information_over_time,
    miller_madow,
    mutual_information,
    nearest_mean_decoding,
    panzeri_treves,
    quantise,
)

KEY = jax.random.key(3)


def test_entropy_and_information_of_known_laws():
    law = np.array([0.1, 0.2, 0.3, 0.4])
    assert abs(entropy(law) - natural_entropy(law, base=2)) < 1e-14
    flip = 0.11  # binary symmetric channel: capacity 1 - H(flip)
    channel = np.array([[1 - flip, flip], [flip, 1 - flip]]) / 2
    assert abs(mutual_information(channel) - (1 - entropy([flip, 1 - flip]))) < 1e-14
    assert abs(mutual_information(np.outer(law, law[:2]))) < 1e-14
    assert abs(mutual_information(np.diag(law)) - entropy(law)) < 1e-14


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 6))
def test_information_obeys_its_laws(seed, rows, columns):
    joint = np.random.default_rng(seed).dirichlet(np.full(rows * columns, 0.5)).reshape(rows, columns)
    value = mutual_information(joint)
    assert -1e-12 < value <= min(entropy(joint.sum(0)), entropy(joint.sum(1))) + 1e-12
    assert abs(value - mutual_information(joint.T)) < 1e-12
    assert abs(value - mutual_information(17 * joint[::-1])) < 1e-12
    # Responses that are taken together tell no more.
    merged = np.concatenate([joint[:, :1] + joint[:, 1:2], joint[:, 2:]], 1)
    assert mutual_information(merged) <= value + 1e-12
    chained = entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.ravel())
    assert abs(value - chained) < 1e-12


def exact_plug_in(joint, n):
    """Mean of the plug-in estimate from n samples of each label, by the law of every single count."""
    law = joint / joint.sum(1, keepdims=True)

    def mean_plogp(p, n):
        k = np.arange(1, n + 1)
        return np.sum(binom.pmf(k, n, p[..., None]) * (k / n) * np.log2(k / n), -1)

    noise = -mean_plogp(law, n).sum(1).mean()
    # With equal numbers a label the counts over all labels are a sum of binomials; here by convolution.
    full = 0.0
    for column in law.T:
        total = np.ones(1)
        for p in column:
            total = np.convolve(total, binom.pmf(np.arange(n + 1), n, p))
        counts = np.arange(1, len(total))
        share = counts / (len(total) - 1)
        full -= np.sum(total[1:] * share * np.log2(share))
    return full - noise


def samples_of(joint, n, random):
    law = joint / joint.sum(1, keepdims=True)
    return np.stack([random.multinomial(n, row) for row in law])


JOINT = np.array([[0.55, 0.25, 0.12, 0.06, 0.02], [0.3, 0.3, 0.2, 0.1, 0.1], [0.15, 0.2, 0.25, 0.2, 0.2]]) / 3


def test_corrections_take_the_bias_away():
    random = np.random.default_rng(0)
    n, repeats = 40, 3000
    tables = [samples_of(JOINT, n, random) for _ in range(repeats)]
    truth = mutual_information(JOINT)
    plug_in = mutual_information(np.stack(tables))
    error = plug_in.std() / np.sqrt(repeats)
    bias = exact_plug_in(JOINT, n) - truth
    assert abs(plug_in.mean() - truth - bias) < 5 * error  # the bias is what enumeration says
    first_order = (3 * 4 - 4) / (2 * 3 * n * np.log(2))
    assert abs(bias - first_order) < 0.1 * bias
    assert bias > 20 * error
    for correct in (miller_madow, panzeri_treves):
        left = np.array([correct(table) for table in tables[:800]]) - truth
        assert abs(left.mean()) < 0.15 * bias + 5 * left.std() / np.sqrt(len(left))


def test_panzeri_treves_is_best_where_responses_are_missed():
    random = np.random.default_rng(1)
    law = np.tile(np.array([0.5, 0.25, 0.1, 0.05, 0.04, 0.03, 0.02, 0.01]) / 3, (3, 1))
    tables = [samples_of(law, 16, random) for _ in range(500)]
    plain, madow, treves = (
        np.mean([f(t) for t in tables]) for f in (mutual_information, miller_madow, panzeri_treves)
    )
    assert plain > 0.1
    assert abs(treves) < abs(madow) < plain
    full = np.array([[9, 8, 7], [6, 9, 9]])  # nothing missed: both corrections are the same
    assert abs(panzeri_treves(full) - miller_madow(full)) < 1e-12


def test_shuffles_take_the_bias_away_and_leave_the_information():
    random = np.random.default_rng(2)
    law = JOINT / JOINT.sum(1, keepdims=True)
    labels = np.repeat(np.arange(3), 60)
    cells = 400
    responses = np.stack([random.choice(5, size=(2, cells), p=law[label]) for label in labels])
    responses[:, 1] = random.integers(5, size=(180, cells))
    found = information_over_time(responses, labels, KEY, 10)
    truth = np.array([mutual_information(JOINT), 0.0])
    error = found.bits.std(1) / np.sqrt(cells)
    # All responses can occur with each label, so that shuffling is exact in first order; 2 % for the rest.
    assert (np.abs(found.bits.mean(1) - truth) < 5 * error + 0.02 * truth).all()
    assert (found.plug_in.mean(1) - truth > 10 * error).all()
    assert (found.bias_standard_error > 0).all()
    for window in range(2):
        one = mutual_information(contingency(labels, responses[:, window, 0]))
        assert abs(found.plug_in[window, 0] - one) < 1e-5


def test_information_within_a_coarser_label():
    random = np.random.default_rng(3)
    fine = np.repeat(np.arange(6), 200)
    coarse = fine // 3
    responses = np.zeros((1200, 3, 1), int)
    responses[:, 0, 0] = coarse  # the coarser label alone
    responses[:, 1, 0] = fine % 3  # the rest alone
    responses[:, 2, 0] = random.integers(3, size=1200)
    about_coarse = information_over_time(responses, coarse, KEY).bits[:, 0]
    beyond = information_over_time(responses, fine, KEY, within=coarse).bits[:, 0]
    total = information_over_time(responses, fine, KEY).bits[:, 0]
    np.testing.assert_allclose(about_coarse, [1.0, 0.0, 0.0], atol=0.01)
    np.testing.assert_allclose(beyond, [0.0, np.log2(3), 0.0], atol=0.01)
    np.testing.assert_allclose(total, about_coarse + beyond, atol=0.01)


def test_quantiles_are_taken_cell_by_cell():
    counts = np.stack([np.arange(12), 100 * np.arange(12), np.zeros(12, int)], -1)
    levels = quantise(counts.reshape(3, 4, 3), 3).reshape(12, 3)
    assert np.bincount(levels[:, 0]).tolist() == [4, 4, 4]
    assert (levels[:, 0] == levels[:, 1]).all()
    assert (levels[:, 2] == 0).all()


@settings(deadline=None, max_examples=40, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=40))
def test_adjusted_rand_index_is_that_of_scikit_learn(pairs):
    one, other = np.array(pairs).T
    assert abs(adjusted_rand_index(one, other) - adjusted_rand_score(one, other)) < 1e-12


def test_adjusted_rand_index_is_zero_by_chance():
    random = np.random.default_rng(4)
    labels = np.repeat(np.arange(3), 12)
    values = [adjusted_rand_index(labels, random.permutation(labels)) for _ in range(2000)]
    assert abs(np.mean(values)) < 5 * np.std(values) / np.sqrt(2000)


def test_decoding_finds_what_there_is():
    random = np.random.default_rng(5)
    labels, trials = np.tile(np.arange(4), 50), np.repeat(np.arange(50), 4)
    centres = 3 * np.eye(4)
    points = centres[labels] + random.normal(size=(200, 4))
    found = nearest_mean_decoding(points, labels, trials % 10)
    # Against one other centre at distance 3 sqrt 2 the best decoder errs with Phi(-2.12) = 1.7 %.
    assert 0.9 < found.accuracy < 1.0
    assert found.table.sum() == 200
    assert 1.4 < found.bits < 2.0
    nothing = nearest_mean_decoding(random.normal(size=(200, 4)), labels, trials % 10)
    assert abs(nothing.accuracy - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 200)
    assert abs(nothing.bits) < 0.1


def test_half_rise():
    times = np.arange(0.0, 100.0)
    for centre in (30.3, 61.7):
        curve = 2.0 + 5.0 / (1 + np.exp(-(times - centre)))
        assert abs(float(half_rise(times, curve)) - centre) < 0.05
    assert half_rise(times, np.stack([times, times**2])).shape == (2,)


COUNTS = np.zeros((4, 2, 1), int)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: entropy([0.0, 0.0]), "law must have a positive sum"),
        (lambda: mutual_information([[1.0, -1.0]]), "joint must be >= 0"),
        (lambda: mutual_information([1.0, 1.0]), "joint must have shape"),
        (lambda: mutual_information([[np.nan, 1.0]]), "joint must be finite"),
        (lambda: contingency([], []), "labels must have shape"),
        (lambda: contingency([1, 2], [1]), "responses must have shape"),
        (lambda: miller_madow(np.ones((2, 2))), "table must be counts"),
        (lambda: miller_madow(np.zeros((2, 2), int)), "table must hold at least one sample"),
        (lambda: panzeri_treves(np.ones((2, 3), int), 2), "n_responses must be"),
        (lambda: quantise(COUNTS, 1), "n_levels must be"),
        (lambda: information_over_time(COUNTS[0], [0, 1], KEY), "responses must have shape"),
        (lambda: information_over_time(COUNTS - 1, [0, 0, 1, 1], KEY), "responses must be >= 0"),
        (lambda: information_over_time(COUNTS, [0, 1], KEY), "labels must have shape"),
        (lambda: information_over_time(COUNTS, [0, 0, 1, 1], KEY, 1), "n_shuffles must be"),
        (
            lambda: information_over_time(COUNTS, [0, 0, 1, 1], KEY, within=[0, 1, 1, 1]),
            "labels must each occur with one value of within",
        ),
        (lambda: nearest_mean_decoding(np.ones((4, 2)), [0, 0, 1, 1], [0, 0, 0, 0]), "number of folds"),
        (
            lambda: nearest_mean_decoding(np.ones((4, 2)), [0, 0, 1, 1], [0, 1, 0, 0]),
            "each occur in two folds",
        ),
        (lambda: half_rise([0.0, 1.0], [1.0, 1.0]), "curve must rise"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
