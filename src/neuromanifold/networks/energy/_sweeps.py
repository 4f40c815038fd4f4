"""Sweeps of single-unit updates over many copies of an Ising energy at once.

A unit is turned where s_i h_i < theta_i, with a threshold theta_i drawn for the temperature T:

    Metropolis   theta = (T/2) x,  x exponential:  P(turn) = min(1, exp(-2 s_i h_i / T))
    heat bath    theta = (T/2) x,  x logistic:     P(turn) = 1 / (1 + exp(2 s_i h_i / T))

Units are visited in order. A turned unit changes the fields of all others; done at once that is a row of J
for each copy and unit. Instead the units are cut into tiles of B: within a tile only its own fields are kept
up to date, and at its end one product (copies x B) (B x N) brings all fields along. The chain is the same to
the last update, and its cost is that of matrix products.

Source: Metropolis et al. 1953; Glauber 1963; delayed updates: Alvarez et al. 2008, Proc. Supercomputing.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from neuromanifold.networks.energy._ising import Ising

RULES = ("metropolis", "heat bath")
# Units of a tile: more make the work inside it grow, fewer make the products thin.
_TILE = 50


class Sweeper(eqx.Module):
    """Sweeps over the units of an Ising energy.

    Args:
        model: the energy.
        rule: "metropolis" or "heat bath".
    """

    rows: Float[Array, "tiles tile padded"]
    squares: Float[Array, "tiles tile tile"]
    rule: str = eqx.field(static=True)

    def __init__(self, model: Ising, rule: str) -> None:
        n = model.n_units
        n_tiles = -(-n // _TILE)
        tile = -(-n // n_tiles)
        padded = jnp.pad(model.couplings, [(0, n_tiles * tile - n)] * 2)
        self.rows = padded.reshape(n_tiles, tile, n_tiles * tile)
        inside = padded.reshape(n_tiles, tile, n_tiles, tile)
        self.squares = inside[jnp.arange(n_tiles), :, jnp.arange(n_tiles)]
        self.rule = rule

    def __call__(
        self,
        key: Key[Array, ""],
        temperature: Float[Array, " #reads"],
        spins: Float[Array, "reads n_units"],
        fields: Float[Array, "reads n_units"],
    ) -> tuple[Float[Array, "reads n_units"], Float[Array, "reads n_units"], Int[Array, " reads"]]:
        """Every unit of every copy once; fields hold whatever acts on a unit.

        Args:
            key: a typed key.
            temperature: T > 0, one for all copies or one a copy.
            spins: states +-1.
            fields: J s + b + anything that the sweep itself does not change.

        Returns:
            States, fields, and the number of units that turned.
        """
        n_tiles, tile, padded = self.rows.shape
        n_reads, n = spins.shape
        draw = jax.random.exponential if self.rule == "metropolis" else jax.random.logistic
        noise = draw(key, (n_tiles, tile, n_reads), spins.dtype)
        thresholds = 0.5 * temperature.reshape(1, 1, -1).astype(spins.dtype) * noise
        room = [(0, 0), (0, padded - n)]
        # Units that only fill the last tile have spin 0: turning them changes nothing.
        whole = jnp.pad(spins, room), jnp.pad(fields, room)

        def of_tile(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            spins, fields = state
            here = (0, k * tile)
            old = jax.lax.dynamic_slice(spins, here, (n_reads, tile)).T
            felt = jax.lax.dynamic_slice(fields, here, (n_reads, tile)).T
            square, threshold = self.squares[k], thresholds[k]

            def of_unit(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
                felt, change = state
                turn = jnp.where(old[i] * felt[i] < threshold[i], -2.0 * old[i], 0.0)
                return felt + square[i][:, None] * turn[None, :], change.at[i].set(turn)

            _, change = jax.lax.fori_loop(0, tile, of_unit, (felt, jnp.zeros_like(felt)))
            fields = fields + change.T @ self.rows[k]
            return jax.lax.dynamic_update_slice(spins, (old + change).T, here), fields

        after, felt = jax.lax.fori_loop(0, n_tiles, of_tile, whole)
        turned = jnp.sum(after[:, :n] != spins, 1)
        return after[:, :n], felt[:, :n], turned
