"""LeNet-5 learns handwritten digits by back-propagation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data import Digits, Distortion, load_fashion_mnist, load_mnist, load_mnist_subset, split
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
    chance_error,
    draw_cost,
    draw_course,
    draw_kernels,
    draw_pictures,
    standard_preparation,
    train,
)
from neuromanifold.learning import MaximumPosterior, cross_entropy
from neuromanifold.networks.convolutional import LeNet5, ModernLeNet

CARD = Card(
    name="lenet-digits",
    title="LeNet-5 on handwritten digits",
    topic="perception",
    lecture="D",
    systems=("D7",),
    idea=(
        "A convolutional network looks at a picture through small windows that share their weights, blurs "
        "what it finds, and looks again. All its weights are learned from labelled digits by back-"
        "propagation: each is moved against the derivative of a cost. Digits kept aside show what was "
        "learned rather than memorised. Theory says little here: a guess is wrong nine times in ten, and "
        "nothing predicts the error that training reaches, so the claims are bounds. The faithful network "
        "is that of 1998, with trainable pooling, a partial connection table and outputs that measure the "
        "distance to drawn bitmaps; the modern one has today's parts."
    ),
    equations=(
        ("a unit of a convolutional layer", r"a_{ijm} = b_m + \sum_{u,v,c} W_{uvcm}\, x_{i+u,\,j+v,\,c}"),
        ("its state", r"x = 1.7159 \tanh(2a/3)"),
        ("penalty of a class, with its bitmap w", r"y_c = \sum_j (x_j - w_{cj})^2"),
        ("the cost of a digit of class c", r"E = y_c + \log\left(e^{-j} + \sum_k e^{-y_k}\right)"),
    ),
    sources=("lecun1998",),
    caption=(
        "Above: error on held-out and on training digits against epochs, with binomial standard errors, and"
        " the error of guessing; mean cost of a training digit. Below: the held-out digits with the "
        "smallest margin after training; kernels of the first layer."
    ),
)


# Four seeds at the quick preset err on 2.6 to 4.3 %; with frozen convolutions two err on 6.2 and 7.7 %, with
# the wrong sign of the gradient in C1 on 5.7 and 6.8 %. At five standard errors of 1,000 digits the bound
# passes up to 5.3 %.
QUICK_BOUND = 0.91
QUICK_REASON = "between what is reached and what is reached when a layer learns wrongly or not at all"


@experiment(
    CARD,
    full={"source": "mnist", "n_epochs": 20, "batch_size": 64, "learning_rate": 2e-3, "n_watched": 10_000},
)
class LeNetDigits:
    """See the card."""

    source: str = parameter(
        "subset",
        doc="the digits: 5,000 of MNIST, all of MNIST, or Fashion-MNIST",
        choices=("subset", "mnist", "fashion-mnist"),
    )
    n_test: int = parameter(
        1000, doc="digits held out of the subset; MNIST has its own 10,000", low=10, high=4990
    )
    architecture: str = parameter(
        "faithful", doc="the network of 1998 or one with today's parts", choices=("faithful", "modern")
    )
    output: str = parameter(
        "radial basis",
        doc="outputs of the faithful network; the modern one has softmax",
        choices=("radial basis", "softmax"),
    )
    n_maps: tuple[int, ...] = parameter((6, 16), doc="maps of the two convolutional layers", low=1, high=1024)
    n_hidden: tuple[int, ...] = parameter((120, 84), doc="units of the two layers above", low=1, high=16384)
    rubbish: float = parameter(20.0, doc="penalty j of the class of rubbish", low=0, open_low=True)
    distortions: bool = parameter(False, doc="train on randomly distorted digits")
    rotation: float = parameter(10.0, doc="largest rotation of a distortion", unit="degree", low=0, high=180)
    scaling: float = parameter(0.1, doc="largest relative change of size", low=0, high=0.9)
    shear: float = parameter(0.1, doc="largest slant of a distortion", low=0, high=2)
    shift: float = parameter(1.5, doc="largest shift of a distortion", unit="pixel", low=0, high=28)
    elastic: float = parameter(24.0, doc="strength of the elastic field", unit="pixel", low=0)
    smoothing: float = parameter(
        4.0, doc="smoothing of the elastic field", unit="pixel", low=0, open_low=True
    )
    n_epochs: int = parameter(10, doc="passes through the training digits", low=1)
    batch_size: int = parameter(64, doc="digits of a step", low=1, high=60000)
    optimizer: str = parameter("adam", doc="what is made of the gradient", choices=("adam", "momentum"))
    learning_rate: float = parameter(
        4e-3, doc="rate of the first step, falling along a cosine", low=0, open_low=True
    )
    momentum: float = parameter(0.9, doc="momentum of either optimizer", low=0, high=1, open_high=True)
    weight_decay: float = parameter(
        0.0, doc="share of the parameters, times the rate, that a step takes away", low=0, high=10
    )
    n_watched: int = parameter(1000, doc="training digits on which the error is measured", low=2)

    def check(self) -> None:
        """Two layers and two, as the networks have."""
        require(len(self.n_maps) == 2, "n_maps", "hold two numbers", self.n_maps)
        require(len(self.n_hidden) == 2, "n_hidden", "hold two numbers", self.n_hidden)
        bitmaps = self.architecture == "faithful" and self.output == "radial basis"
        require(
            not bitmaps or self.n_hidden[1] == 84,
            "n_hidden",
            "end in 84, the pixels of a bitmap",
            self.n_hidden,
        )

    def predict(self) -> xr.Dataset:
        """The error of guessing; theory has no more to say."""
        return chance_error(10)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Split, build, train, measure."""
        split_key, network_key, train_key = jax.random.split(key, 3)
        training, held_out = self._digits(split_key)
        distortion = None
        if self.distortions:
            distortion = Distortion(
                self.rotation, self.scaling, self.shear, self.shift, self.elastic, self.smoothing
            )
        network, criterion = self._network(network_key)
        variables = train(
            run,
            train_key,
            network,
            criterion,
            training,
            held_out,
            standard_preparation(training, network.image_size, distortion),
            self,
            label=CARD.name,
        )
        return xr.Dataset(variables)

    def _digits(self, key: Key[Array, ""]) -> tuple[Digits, Digits]:
        if self.source == "mnist":
            return load_mnist()
        if self.source == "fashion-mnist":
            return load_fashion_mnist()
        return split(key, load_mnist_subset(), self.n_test)

    def _network(self, key: Key[Array, ""]) -> tuple[Any, Callable[..., Any]]:
        first, second = self.n_maps
        if self.architecture == "modern":
            hidden = (self.n_hidden[0], self.n_hidden[1])
            return ModernLeNet(key=key, n_maps=(first, second), n_hidden=hidden), cross_entropy
        maps = (first, second, self.n_hidden[0])
        network = LeNet5(key=key, n_maps=maps, n_hidden=self.n_hidden[1], output=self.output)
        return network, MaximumPosterior(self.rubbish) if self.output == "radial basis" else cross_entropy

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """A bound on the error that is reached."""
        error = read_measured(record.isel(epoch=-1), "held_out_error")
        net = "LeNet-5" if self.architecture == "faithful" else "the modern LeNet"
        how = "with distortions" if self.distortions else "without distortions"
        if self.source == "mnist":
            reached = self.architecture == "modern" and self.distortions
            bound, paper = (0.008, "0.8 % with distortions") if reached else (0.012, "0.95 % without")
            return [
                at_most(
                    bound,
                    error,
                    statement=f"{net} trained {how} errs on at most {100 * bound:g} % of MNIST's test digits",
                    system="D7",
                    sigmas=0,
                    reason=f"LeCun et al. 1998 report {paper}; the test set is one given sample",
                )
            ]
        accuracy = Estimate(1 - error.mean, error.standard_error, error.n)
        if self.source == "fashion-mnist":
            bound, reason = 0.8, "a linear classifier reaches 0.84 on Fashion-MNIST"
        else:
            bound, reason = QUICK_BOUND, QUICK_REASON
        return [
            at_least(
                bound,
                accuracy,
                statement=f"{net} trained {how} tells at least {100 * bound:g} % of held-out digits",
                system="D7",
                reason=reason,
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
