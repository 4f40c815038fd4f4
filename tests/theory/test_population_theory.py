"""Exact information of counts, its average over tunings, and recall of a family at finite temperature."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from neuromanifold.geometry import information_over_time, mutual_information
from neuromanifold.theory.memory import ThermalFamily, family_recall
from neuromanifold.theory.populations import count_information, tuned_information

GROUPS = np.array([0, 0, 0, 1, 1])
SAMPLES = np.array([20, 30, 30, 40, 20])


def laws(means, n_levels):
    law = poisson.pmf(np.arange(n_levels), means[:, None])
    law[:, -1] = poisson.sf(n_levels - 2, means)
    return law


@settings(deadline=None, max_examples=20, derandomize=True, database=None)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_count_information_is_that_of_the_joint_law(seed, n_levels):
    means = np.random.default_rng(seed).gamma(1.0, 3.0, 5)
    found = count_information(means, SAMPLES, GROUPS, n_levels)
    joint = laws(means, n_levels) * (SAMPLES / SAMPLES.sum())[:, None]
    of_groups = np.stack([joint[g == GROUPS].sum(0) for g in (0, 1)])
    assert abs(found.group - mutual_information(of_groups)) < 1e-12
    assert abs(found.group + found.detail - mutual_information(joint)) < 1e-12


def test_what_shuffling_leaves_is_what_simulation_finds():
    means = np.array([0.3, 0.9, 2.0, 4.0, 6.0])
    exact = count_information(means, SAMPLES, GROUPS, 8)
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), SAMPLES)
    cells = 3000
    responses = np.minimum(random.poisson(means[labels][:, None], (len(labels), cells)), 7)[:, None]
    group = information_over_time(responses, GROUPS[labels], jax.random.key(0), 8)
    detail = information_over_time(responses, labels, jax.random.key(1), 8, within=GROUPS[labels])
    for found, value, residual in (
        (group, exact.group, exact.group_residual),
        (detail, exact.detail, exact.detail_residual),
    ):
        error = found.bits.std() / np.sqrt(cells)
        off = found.bits.mean() - value
        # The residual is an estimate of first order: the truth lies between nothing and twice of it.
        assert min(0, 2 * residual) - 5 * error < off < max(0, 2 * residual) + 5 * error
        assert found.plug_in.mean() - value > 10 * error  # without the correction it is far off
        assert abs(residual) > 2 * error


def test_average_over_tunings_is_that_of_random_cells():
    options = {
        "n_levels": 6,
        "baseline": 15.0,
        "baseline_spread": 0.5,
        "category_strength": 0.7,
        "detail_strength": 0.5,
        "category_latency": 90.0,
        "detail_latency": 140.0,
        "rise": 10.0,
    }
    found = tuned_information([20.0, 90.0, 140.0], 50.0, SAMPLES, GROUPS, **options)
    random = np.random.default_rng(0)
    n = 20_000
    b = 15.0 * np.exp(0.5 * random.normal(size=(n, 1)))
    a, d = 0.7 * random.normal(size=(n, 2))[:, GROUPS], 0.5 * random.normal(size=(n, 5))
    rise_of = np.where(np.abs(a) > 1e-9, np.expm1(a) / np.where(np.abs(a) > 1e-9, a, 1), 1.0)
    first = b * (10 * rise_of + 40 * np.exp(a)) / 1000
    rise_of = np.where(np.abs(d) > 1e-9, np.expm1(d) / np.where(np.abs(d) > 1e-9, d, 1), 1.0)
    second = b * np.exp(a) * (10 * rise_of + 40 * np.exp(d)) / 1000
    for window, means in ((1, first), (2, second)):
        cells = count_information(means, SAMPLES, GROUPS, 6)
        for name in ("group", "detail"):
            one = getattr(cells, name)
            error = np.hypot(one.std() / np.sqrt(n), getattr(found.error, name)[window])
            assert abs(getattr(found.mean, name)[window] - one.mean()) < 5 * error + 1e-5  # midpoint rule
    wrong = count_information(first, SAMPLES, GROUPS, 6).group
    assert abs(found.mean.group[2] - wrong.mean()) > 5 * wrong.std() / np.sqrt(n)
    assert abs(found.mean.group[0]) < 1e-12
    assert abs(found.mean.detail[1]) < 1e-12


def enumerated(b, s, beta, m):
    """The map of all overlaps of a family, over all signs of parent and children."""
    new = np.zeros(s)
    for parent in (1, -1):
        for signs in itertools.product((1, -1), repeat=s):
            signs = np.array(signs)
            weight = 0.5 * np.prod((1 + b * parent * signs) / 2)
            new += weight * signs * np.tanh(beta * signs @ m)
    return new


@pytest.mark.parametrize(("b", "s", "beta"), [(0.3, 4, 2.0), (0.5, 2, 1.3), (0.0, 3, 1.5), (1.0, 3, 1.2)])
def test_family_recall_is_the_map_of_all_overlaps(b, s, beta):
    found = family_recall(b, s, beta, 0.2, 5)
    m = 0.2 * np.where(np.arange(s) == 0, 1.0, b**2)
    for t in range(6):
        np.testing.assert_allclose([found.child[t], *[found.sibling[t]] * (s - 1)], m, atol=1e-13)
        m = enumerated(b, s, beta, m)


def test_a_family_without_correlation_is_one_pattern():
    found = family_recall(0.0, 4, 1.5, 0.1, 6)
    m = 0.1
    for value in found.child:
        assert abs(value - m) < 1e-14
        m = np.tanh(1.5 * m)
    assert np.abs(found.sibling).max() < 1e-14


def test_weak_cues_grow_by_the_eigenvalues_of_the_family():
    b, s, beta = 0.4, 4, 1.4
    found = family_recall(b, s, beta, 1e-6, 4)
    common = found.child + (s - 1) * found.sibling
    apart = found.child - found.sibling
    np.testing.assert_allclose(common[1:] / common[:-1], beta * (1 + (s - 1) * b**2), rtol=1e-8)
    np.testing.assert_allclose(apart[1:] / apart[:-1], beta * (1 - b**2), rtol=1e-8)


def test_activities_of_all_kinds_give_the_overlaps_back():
    b, s, beta = 0.3, 4, 2.0
    found = family_recall(b, s, beta, 0.2, 5)
    assert abs(found.share.sum() - 1) < 1e-12
    signs = np.where(np.arange(s)[None] < np.arange(s + 1)[:, None], 1.0, -1.0)
    # Over kinds of unit and children shown in turn, <xi_v tanh beta S_v> is the next overlap.
    own = np.einsum("k,tkv,kv->t", found.share, found.activity, signs) / s
    np.testing.assert_allclose(own[:-1], found.child[1:], atol=1e-12)
    others = np.einsum("k,tkv,kv->t", found.share, found.activity, signs.sum(1, keepdims=True) - signs)
    np.testing.assert_allclose(others[:-1] / (s * (s - 1)), found.sibling[1:], atol=1e-12)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: count_information(-np.ones(5), SAMPLES, GROUPS, 4), "means must be >= 0"),
        (lambda: count_information(np.ones(4), SAMPLES, GROUPS, 4), "n_samples must have shape"),
        (lambda: count_information(np.ones(5), SAMPLES, GROUPS[:4], 4), "groups must have shape"),
        (lambda: count_information(np.ones(5), 0 * SAMPLES, GROUPS, 4), "n_samples must be > 0"),
        (lambda: count_information(np.ones(5), SAMPLES, GROUPS, 1), "n_levels must be"),
        (lambda: ThermalFamily(1.2, 3, 1.0), "b must be"),
        (lambda: ThermalFamily(0.2, 1, 1.0), "s must be"),
        (lambda: ThermalFamily(0.2, 3, 0.0), "beta must be"),
        (lambda: family_recall(0.2, 3, 1.0, 1.5, 3), "overlap must be"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
