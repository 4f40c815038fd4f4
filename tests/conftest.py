"""Strictness of every test: shapes checked at run time, rank promotion an error, keys never shared."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def forget_programs() -> Iterator[None]:
    """Compiled programs of a file are let go at its end: a worker that keeps all of them slows to a half."""
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def key() -> jax.Array:
    """A fixed key; split it for more."""
    return jax.random.key(20161117)
