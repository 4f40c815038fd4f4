"""A random field's weights: the covariances asked for, the law on every grid, refusals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import run
from neuromanifold.networks.random import random_field, ring_kernel


def field(info):
    return info


def test_two_inputs_go_through_the_same_weights():
    """Cov(u(z_1), v(z_2)) = sigma_w^2 kappa x^T kappa_in y dz^2 + sigma_b^2 kappa_b, and white weights."""
    n, draws = 12, 4000
    kernel, other = ring_kernel(n, 0.1), ring_kernel(n, 0.12)
    rows = np.stack([np.ones(n), np.cos(2 * np.pi * np.arange(n) / n)])
    for inner, strength in ((None, rows @ rows.T / n), (other, rows @ other @ rows.T / n**2)):
        process = random_field(
            jnp.tanh, kernel, sigma_w=1.5, sigma_b=0.3, bias_kernel=other, input_kernel=inner
        )
        made = run(process, jax.random.key(0), rows, 1, observe_info=field, replicas=draws).infos
        u = np.asarray(made[:, -1], np.float64)
        found = np.einsum("rim,rjn->ijmn", u, u) / draws
        expected = 2.25 * strength[:, :, None, None] * kernel + 0.09 * other
        squares = np.einsum("iimm->im", expected)
        # The variance of a product of two normals.
        error = np.sqrt((squares[:, None, :, None] * squares[None, :, None, :] + expected**2) / draws)
        assert np.all(np.abs(found - expected) < 5 * error)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: random_field(jnp.tanh, np.array([[1.0, 2.0], [2.0, 1.0]]), sigma_w=1.0, sigma_b=0.0),
            "semidefinite",
        ),
        (lambda: random_field(jnp.tanh, np.array([[1.0, 0.5]]), sigma_w=1.0, sigma_b=0.0), "square"),
        (
            lambda: random_field(jnp.tanh, np.array([[1.0, 0.5], [0.2, 1.0]]), sigma_w=1.0, sigma_b=0.0),
            "symmetric",
        ),
        (lambda: random_field(jnp.tanh, np.eye(2), sigma_w=-1.0, sigma_b=0.0), "sigma_w must"),
        (
            lambda: random_field(jnp.tanh, np.eye(2), sigma_w=1.0, sigma_b=0.0, bias_kernel=np.eye(3)),
            "bias_kernel must",
        ),
        (lambda: random_field(jnp.tanh, np.eye(2), sigma_w=1.0, sigma_b=0.0).init(None, np.ones(3)), "x0"),
        (lambda: random_field(jnp.tanh, ring_kernel(64, 0.3), sigma_w=1.0, sigma_b=0.0), "semidefinite"),
        (lambda: ring_kernel(0, 0.1), "n_positions must"),
        (lambda: ring_kernel(8, 0.0), "width must"),
    ],
)
def test_bad_values_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
