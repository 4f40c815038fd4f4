"""Strictness of every test: shapes checked at run time, rank promotion an error, keys never shared."""

from __future__ import annotations

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key() -> jax.Array:
    """A fixed key; split it for more."""
    return jax.random.key(20161117)
