"""The network of LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition.

    layer    units          sees                                                  parameters   connections
    input    256
    H1       12 @ 8 x 8     5 x 5 of the 16 x 16 input, stride 2                  300 +  768        19,968
    H2       12 @ 4 x 4     5 x 5 of eight of the 12 maps of H1, stride 2       2,400 +  192        38,592
    H3       30             all of H2                                                  5,790         5,790
    output   10             all of H3                                                    310           310
             1,256                                                                     9,760        64,660

Kernels are shared, biases are not: each unit has its own. Every weighted sum, the output's too, passes
through 1.7159 tanh(2 x / 3); the error is the mean square to targets of -1 and +1. The picture is taken to
be surrounded by ground, -1, and H1 by zeros. The paper leaves open which eight maps a map of H2 sees: here
the first, the last and the outer eight, four times each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_integer, require
from neuromanifold.networks.convolutional._layers import (
    Convolution,
    Dense,
    full_table,
    n_parameters,
    scaled_tanh,
)

LENET1989_TABLE = (
    *(tuple(range(8)),) * 4,
    *(tuple(range(4, 12)),) * 4,
    *((*range(4), *range(8, 12)),) * 4,
)


class LeNet1989(eqx.Module):
    """The zip code network on one picture with values in [-1, 1], ground -1.

    `network(picture)` gives the outputs, largest for the best class; `network.decide(picture)` the class.

    Args:
        key: draws the weights.
        image_size: height and width of the input, a multiple of 4; 16.
        kernel_size: side of the kernels, odd; 5.
        n_maps: maps of H1 and of H2.
        table: for each map of H2 the maps of H1 that it sees; None: eight of 12 as said above, else all.
        n_hidden: units of H3.
        n_classes: number of classes.
        gain: first weights are uniform in [-gain/F^power, gain/F^power], F the inputs of a unit; 2.4 in
            the paper.
        power: 1 in the paper.
        dtype: of the parameters.

    Raises:
        ValueError: an argument outside its range, or sizes that do not fit.
    """

    h1: Convolution
    h2: Convolution
    h3: Dense
    output: Dense
    image_size: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        key: Key[Array, ""],
        image_size: int = 16,
        kernel_size: int = 5,
        n_maps: tuple[int, int] = (12, 12),
        table: Sequence[Sequence[int]] | None = None,
        n_hidden: int = 30,
        n_classes: int = 10,
        gain: float = 2.4,
        power: float = 1.0,
        dtype: Any = jnp.float32,
    ) -> None:
        check_integer("image_size", image_size, 4)
        require(image_size % 4 == 0, "image_size", "be a multiple of 4", image_size)
        check_integer("kernel_size", kernel_size, 1)
        require(kernel_size % 2 == 1, "kernel_size", "be odd", kernel_size)
        check_integer("n_classes", n_classes, 2)
        require(len(n_maps) == 2, "n_maps", "hold two numbers, for H1 and H2", n_maps)
        first, second = n_maps
        if table is None:
            table = LENET1989_TABLE if (first, second) == (12, 12) else full_table(first, second)
        require(len(table) == second, "table", f"have a row for each of the {second} maps of H2", len(table))
        keys = jax.random.split(key, 4)
        draw: dict[str, Any] = {"gain": gain, "power": power, "dtype": dtype}
        border: dict[str, Any] = {"stride": 2, "padding": kernel_size // 2, "bias_per_unit": True}
        self.image_size = image_size
        self.h1 = Convolution(
            image_size, 1, full_table(1, first), kernel_size, key=keys[0], background=-1.0, **border, **draw
        )
        self.h2 = Convolution(self.h1.output_size, first, table, kernel_size, key=keys[1], **border, **draw)
        self.h3 = Dense(self.h2.n_units, n_hidden, key=keys[2], **draw)
        self.output = Dense(n_hidden, n_classes, key=keys[3], **draw)

    @property
    def layers(self) -> dict[str, Any]:
        """The layers by name, in order."""
        return {"H1": self.h1, "H2": self.h2, "H3": self.h3, "output": self.output}

    @property
    def n_parameters(self) -> int:
        """Trainable parameters."""
        return n_parameters(self)

    @property
    def n_connections(self) -> int:
        """Connections, one to the bias for each unit and those into the border included."""
        return sum(layer.n_connections for layer in self.layers.values())

    @property
    def n_units(self) -> int:
        """Units, those of the input included."""
        return self.image_size**2 + sum(layer.n_units for layer in self.layers.values())

    def steps(self) -> tuple[tuple[str, Callable[[Array], Array]], ...]:
        """The network as named maps, each from the states of one layer to those of the next."""
        return (
            ("H1", lambda x: scaled_tanh(self.h1(x[..., None]))),
            ("H2", lambda x: scaled_tanh(self.h2(x))),
            ("H3", lambda x: scaled_tanh(self.h3(x.reshape(-1)))),
            ("output", lambda x: scaled_tanh(self.output(x))),
        )

    def __call__(self, picture: Float[Array, "height width"]) -> Float[Array, " n_classes"]:
        """The states of the output units."""
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
