"""A course of training on pictures, watched epoch by epoch: what the experiments on digits share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float, Key, Num, PyTree
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from neuromanifold.data import Digits, Distortion
from neuromanifold.evidence import Estimate, Prediction, measured_variables, predicted_variable, proportion
from neuromanifold.experiments._figure import COLOURS, simulation, theory
from neuromanifold.learning import LearnerState, Minibatches, Supervised, backpropagation, learner


class Preparation(eqx.Module):
    """Pictures as a network wants them: padded, distorted where a key is given, shifted and scaled.

    Args:
        size: height and width after padding.
        mean, deviation: subtracted, then divided by.
        distortion: applied to pictures in training, or None.
    """

    size: int = eqx.field(static=True)
    mean: float = eqx.field(static=True)
    deviation: float = eqx.field(static=True)
    distortion: Distortion | None = None

    def __call__(
        self, key: Key[Array, ""] | None, pictures: Num[Array, "n height width"]
    ) -> Float[Array, "n size size"]:
        """Prepared pictures; undistorted without a key."""
        before = self.size - pictures.shape[1]
        margin = (before // 2, before - before // 2)
        padded = jnp.pad(pictures, ((0, 0), margin, margin)).astype(jnp.float32)
        if key is not None and self.distortion is not None:
            padded = self.distortion(key, padded)
        return (padded - self.mean) / self.deviation


def standard_preparation(training: Digits, size: int, distortion: Distortion | None = None) -> Preparation:
    """Padding to size x size, then mean 0 and variance 1 over the pixels of the training pictures."""
    n_pixels = len(training) * size * size
    mean = float(training.images.sum(dtype=np.float64)) / n_pixels
    square = float(np.square(training.images, dtype=np.float64).sum()) / n_pixels
    return Preparation(size, mean, (square - mean**2) ** 0.5, distortion)


class Watch(eqx.Module):
    """What is recorded of a learner: wrong decisions and costs, on held-out and on training digits."""

    held_out: tuple[Array, Array]
    training: tuple[Array, Array]
    prepare: Preparation
    criterion: Callable[..., Any]

    def __call__(self, state: LearnerState) -> dict[str, Array]:
        """Counts of wrong digits on both parts; sum and sum of squares of the costs on the second."""
        seen = {}
        for name, (pictures, labels) in {"held_out": self.held_out, "training": self.training}.items():
            prepared = self.prepare(None, pictures)
            outputs, scores = jax.vmap(lambda x: (state.params(x), state.params.scores(x)))(prepared)
            seen[f"{name}_wrong"] = jnp.sum(jnp.argmax(scores, axis=1) != labels, dtype=jnp.int32)
        costs = jax.vmap(self.criterion)(outputs, labels)  # pyright: ignore[reportPossiblyUnboundVariable]
        return {**seen, "cost": jnp.mean(costs), "cost_deviation": jnp.std(costs, ddof=1)}


@runtime_checkable
class Course(Protocol):
    """How a network is trained and watched; the parameters that the experiments have in common.

    Args:
        n_epochs: passes through the training digits.
        batch_size: digits of a step.
        optimizer: "adam" or "momentum".
        learning_rate: of the first step.
        momentum: of either optimizer.
        weight_decay: share of the parameters, times the rate, that each step takes away.
        n_watched: training digits on which error and cost are measured.
    """

    @property
    def n_epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def momentum(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def n_watched(self) -> int: ...


def chance_error(n_classes: int) -> xr.Dataset:
    """The error of guessing among equally frequent classes."""
    chance = Prediction(np.asarray(1 - 1 / n_classes))
    return xr.Dataset(predicted_variable("chance_error", chance, long_name="error of guessing"))


def transformation(course: Course, n_steps: int) -> optax.GradientTransformation:
    """Adam or momentum with decoupled weight decay, at a rate that falls along half a cosine."""
    rate = optax.cosine_decay_schedule(course.learning_rate, max(n_steps, 1))
    adam = course.optimizer == "adam"
    rule = optax.scale_by_adam(b1=course.momentum) if adam else optax.trace(course.momentum)
    return optax.chain(
        rule, optax.add_decayed_weights(course.weight_decay), optax.scale_by_learning_rate(rate)
    )


def train(
    run: Callable[..., Any],
    key: Key[Array, ""],
    network: Any,
    criterion: Callable[..., Any],
    training: Digits,
    held_out: Digits,
    prepare: Preparation,
    course: Course,
    *,
    n_shown: int = 24,
    trainable: PyTree = eqx.is_inexact_array,
    label: str,
) -> dict[str, xr.Variable]:
    """Train a network and measure it before the first and after each epoch.

    Args:
        run: `neuromanifold.dynamics.run` or one that checkpoints.
        key: of the order of examples and the distortions.
        network: has `__call__` and `scores` on one picture.
        criterion: `criterion(output, label)` -> cost.
        training: digits that are learned.
        held_out: digits that are not.
        prepare: makes pictures fit for the network.
        course: how it is trained; the digits watched are those first in a random order.
        n_shown: held-out digits that are kept as pictures, the hardest ones.
        trainable: as for `learner`.
        label: names the run.

    Returns:
        The variables of a record: held_out_error, training_error, training_cost (epoch), class_error (digit),
        kernels (map, kernel_row, kernel_column) of the first layer, and the hardest held-out digits as
        hard_picture (shown, row, column), hard_label and hard_decision (shown).
    """
    stream_key, watch_key, run_key = jax.random.split(key, 3)
    stream = Minibatches((training.images, training.labels), course.batch_size, key=stream_key)
    steps = stream.n_batches * course.n_epochs
    process = learner(
        backpropagation(Supervised(criterion, prepare), stream),
        transformation(course, steps),
        trainable=trainable,
    )
    n_watched = min(course.n_watched, len(training))
    chosen = np.sort(np.asarray(jax.random.permutation(watch_key, len(training)))[:n_watched])
    watch = Watch(
        (jnp.asarray(held_out.images), jnp.asarray(held_out.labels)),
        (jnp.asarray(training.images[chosen]), jnp.asarray(training.labels[chosen])),
        prepare,
        criterion,
    )
    ran = run(process, run_key, network, steps, observe=watch, every=stream.n_batches, label=label)
    measured: dict[str, xr.Variable] = {"epoch": xr.Variable(("epoch",), np.arange(course.n_epochs + 1))}
    measured["epoch"].attrs.update(long_name="passes through the training digits", units="1")
    for part, n, text in (
        ("held_out", len(held_out), "held-out digits"),
        ("training", n_watched, "training digits"),
    ):
        rates = [proportion(int(wrong), n) for wrong in ran.values[f"{part}_wrong"]]
        together = Estimate(
            np.array([rate.mean for rate in rates]), np.array([rate.standard_error for rate in rates]), n
        )
        measured |= measured_variables(
            f"{part}_error", together, ("epoch",), long_name=f"fraction of {text} classified wrongly"
        )
    cost = Estimate(
        np.asarray(ran.values["cost"], np.float64),
        np.asarray(ran.values["cost_deviation"], np.float64) / n_watched**0.5,
        n_watched,
    )
    measured |= measured_variables(
        "training_cost", cost, ("epoch",), long_name="mean cost of a training digit"
    )
    return measured | _inspected(ran.state.params, held_out, prepare, n_shown)


@jax.jit
def _scores(network: PyTree, pictures: Array) -> Array:
    return jax.vmap(network.scores)(pictures)


def _inspected(network: Any, digits: Digits, prepare: Preparation, n_shown: int) -> dict[str, xr.Variable]:
    """The error by class, the first kernels and the hardest digits."""
    prepared = prepare(None, jnp.asarray(digits.images))
    scores = np.asarray(_scores(network, prepared), dtype=np.float64)
    labels, n = digits.labels, len(digits)
    decisions = scores.argmax(1)
    others = scores.copy()
    others[np.arange(n), labels] = -np.inf
    hardest = np.argsort(scores[np.arange(n), labels] - others.max(1), kind="stable")[: min(n_shown, n)]
    rates = [
        proportion(int((decisions[labels == c] != c).sum()), max(int((labels == c).sum()), 1))
        for c in range(digits.n_classes)
    ]
    by_class = Estimate(
        np.array([rate.mean for rate in rates]),
        np.array([rate.standard_error for rate in rates]),
        min(rate.n for rate in rates),
    )
    kernels = np.asarray(next(iter(network.layers.values())).kernel(), np.float64)[:, :, 0, :]
    text = "held-out digits that are hardest to tell"
    return {
        **measured_variables(
            "class_error", by_class, ("digit",), long_name="fraction of a digit's pictures classified wrongly"
        ),
        "kernels": xr.Variable(
            ("map", "kernel_row", "kernel_column"),
            kernels.transpose(2, 0, 1),
            {"long_name": "kernels of the first layer", "units": "1"},
        ),
        "hard_picture": xr.Variable(
            ("shown", "row", "column"),
            np.asarray(prepared[hardest], np.float64),
            {"long_name": text, "units": "1"},
        ),
        "hard_label": xr.Variable(
            ("shown",), labels[hardest], {"long_name": f"class of {text}", "units": "1"}
        ),
        "hard_decision": xr.Variable(
            ("shown",), decisions[hardest], {"long_name": f"decision on {text}", "units": "1"}
        ),
    }


def draw_course(axes: Axes, record: xr.Dataset, chance: str) -> None:
    """Errors against epochs, held-out and training, with the line of chance."""
    draw_courses(axes, {"": record}, ("held_out_error", "training_error"), chance)


def draw_courses(axes: Axes, courses: Mapping[str, xr.Dataset], names: Sequence[str], chance: str) -> None:
    """Errors of one or several courses against epochs, on a logarithmic scale, with the line of chance."""
    texts = {"held_out_error": "held out", "training_error": "training"}
    index = 0
    for title, record in courses.items():
        epochs = record["epoch"].values
        for name in names:
            rate, spread = record[name].values, record[f"{name}_stderr"].values
            # A logarithm needs the bar to end above zero; no error at all cannot be drawn.
            below = np.minimum(spread, 0.9 * rate)
            shown = rate > 0
            bars = 100 * np.stack([below, spread])[:, shown]
            simulation(axes, epochs[shown], 100 * rate[shown], bars, index, label=title or texts[name])
            index += 1
    record = next(iter(courses.values()))
    theory(
        axes, record["epoch"].values[[0, -1]], 100 * np.repeat(record[chance].values, 2), 6, label="guessing"
    )
    axes.set(xlabel="epoch", ylabel="digits classified wrongly (%)", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.legend(frameon=False)


def draw_cost(axes: Axes, record: xr.Dataset) -> None:
    """Mean cost of a training digit against epochs, on a logarithmic scale."""
    mean, spread = record["training_cost"].values, record["training_cost_stderr"].values
    bars = np.stack([np.minimum(spread, 0.9 * mean), spread])
    simulation(axes, record["epoch"].values, mean, bars, 2)
    axes.set(xlabel="epoch", ylabel="cost of a training digit", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_pictures(axes: Axes, record: xr.Dataset, columns: int = 4) -> None:
    """The hardest held-out digits in a grid, each with its class and what was found."""
    pictures, n = record["hard_picture"].values, record.sizes["shown"]
    rows = -(-n // columns)
    height, width = pictures.shape[1:]
    gap = max(height // 3, 6)
    sheet = np.full((rows * (height + gap), columns * (width + 2) - 2), np.nan)
    for i, picture in enumerate(pictures):
        top, left = (i // columns) * (height + gap) + gap, (i % columns) * (width + 2)
        sheet[top : top + height, left : left + width] = picture
        wrong = record["hard_label"].values[i] != record["hard_decision"].values[i]
        axes.text(
            left + width / 2,
            top - 1.5,
            f"{record['hard_label'].values[i]} → {record['hard_decision'].values[i]}",
            ha="center",
            va="bottom",
            fontsize=8,
            color=COLOURS[1] if wrong else "0.3",
            weight="bold" if wrong else "normal",
        )
    axes.imshow(sheet, cmap="gray_r", interpolation="nearest")
    axes.set(title="hardest held-out digits: class → found (wrong: bold)", xticks=[], yticks=[])
    axes.title.set_fontsize(9)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def draw_kernels(axes: Axes, record: xr.Dataset) -> None:
    """The kernels of the first layer in a grid, dark for negative and light for positive weights."""
    kernels = record["kernels"].values
    n, side, _ = kernels.shape
    columns = max(1, round(n**0.5 * 1.2))
    rows = -(-n // columns)
    sheet = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1), np.nan)
    for i, kernel in enumerate(kernels):
        top, left = (i // columns) * (side + 1), (i % columns) * (side + 1)
        sheet[top : top + side, left : left + side] = kernel
    limit = np.abs(kernels).max()
    image = axes.imshow(sheet, cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, shrink=0.7, label="weight")
    axes.set(title="kernels of the first layer", xticks=[], yticks=[])
    axes.title.set_fontsize(9)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
