"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86:2278, section II.B).

    layer    units           sees                                          parameters   connections
    C1       6 @ 28 x 28     5 x 5 of the 32 x 32 input                           156       122,304
    S2       6 @ 14 x 14     2 x 2 of its map, a coefficient and bias a map        12         5,880
    C3       16 @ 10 x 10    5 x 5 of some maps of S2, after table I            1,516       151,600
    S4       16 @ 5 x 5      2 x 2 of its map                                      32         2,000
    C5       120             all of S4                                         48,120        48,120
    F6       84              all of C5                                         10,164        10,164
    output   10              F6, distance to a fixed bitmap of 7 x 12               0           840
                                                                               60,000       340,908

Up to F6 every weighted sum passes through 1.7159 tanh(2 x / 3). The output's 840 connections are counted, its
bitmaps are not parameters. The paper draws the bitmaps in its figure 3; those here are drawn in that
manner, with strokes +1 on a ground of -1, and other ones can be given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_choice, check_integer, require
from neuromanifold.networks.convolutional._layers import (
    Convolution,
    Dense,
    RadialBasis,
    Subsampling,
    full_table,
    n_parameters,
    scaled_tanh,
)

# Table I of the paper, a row for each map of C3.
LENET5_TABLE = (
    *((m, (m + 1) % 6, (m + 2) % 6) for m in range(6)),
    *((m, (m + 1) % 6, (m + 2) % 6, (m + 3) % 6) for m in range(6)),
    *((m, (m + 1) % 6, (m + 3) % 6, (m + 4) % 6) for m in range(3)),
    tuple(range(6)),
)

_BITMAPS = """
..###.. ...##.. .#####. ####### .....#. ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## .....## ....##. ##..... .##.... .....## ##...## ##...##
##...## .####.. .....## ....##. ...###. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## ...##.. ..#.##. ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..####. .##.##. ######. ##.###. ....##. .#####. ##...##
##...## ...##.. ...##.. .....## ##..##. .....## ###..## ...##.. ##...## ##..###
##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .###.##
##...## ...##.. .##.... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## ....##.
.##.##. ...##.. ##..... ##...## ....##. ##...## .##.##. ..##... ##...## ...##..
..###.. .###### ####### .#####. ....##. .#####. ..###.. ..##... .#####. .###...
"""


def lenet5_bitmaps() -> np.ndarray:
    """Ten bitmaps of digits, 12 rows by 7 columns, flattened: strokes +1, ground -1, shape (10, 84)."""
    rows = [row.split() for row in _BITMAPS.strip().splitlines()]
    pictures = ["".join(row[digit] for row in rows) for digit in range(10)]
    return np.array([[1 if dot == "#" else -1 for dot in picture] for picture in pictures], dtype=np.int8)


