"""Fixed points with stability, and branches past folds."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import NoFixedPointError, continuation, fixed_point, fixed_points


def test_a_map_and_its_stability():
    point = fixed_point(lambda x: 2.5 * x * (1 - x), 0.5)
    assert float(point.value) == pytest.approx(0.6, abs=1e-12)
    assert point.eigenvalues == pytest.approx([-0.5])
    assert point.stable
    assert not fixed_point(lambda x: 3.5 * x * (1 - x), 0.7).stable


def test_a_flow_of_two_variables_in_a_pytree():
    def velocity(state):
        return {"a": -state["a"] + 0.5 * state["b"], "b": -state["b"] - 0.5 * state["a"]}

    point = fixed_point(velocity, {"a": 0.3, "b": -0.2}, kind="flow")
    assert float(point.value["a"]) == pytest.approx(0, abs=1e-10)
    np.testing.assert_allclose(sorted(point.eigenvalues, key=np.imag), [-1 - 0.5j, -1 + 0.5j], atol=1e-12)
    assert point.stable
    assert not fixed_point(lambda x: x, 1.0, kind="flow").stable


def test_all_fixed_points_of_a_mean_field():
    found = fixed_points(lambda m: jnp.tanh(1.5 * m), jnp.linspace(-1, 1, 9))
    values = sorted(float(point.value) for point in found)
    np.testing.assert_allclose(values, [-0.858560, 0, 0.858560], atol=1e-6)
    assert sorted((round(float(p.value), 3), p.stable) for p in found) == [
        (-0.859, True),
        (0.0, False),
        (0.859, True),
    ]
    assert fixed_points(lambda x: x + 1 + x**2, jnp.linspace(-1, 1, 3)) == []


def test_no_fixed_point_is_an_error_and_not_a_number():
    with pytest.raises(NoFixedPointError, match="the residual is"):
        fixed_point(lambda x: x + 1.0 + x**2, 0.3)


def test_a_branch_passes_its_folds():
    branch = continuation(lambda x, p: p + x - x**3, -1.3, -1.0, 1.0, kind="flow", step=0.02)
    fold = 2 / (3 * np.sqrt(3))
    assert branch.complete
    assert branch.parameter[0] == -1.0
    assert branch.parameter[-1] == 1.0
    x = np.asarray(branch.values)
    np.testing.assert_allclose(branch.parameter + x - x**3, 0, atol=1e-8)
    np.testing.assert_allclose(branch.parameter[branch.folds], [fold, -fold], atol=1e-3)
    inside = np.abs(x) < 1 / np.sqrt(3) - 0.02
    outside = np.abs(x) > 1 / np.sqrt(3) + 0.02
    assert not branch.stable[inside].any()
    assert branch.stable[outside].all()


def test_a_branch_of_a_map_in_two_variables_and_one_that_never_arrives():
    def magnets(x, beta):
        return jnp.tanh(beta * jnp.array([x[1], x[0]]))

    branch = continuation(magnets, jnp.array([0.95, 0.95]), 2.0, 1.2, step=0.05)
    assert branch.complete
    np.testing.assert_allclose(branch.values[:, 0], branch.values[:, 1], atol=1e-8)
    assert branch.stable.all()
    folding = continuation(lambda x, p: p - x**2, 1.0, 1.0, -1.0, kind="flow", step=0.1, n_points=40)
    assert not folding.complete
    assert len(folding.parameter) == 40
    assert folding.parameter.min() > -0.02


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda: fixed_point(jnp.cos, 1.0, kind="tree"), "kind must be one of"),
        (lambda: fixed_point(jnp.cos, 1.0, tolerance=0.0), "tolerance must be"),
        (lambda: fixed_point(jnp.cos, 1.0, max_steps=0), "max_steps must be"),
        (lambda: fixed_points(jnp.cos, jnp.ones(2), separation=0.0), "separation must be"),
        (lambda: continuation(lambda x, p: x, 1.0, 0.0, 0.0), "end must differ from begin"),
        (lambda: continuation(lambda x, p: x, 1.0, 0.0, 1.0, step=0.0), "step must be"),
        (lambda: continuation(lambda x, p: x, 1.0, 0.0, 1.0, n_points=1), "n_points must be"),
    ],
)
def test_bad_arguments_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()
