"""Strictness of every test: shapes checked at run time, rank promotion an error, keys never shared."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def forget_programs() -> Iterator[None]:
    """Compiled programs of a file are let go at its end: all of them together take 6 GB in a worker."""
    yield
    jax.clear_caches()


@pytest.fixture
def key() -> jax.Array:
    """A fixed key; split it for more."""
    return jax.random.key(20161117)
