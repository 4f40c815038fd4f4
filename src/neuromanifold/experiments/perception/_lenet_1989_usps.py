"""The network of LeCun et al. 1989 learns handwritten digits of 16 x 16 pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data import Digits, load_mnist_subset, load_usps, resize, split
from neuromanifold.evidence import (
    Claim,
    Estimate,
    at_least,
    at_most,
    read_measured,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels
from neuromanifold.experiments.perception._training import (
    Preparation,
    chance_error,
    draw_cost,
    draw_course,
    draw_kernels,
    draw_pictures,
    train,
)
from neuromanifold.learning import squared_error
from neuromanifold.networks.convolutional import LeNet1989

CARD = Card(
    name="lenet-1989-usps",
    title="The zip code reader of 1989",
    topic="perception",
    lecture="D",
    systems=("D7",),
    idea=(
        "The first network that read handwritten digits from their pixels: 1,256 units, 64,660 connections "
        "and only 9,760 weights, since units of a map share them. It learns by back-propagation of the "
        "squared error. On the digits that the United States Postal Service cut from envelopes, 7,291 to "
        "learn and 2,007 to test, the paper reports 5.0 percent wrong; without those files it learns from "
        "digits of MNIST brought to the same 16 x 16 pixels, which are easier. Theory gives the error of "
        "guessing only; the claim is a bound."
    ),
    equations=(
        (
            "a unit of the first layer, with a bias of its own",
            r"a_{ijm} = b_{ijm} + \sum_{u,v} W_{uvm}\, x_{2i+u,\,2j+v}",
        ),
        ("its state", r"x = 1.7159 \tanh(2a/3)"),
        ("the cost, with targets of plus and minus one", r"E = \frac{1}{2} \sum_i (o_i - d_i)^2"),
    ),
    sources=("lecun1989",),
    caption=(
        "Above: error on held-out and on training digits against epochs, with binomial standard errors, and"
        " the error of guessing; mean cost of a training digit. Below: the held-out digits with the "
        "smallest margin after training; kernels of the first layer."
    ),
)

# Four seeds at the quick preset err on 3.5 to 6.0 %. At five standard errors of 1,000 digits the bound passes
# up to 6.9 %.
QUICK_BOUND = 0.89
QUICK_REASON = "below what seeds reached by five standard errors of 1,000 digits"


@experiment(CARD, full={"source": "usps", "n_epochs": 23, "batch_size": 16, "n_watched": 7291})
class LeNet1989USPS:
    """See the card."""

    source: str = parameter(
        "subset", doc="the digits: 5,000 of MNIST brought to 16 x 16, or USPS", choices=("subset", "usps")
    )
    n_test: int = parameter(
        1000, doc="digits held out of the subset; USPS has its own 2,007", low=10, high=4990
    )
    n_maps: tuple[int, ...] = parameter((12, 12), doc="maps of H1 and H2", low=1, high=1024)
    n_hidden: int = parameter(30, doc="units of H3", low=1, high=16384)
    n_epochs: int = parameter(12, doc="passes through the training digits", low=1)
    batch_size: int = parameter(16, doc="digits of a step; 1 in the paper", low=1, high=7291)
    optimizer: str = parameter("adam", doc="what is made of the gradient", choices=("adam", "momentum"))
    learning_rate: float = parameter(
        2e-3, doc="rate of the first step, falling along a cosine", low=0, open_low=True
    )
    momentum: float = parameter(0.9, doc="momentum of either optimizer", low=0, high=1, open_high=True)
    weight_decay: float = parameter(
        0.3, doc="share of the parameters, times the rate, that a step takes away", low=0, high=10
    )
    n_watched: int = parameter(1000, doc="training digits on which the error is measured", low=2)

    def check(self) -> None:
        """Two layers of maps, as the network has."""
        require(len(self.n_maps) == 2, "n_maps", "hold two numbers", self.n_maps)

    def predict(self) -> xr.Dataset:
        """The error of guessing; theory has no more to say."""
        return chance_error(10)

    def simulate(self, key: Key[Array, ""], run: Callable[..., object]) -> xr.Dataset:
        """Split, build, train, measure."""
        split_key, network_key, train_key = jax.random.split(key, 3)
        if self.source == "usps":
            training, held_out = load_usps()
        else:
            digits = load_mnist_subset()
            small = Digits(resize(digits.images, 16, margin=4) / 127.5 - 1, digits.labels)
            training, held_out = split(split_key, small, self.n_test)
        network = LeNet1989(key=network_key, n_maps=(self.n_maps[0], self.n_maps[1]), n_hidden=self.n_hidden)
        variables = train(
            run,
            train_key,
            network,
            squared_error,
            training,
            held_out,
            Preparation(network.image_size, 0.0, 1.0),
            self,
            label=CARD.name,
        )
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """A bound on the error that is reached."""
        error = read_measured(record.isel(epoch=-1), "held_out_error")
        if self.source == "usps":
            return [
                at_most(
                    0.055,
                    error,
                    statement="the network of 1989 errs on at most 5.5 % of the test digits of USPS",
                    system="D7",
                    sigmas=0,
                    reason="LeCun et al. 1989 report 5.0 %; the test set is one given sample",
                )
            ]
        return [
            at_least(
                QUICK_BOUND,
                Estimate(1 - error.mean, error.standard_error, error.n),
                statement=f"the network of 1989 tells at least {100 * QUICK_BOUND:g} % of held-out digits",
                system="D7",
                reason=QUICK_REASON,
            )
        ]

    def draw(self, record: xr.Dataset) -> Figure:
        """Errors and cost against epochs, hardest digits, kernels."""
        figure, axes = panels(2, 2, width=4.8, height=3.6)
        draw_course(axes[0, 0], record, "chance_error")
        draw_cost(axes[0, 1], record)
        draw_pictures(axes[1, 0], record, columns=8)
        draw_kernels(axes[1, 1], record)
        return figure