class LeNet5(eqx.Module):
    """LeNet-5 on one picture; `jax.vmap(network)(pictures)` is a batch.

    `network(picture)` gives the penalties y_i of the classes, smallest for the best, with the radial basis
    output, or the logits, largest for the best, with the softmax output; `network.decide(picture)` the class.

    Args:
        key: draws the weights.
        image_size: height and width of the input; 32, with 28 x 28 digits in its middle.
        kernel_size: side of the kernels of C1 and C3; C5 sees all of S4.
        n_maps: maps of C1 and of C3 and units of C5.
        table: for each map of C3 the maps of S2 that it sees; None: table I of the paper for 6 and 16
            maps, else all of them.
        n_hidden: units of F6.
        n_classes: number of classes.
        output: "radial basis" or "softmax" (ten units with weights and biases in place of fixed codes).
        codes: (n_classes, n_hidden) codes of -1 and +1 of the radial basis output; None: the bitmaps.
        gain: first weights are uniform in [-gain/F^power, gain/F^power], F the inputs of a unit; 2.4 in
            the paper.
        power: 1 in the paper; 1/2 keeps the variance of signals through the layers.
        dtype: of the parameters.

    Raises:
        ValueError: an argument outside its range, sizes that do not fit, or codes that are missing.
    """

    c1: Convolution
    s2: Subsampling
    c3: Convolution
    s4: Subsampling
    c5: Dense
    f6: Dense
    output: RadialBasis | Dense
    image_size: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        key: Key[Array, ""],
        image_size: int = 32,
        kernel_size: int = 5,
        n_maps: tuple[int, int, int] = (6, 16, 120),
        table: Sequence[Sequence[int]] | None = None,
        n_hidden: int = 84,
        n_classes: int = 10,
        output: str = "radial basis",
        codes: Any = None,
        gain: float = 2.4,
        power: float = 1.0,
        dtype: Any = jnp.float32,
    ) -> None:
        check_choice("output", output, ("radial basis", "softmax"))
        check_integer("n_classes", n_classes, 2)
        check_integer("image_size", image_size, 4)
        require(len(n_maps) == 3, "n_maps", "hold three numbers, for C1, C3 and C5", n_maps)
        first, second, third = n_maps
        if table is None:
            table = LENET5_TABLE if (first, second) == (6, 16) else full_table(first, second)
        require(len(table) == second, "table", f"have a row for each of the {second} maps of C3", len(table))
        self.image_size = image_size
        keys = jax.random.split(key, 7)
        draw: dict[str, Any] = {"gain": gain, "power": power, "dtype": dtype}
        self.c1 = Convolution(image_size, 1, full_table(1, first), kernel_size, key=keys[0], **draw)
        self.s2 = Subsampling(self.c1.output_size, first, key=keys[1], **draw)
        self.c3 = Convolution(self.s2.output_size, first, table, kernel_size, key=keys[2], **draw)
        self.s4 = Subsampling(self.c3.output_size, second, key=keys[3], **draw)
        self.c5 = Dense(self.s4.n_units, third, key=keys[4], **draw)
        self.f6 = Dense(third, n_hidden, key=keys[5], **draw)
        if output == "softmax":
            self.output = Dense(n_hidden, n_classes, key=keys[6], **draw)
            return
        if codes is None:
            bitmaps = lenet5_bitmaps()
            require(
                (n_classes, n_hidden) == bitmaps.shape,
                "codes",
                f"be given unless n_classes and n_hidden are {bitmaps.shape[0]} and {bitmaps.shape[1]}",
                codes,
            )
            codes = bitmaps
        require(
            np.shape(codes) == (n_classes, n_hidden),
            "codes",
            f"have shape ({n_classes}, {n_hidden})",
            np.shape(codes),
        )
        self.output = RadialBasis(codes)

    @property
    def layers(self) -> dict[str, Any]:
        """The layers by name, in order."""
        return {
            "C1": self.c1,
            "S2": self.s2,
            "C3": self.c3,
            "S4": self.s4,
            "C5": self.c5,
            "F6": self.f6,
            "output": self.output,
        }

    @property
    def n_parameters(self) -> int:
        """Trainable parameters."""
        return n_parameters(self)

    @property
    def n_connections(self) -> int:
        """Connections, those of the output included."""
        return sum(layer.n_connections for layer in self.layers.values())

    def steps(self) -> tuple[tuple[str, Callable[[Array], Array]], ...]:
        """The network as named maps, each from the states of one layer to those of the next."""
        return (
            ("C1", lambda x: scaled_tanh(self.c1(x[..., None]))),
            ("S2", lambda x: scaled_tanh(self.s2(x))),
            ("C3", lambda x: scaled_tanh(self.c3(x))),
            ("S4", lambda x: scaled_tanh(self.s4(x))),
            ("C5", lambda x: scaled_tanh(self.c5(x.reshape(-1)))),
            ("F6", lambda x: scaled_tanh(self.f6(x))),
            ("output", self.output),
        )

    def __call__(self, picture: Float[Array, "height width"]) -> Float[Array, " n_classes"]:
        """Penalties (radial basis) or logits (softmax) of the classes."""
        size = self.image_size
        require(picture.shape == (size, size), "picture", f"have shape ({size}, {size})", picture.shape)
        for _, step in self.steps():
            picture = step(picture)
        return picture

    def scores(self, picture: Float[Array, "height width"]) -> Float[Array, " n_classes"]:
        """Scores of the classes, largest for the best: logits, or penalties with their sign turned."""
        found = self(picture)
        return -found if isinstance(self.output, RadialBasis) else found

    def decide(self, picture: Float[Array, "height width"]) -> Array:
        """The class that the network finds."""
        return jnp.argmax(self.scores(picture))
