"""Columns: the equations by hand, the fast dynamics by two solvers, known maps of preferences, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import run, solve
from neuromanifold.learning.competitive import normalised_hebb
from neuromanifold.networks.selforganizing import (
    ColumnSheet,
    bars,
    chance_correlation,
    chance_selectivity,
    hexagonal_patch,
    orientation_map,
    pinwheels,
    preference_correlation,
    random_sheet,
)

ANGLES = np.arange(9) * np.pi / 9
PLACES = hexagonal_patch(7)


def responses_of(preference):
    """Cells with cosine tuning: selectivity 1/2."""
    return 1 + np.cos(2 * (ANGLES[:, None] - preference[None]))


def test_sizes_are_those_of_the_paper():
    sheet = random_sheet(jax.random.key(0))
    assert sheet.afferents.shape == (169, 19)
    np.testing.assert_allclose(sheet.afferents.sum(1), 2.375, rtol=1e-5)
    made = bars(ANGLES)
    np.testing.assert_allclose(made.sum(1), 7.0)
    # A bar along the first axis is the same on both sides of it.
    mirror = [
        int(np.argmin(np.linalg.norm(p * [1, -1] - hexagonal_patch(2), axis=1))) for p in hexagonal_patch(2)
    ]
    np.testing.assert_allclose(made[0][mirror], made[0])


def test_velocity_is_the_equation():
    random = np.random.default_rng(0)
    sheet = random_sheet(jax.random.key(0), radius=2, excitation=0.12, recruitment=0.1, inhibition=0.2)
    state, stimulus = random.uniform(0, 3, (2, 19)), random.uniform(0, 1, 19)
    found = np.asarray(sheet.velocity(jnp.asarray(stimulus, jnp.float32), jnp.asarray(state, jnp.float32)))
    places, fired = hexagonal_patch(2), np.maximum(state - 1, 0)
    for k in range(19):
        apart = np.linalg.norm(places - places[k], axis=1)
        near, far = np.isclose(apart, 1), (apart > 1.01) & (apart < 2.01)
        drive = (
            0.12 * fired[0][near].sum()
            - 0.2 * fired[1][far].sum()
            + np.asarray(sheet.afferents)[k] @ stimulus
        )
        np.testing.assert_allclose(found[0, k], drive - 0.5 * state[0, k], rtol=1e-4, atol=1e-5)
        recruited = 0.1 * (fired[0][near].sum() + fired[0, k])
        np.testing.assert_allclose(found[1, k], recruited - 0.5 * state[1, k], rtol=1e-4, atol=1e-5)


def test_response_is_the_flow_at_its_end():
    stimulus = jnp.asarray(bars(ANGLES)[2], jnp.float32)
    sheet = random_sheet(jax.random.key(1), radius=3, n_steps=4000)
    exact = solve(sheet.flow(stimulus), jnp.zeros((2, 37)), [0.0, 20.0], rtol=1e-5, atol=1e-6).states[-1]
    response = np.asarray(sheet.respond(stimulus))
    assert response.max() > 0.5
    np.testing.assert_allclose(response, sheet.fire(exact[0]), atol=0.01)


def test_learning_is_its_definition_and_changes_no_strength():
    sheet = random_sheet(jax.random.key(2), radius=2)
    stimulus = jnp.asarray(bars(ANGLES)[4], jnp.float32)
    response = np.asarray(sheet.respond(stimulus))
    after = run(normalised_hebb(lambda key, t: stimulus, 0.3), jax.random.key(0), sheet, 1).state.params
    assert [float(x) for x in jax.tree.leaves(after)[1:]] == [float(x) for x in jax.tree.leaves(sheet)[1:]]
    wanted = np.asarray(sheet.afferents) + 0.3 * response[:, None] * np.asarray(stimulus)[None]
    wanted *= 2.375 / wanted.sum(1, keepdims=True)
    assert np.abs(wanted - np.asarray(sheet.afferents)).max() > 0.01
    np.testing.assert_allclose(after.afferents, wanted, rtol=1e-4)


def test_strengths_share_one_program_and_are_mapped_over():
    afferents = random_sheet(jax.random.key(2), radius=2).afferents
    stimulus = jnp.asarray(bars(ANGLES)[4], jnp.float32)
    traces = []

    @eqx.filter_jit
    def respond(sheet):
        traces.append(0)
        return sheet.respond(stimulus)

    strengths = np.array([0.05, 0.15], np.float32)
    alone = [respond(ColumnSheet(afferents, radius=2, excitation=float(p))) for p in strengths]
    assert len(traces) == 1
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    together = jax.vmap(lambda p: ColumnSheet(afferents, radius=2, excitation=p).respond(stimulus))
    np.testing.assert_allclose(together(strengths), alone, atol=1e-5)


def test_cosine_tuning_has_selectivity_one_half():
    preference = np.random.default_rng(0).uniform(0, np.pi, 169)
    found = orientation_map(np.concatenate([responses_of(preference)[:, :168], np.zeros((9, 1))], 1), ANGLES)
    np.testing.assert_allclose(found.preference[:168], preference[:168], atol=1e-12)
    np.testing.assert_allclose(found.selectivity[:168], 0.5)
    assert found.active.tolist() == [True] * 168 + [False]


def test_chance_is_the_mean_over_permutations():
    random = np.random.default_rng(0)
    responses = random.exponential(size=(9, 40)) * (random.uniform(size=(9, 40)) < 0.7)
    expected, square = chance_selectivity(responses), np.zeros(40)
    correlation = []
    found = orientation_map(responses, ANGLES)
    chance = chance_correlation(found)
    for _ in range(3000):
        square += orientation_map(random.permuted(responses, axis=0), ANGLES).selectivity ** 2 / 3000
        order = random.permutation(40)
        correlation.append(preference_correlation(found, PLACES[:40], [0.9, 1.1], order)[0])
    # Squares lie in [0, 1]: a standard deviation of at most one half.
    np.testing.assert_allclose(square, expected, atol=5 * 0.5 / np.sqrt(3000))
    assert np.corrcoef(square, expected)[0, 1] > 0.99
    assert abs(np.mean(correlation) - chance) < 5 * np.std(correlation) / np.sqrt(3000)
    assert abs(chance) > 1e-3


@pytest.mark.parametrize("turn", [1, -1])
def test_one_pinwheel_is_found_where_it_is(turn):
    centre = np.array([0.5, 0.25])
    x, y = (PLACES - centre).T
    found = orientation_map(responses_of(turn * np.arctan2(y, x) / 2), ANGLES)
    wheels = pinwheels(found, PLACES)
    assert wheels.signs.tolist() == [turn]
    np.testing.assert_allclose(wheels.positions[0], centre, atol=0.5)
    # Six triangles around each of the inner cells, each shared by three.
    assert wheels.n_triangles == 6 * 7**2


def test_plane_waves_have_the_correlation_of_their_phase():
    found = orientation_map(responses_of(np.pi * PLACES[:, 0] / 6), ANGLES)
    assert len(pinwheels(found, PLACES).signs) == 0
    near = preference_correlation(found, PLACES, [0.9, 1.1])
    # Two of six neighbours lie at 1 along the wave, four at 1/2; borders change the weights a little.
    np.testing.assert_allclose(near[0], (np.cos(np.pi / 3) + 2 * np.cos(np.pi / 6)) / 3, atol=0.02)
    order = np.random.default_rng(0).permutation(169)
    assert abs(preference_correlation(found, PLACES, [0.9, 1.1], order)[0]) < 0.15


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: random_sheet(jax.random.key(0), radius=4, excitation=0.4, recruitment=0.0),
            "excitation must not exceed",
        ),
        (
            lambda: random_sheet(
                jax.random.key(0), radius=4, excitation=0.3, recruitment=0.1, inhibition=0.1
            ),
            r"excitation must not exceed decay and inhibition \(activity would grow at the rate 0",
        ),
        (lambda: ColumnSheet(np.ones((5, 19))), r"afferents must have shape \(169, 19\)"),
        (lambda: ColumnSheet(-np.ones((169, 19))), "afferents must be >= 0"),
        (lambda: random_sheet(jax.random.key(0), decay=0.0), "decay must be a finite number > 0"),
        (lambda: bars([[0.0]]), r"angles must have shape \(n_bars,\)"),
        (lambda: bars([0.0], width=0.0), "width must be a finite number > 0"),
        (lambda: orientation_map(np.ones((3, 2)), [0.0, 0.1, 0.2]), "angles must be evenly spaced"),
        (lambda: orientation_map(-np.ones((9, 2)), ANGLES), "responses must be >= 0"),
        (lambda: orientation_map(np.ones((8, 2)), ANGLES), "responses must have shape"),
        (lambda: chance_selectivity(-np.ones((9, 2))), "responses must be >= 0"),
        (lambda: chance_correlation(orientation_map(np.ones((9, 1)), ANGLES)), "found must have two active"),
        (lambda: normalised_hebb(lambda key, t: None, 0.0), "rate must be a finite number > 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_strengths_that_are_refused_do_diverge():
    stimulus = jnp.asarray(bars(ANGLES)[0], jnp.float32)
    found = []
    for duration in (20.0, 40.0):
        sheet = random_sheet(jax.random.key(0), radius=4, duration=duration, n_steps=400)
        for name, value in (("excitation", 0.3), ("recruitment", 0.1), ("inhibition", 0.1)):
            sheet = eqx.tree_at(lambda s, name=name: getattr(s, name), sheet, jnp.asarray(value))
        found.append(float(sheet.respond(stimulus).max()))
    assert found[1] > 100 * found[0]
