"""Sheets of cells over sheets of inputs: couplings and responses by hand, known maps and their order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.networks.selforganizing import (
    TopographicSheet,
    random_topographic_sheet,
    rough_afferents,
    sheet_centres,
    sheet_order,
    sheet_places,
)
from neuromanifold.theory.selforganizing import mean_step, rough_deviation

SHAPE = (5, 6)


def gaussian(places, centre, width, closed):
    apart = places - centre
    if closed:
        apart = apart - np.rint(apart)
    return np.exp(-(apart**2).sum(-1) / (2 * width**2))


def test_couplings_are_a_difference_of_gaussians_on_both_kinds_of_sheet():
    options = {"excitation": 0.8, "inhibition": 2.0, "excitation_width": 0.07, "inhibition_width": 0.1}
    closed, open_ = (
        np.asarray(TopographicSheet(np.ones((99, 4)), (9, 11), closed=c, **options).couplings)
        for c in (True, False)
    )
    np.testing.assert_allclose(closed.sum(1), 0.8 - 2.0, rtol=1e-4)
    places = sheet_places((9, 11))
    middle = 4 * 11 + 5
    bells = [gaussian(places, places[middle], width, False) for width in (0.07, 0.1)]
    expected = 0.8 * bells[0] / bells[0].sum() - 2.0 * bells[1] / bells[1].sum()
    np.testing.assert_allclose(open_[middle], expected, atol=1e-4)
    np.testing.assert_allclose(closed[middle], expected, atol=1e-4)
    # The same on every cell of a torus; next to a border the same sum.
    np.testing.assert_allclose(
        closed[0].reshape(9, 11), np.roll(closed[middle].reshape(9, 11), (-4, -5), (0, 1)), atol=1e-6
    )
    np.testing.assert_allclose(open_.sum(1), 0.8 - 2.0, rtol=1e-4)
    assert open_[0, 1] < 1.2 * open_[middle, middle + 1]


def test_response_is_where_eulers_rule_ends():
    sheet = random_topographic_sheet(jax.random.key(0), SHAPE, (4, 5), closed=False, n_steps=30, order=30.0)
    stimulus = gaussian(sheet_places((4, 5)), np.array([0.3, 0.6]), 0.2, False)
    w, drive, u = np.asarray(sheet.couplings), np.asarray(sheet.afferents) @ stimulus, np.zeros(30)
    for _ in range(30):
        u = u + 12.0 / 30 * (w @ np.maximum(u, 0) + drive - u)
    response = np.asarray(sheet.respond(jnp.asarray(stimulus)))
    np.testing.assert_allclose(response, np.maximum(u, 0) / u.max(), atol=1e-4)
    assert 0 < (response > 0).mean() < 1
    traced = jax.vmap(
        lambda p: TopographicSheet(
            sheet.afferents, SHAPE, closed=False, n_steps=30, excitation=p, inhibition=3.0
        ).respond(jnp.asarray(stimulus))
    )
    np.testing.assert_allclose(traced(jnp.asarray([0.9, 0.3]))[0], response, atol=1e-4)
    velocity = sheet.flow(jnp.asarray(stimulus)).velocity(0.0, jnp.asarray(u))
    np.testing.assert_allclose(velocity, w @ np.maximum(u, 0) + drive - u, atol=1e-4)


@pytest.mark.parametrize("closed", [True, False])
def test_centres_of_known_fields(closed):
    places = sheet_places((20, 24))
    wanted = np.array([[0.5, 0.45], [0.6, 0.3]] + ([[0.98, 0.03]] if closed else []))
    afferents = np.stack([gaussian(places, centre, 0.06, closed) for centre in wanted])
    np.testing.assert_allclose(sheet_centres(afferents, (20, 24), closed=closed), wanted, atol=1e-4)


def test_order_of_known_maps():
    even = sheet_places(SHAPE)
    found = sheet_order(even, SHAPE, closed=True)
    assert found.turned == 0
    np.testing.assert_allclose(found.covered, 1)
    np.testing.assert_allclose(np.unique(found.steps.round(9)), [1 / 36, 1 / 25], atol=1e-8)
    bounded = sheet_order(even, SHAPE, closed=False)
    np.testing.assert_allclose(bounded.covered, 4 / 5 * 5 / 6)
    assert len(bounded.areas) == 2 * 4 * 5
    # A mirrored map, one turned by a quarter, one that goes around twice.
    assert sheet_order(even * [1, -1] % 1, SHAPE, closed=True).covered == pytest.approx(-1)
    assert sheet_order(even[:, ::-1] * [1, -1] % 1, SHAPE, closed=True).covered == pytest.approx(1)
    assert sheet_order(even * [1, 2] % 1, SHAPE, closed=True).covered == pytest.approx(2)
    # Any small distortion leaves the degree, a large one turns triangles over.
    random = np.random.default_rng(0)
    for size in (0.02, 0.1):
        moved = sheet_order((even + random.uniform(-size, size, even.shape)) % 1, SHAPE, closed=True)
        assert moved.covered == pytest.approx(1)
        assert (moved.turned == 0) == (size == 0.02)


def test_a_sheet_of_any_width_is_the_ring_along_each_axis():
    deviation = [rough_deviation(n, 0.8, 0.12, d) for n, d in ((60, 1), (900, 2))]
    random = np.random.default_rng(1)
    y = np.arange(60) / 60
    bump = 0.8 * np.exp(-((y - np.rint(y)) ** 2) / (2 * 0.12**2))
    angles = np.angle((random.uniform(size=(8000, 60)) + bump) @ np.exp(2j * np.pi * y)) / (2 * np.pi)
    # Relative standard error of a deviation: 1/sqrt(2 n); the next order of the noise is (2 pi sigma)^2.
    assert angles.std() == pytest.approx(
        deviation[0], rel=5 / np.sqrt(16000) + (2 * np.pi * deviation[0]) ** 2
    )
    steps = np.abs(0.01 + np.diff(random.normal(0, deviation[0], (40000, 2)))[:, 0])
    error = steps.std() / 200
    assert mean_step(0.01, deviation[0]) == pytest.approx(steps.mean(), abs=5 * error)
    places = sheet_places((30, 30))
    order = np.tile(0.8 * gaussian(places, places[465], 0.12, True), (4000, 1))
    drawn = rough_afferents(jax.random.key(0), jnp.asarray(order, jnp.float32))
    np.testing.assert_allclose(drawn.sum(1), 1, rtol=1e-4)
    spread = (sheet_centres(drawn, (30, 30), closed=True) - places[465]).std(0)
    assert spread == pytest.approx(deviation[1], rel=5 / np.sqrt(8000) + (2 * np.pi * deviation[1]) ** 2)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: TopographicSheet(np.ones((9, 4)), (3, 4)), r"afferents must have shape \(12, n_inputs\)"),
        (lambda: TopographicSheet(-np.ones((9, 4)), (3, 3)), "afferents must be >= 0"),
        (lambda: TopographicSheet(np.ones((9, 4)), (9,)), r"shape must be \(rows, columns\)"),
        (lambda: TopographicSheet(np.ones((4, 4)), (2, 2)), r"shape\[0\] must be an integer >= 3"),
        (
            lambda: TopographicSheet(np.ones((36, 4)), (6, 6), excitation=1.5, inhibition=0.1),
            r"excitation must not exceed decay and inhibition \(activity would grow",
        ),
        (lambda: random_topographic_sheet(jax.random.key(0), (3, 3), (3, 3), order=-1.0), "order must be"),
        (lambda: sheet_centres(np.zeros((3, 9)), (3, 3), closed=True), "be >= 0 with a positive sum"),
        (lambda: sheet_centres(np.ones((3, 9)), (3, 4), closed=True), "afferents must have 12 inputs"),
        (lambda: sheet_order(np.ones((9, 3)), (3, 3), closed=True), r"centres must have shape \(9, 2\)"),
        (lambda: rough_deviation(50, 0.0, 0.1), "height must be a finite number > 0"),
        (lambda: mean_step(-1.0, 0.1), "apart must be a finite number >= 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
