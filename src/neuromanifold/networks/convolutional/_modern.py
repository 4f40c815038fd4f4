"""LeNet-5 as it would be built today: rectified units, max pooling, softmax, full connection tables.

    x -> relu(conv) -> max 2 x 2 -> relu(conv) -> max 2 x 2 -> relu(dense) -> relu(dense) -> logits

Not the network of the paper, and named so. Weights begin uniform with variance 2/F (He, Zhang, Ren and Sun
2015), biases likewise with the range of weights over sqrt(F).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_integer, require
from neuromanifold.networks.convolutional._layers import Convolution, Dense, blocks, full_table, n_parameters


class ModernLeNet(eqx.Module):
    """A network of LeNet-5's plan with today's parts, on one picture.

    `network(picture)` gives the logits, largest for the best class; `network.decide(picture)` the class.

    Args:
        key: draws the weights.
        image_size: height and width of the input.
        kernel_size: side of the kernels.
        n_maps: maps of the two convolutions.
        n_hidden: units of the two dense layers.
        n_classes: number of classes.
        pool: side of the squares of max pooling.
        dtype: of the parameters.

    Raises:
        ValueError: an argument outside its range, or sizes that do not fit.
    """

    c1: Convolution
    c3: Convolution
    c5: Dense
    f6: Dense
    output: Dense
    image_size: int = eqx.field(static=True)
    pool: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        key: Key[Array, ""],
        image_size: int = 32,
        kernel_size: int = 5,
        n_maps: tuple[int, int] = (6, 16),
        n_hidden: tuple[int, int] = (120, 84),
        n_classes: int = 10,
        pool: int = 2,
        dtype: Any = jnp.float32,
    ) -> None:
        check_integer("image_size", image_size, 1)
        check_integer("n_classes", n_classes, 2)
        self.pool = check_integer("pool", pool, 1)
        require(len(n_maps) == 2, "n_maps", "hold two numbers", n_maps)
        require(len(n_hidden) == 2, "n_hidden", "hold two numbers", n_hidden)
        self.image_size = image_size
        keys = jax.random.split(key, 5)
        # A uniform law on [-a, a] has variance a^2/3.
        draw: dict[str, Any] = {"gain": math.sqrt(6.0), "power": 0.5, "dtype": dtype}
        self.c1 = Convolution(image_size, 1, full_table(1, n_maps[0]), kernel_size, key=keys[0], **draw)
        size = self._pooled(self.c1.output_size)
        self.c3 = Convolution(size, n_maps[0], full_table(*n_maps), kernel_size, key=keys[1], **draw)
        size = self._pooled(self.c3.output_size)
        self.c5 = Dense(size**2 * n_maps[1], n_hidden[0], key=keys[2], **draw)
        self.f6 = Dense(n_hidden[0], n_hidden[1], key=keys[3], **draw)
        self.output = Dense(n_hidden[1], n_classes, key=keys[4], **{**draw, "gain": 1.0})

    def _pooled(self, size: int) -> int:
        require(size % self.pool == 0, "image_size", f"leave maps whose side {self.pool} divides", size)
        return size // self.pool

    @property
    def layers(self) -> dict[str, Any]:
        """The layers by name, in order."""
        return {"C1": self.c1, "C3": self.c3, "C5": self.c5, "F6": self.f6, "output": self.output}

    @property
    def n_parameters(self) -> int:
        """Trainable parameters."""
        return n_parameters(self)

    @property
    def n_connections(self) -> int:
        """Connections with weights or biases; max pooling has neither."""
        return sum(layer.n_connections for layer in self.layers.values())

    def steps(self) -> tuple[tuple[str, Callable[[Array], Array]], ...]:
        """The network as named maps, each from the states of one layer to those of the next."""
        # The maximum commutes with the rectification, which is then done on a quarter of the units.
        return (
            ("C1", lambda x: jax.nn.relu(blocks(self.c1(x[..., None]), self.pool).max((1, 3)))),
            ("C3", lambda x: jax.nn.relu(blocks(self.c3(x), self.pool).max((1, 3)))),
            ("C5", lambda x: jax.nn.relu(self.c5(x.reshape(-1)))),
            ("F6", lambda x: jax.nn.relu(self.f6(x))),
            ("output", self.output),
        )

    def __call__(self, picture: Float[Array, "height width"]) -> Float[Array, " n_classes"]:
        """The logits of the classes."""
        size = self.image_size
        require(picture.shape == (size, size), "picture", f"have shape ({size}, {size})", picture.shape)
        for _, step in self.steps():
            picture = step(picture)
        return picture

    def scores(self, picture: Float[Array, "height width"]) -> Float[Array, " n_classes"]:
        """Scores of the classes, largest for the best: the outputs themselves."""
        return self(picture)

    def decide(self, picture: Float[Array, "height width"]) -> Array:
        """The class that the network finds."""
        return jnp.argmax(self.scores(picture))
