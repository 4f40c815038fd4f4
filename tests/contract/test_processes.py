"""One table of everything that moves; every row keeps the same contract.

A new process is added as a row and gets all tests: its step is the same compiled and not, replicas are a
loop over keys, a second run compiles nothing, a resumed run is the uninterrupted one bit for bit, and what it
declares to descend does.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neuromanifold.data import random_patterns
from neuromanifold.data.populations import stimulus_set
from neuromanifold.dynamics import Process, block_gibbs, cooling, gibbs, glauber, little, metropolis, run
from neuromanifold.experiments.geometry._carried import carried, carried_curve
from neuromanifold.experiments.geometry._domino import send_back
from neuromanifold.experiments.populations._cells import MemoryCells
from neuromanifold.experiments.signals._ring import ring_network
from neuromanifold.experiments.wide._lazy import _Loss, _Training
from neuromanifold.learning import Minibatches, backpropagation, learner
from neuromanifold.learning.competitive import batch_map, normalised_hebb, online_map
from neuromanifold.learning.contrastive import contrastive_divergence, persistent_divergence, phase_difference
from neuromanifold.learning.hebbian import sampled, sanger_change
from neuromanifold.learning.mixture import (
    default_prior,
    initial_statistics,
    mixture_ascent,
    stochastic_ascent,
)
from neuromanifold.learning.sparse import dictionary_learning, independent_components
from neuromanifold.networks.decision import DriftDiffusion, LinearGaussian
from neuromanifold.networks.energy import (
    Adaptive,
    Annealing,
    Bernoulli,
    BoltzmannMachine,
    GaussianLearning,
    Hajek,
    Ising,
    RestrictedBoltzmann,
    annealing,
    annealing_of,
    parallel_tempering,
    path_integral_annealing,
    random_spins,
    tempered_chains,
)
from neuromanifold.networks.generative import SparseCode, inference
from neuromanifold.networks.memory import (
    AdatronLearning,
    Bidirectional,
    DenseAssociativeMemory,
    DenseHopfield,
    Hopfield,
    LayeredMemory,
    ModernHopfield,
    PerceptronLearning,
    SparseMemory,
    asynchronous,
    from_signs,
    storkey_learning,
    synchronous,
)
from neuromanifold.networks.random import (
    PSpin,
    RecurrentLayered,
    binary_network,
    random_deep_network,
    random_field,
)
from neuromanifold.networks.selforganizing import (
    HebbPopulation,
    InhibitedWeights,
    Lattice,
    bars,
    random_map,
    random_sheet,
)
from neuromanifold.theory.energy import ExactChain, ScaledLogarithm, path_proposal
from neuromanifold.theory.meanfield import (
    activation,
    binary_process,
    circle_process,
    correlation_process,
    curve_process,
    dropout_process,
    finite_width_process,
    jacobian_process,
    length_process,
    metric_process,
    residual_process,
    surface_process,
)
from neuromanifold.theory.memory import GroupRecall, LayeredLaw, SignalToNoise, ThermalFamily

N = 12
PATTERNS = np.asarray(random_patterns(jax.random.key(7), 3, N))
CUE = np.where(np.arange(N) < 3, -PATTERNS[0], PATTERNS[0]).astype(np.float32)
COUPLINGS = jnp.asarray((PATTERNS.T @ PATTERNS - 3 * np.eye(N)) / N, jnp.float32)


def field(i, x):
    return COUPLINGS[i] @ x


def fields(x):
    return COUPLINGS @ x


def log_weight(x):
    return 0.5 * x @ COUPLINGS @ x


def conditional(key, t, i, x):
    return jnp.where(jax.random.bernoulli(key, jax.nn.sigmoid(2 * field(i, x))), 1, -1)


def resample(key, t, x):
    return jnp.where(jnp.arange(N) < 4, jnp.where(jax.random.bernoulli(key, 0.5, (N,)), 1.0, -1.0), x)


def flip(key, x):
    return x.at[jax.random.randint(key, (), 0, N)].multiply(-1), 0.0, 0.0


def square(x, batch, key):
    return jnp.sum((x - jax.random.normal(key, x.shape)) ** 2)


def brightness(network, batch, key):
    return jnp.sum(network(jax.random.normal(key, (1, 8, 8))) ** 2)


def vertical_bar(key, t):
    return jnp.asarray(bars([1.2], input_radius=1)[0], jnp.float32)


def unit_pair(key):
    return jax.random.normal(key, (2,)) / jnp.sqrt(2.0)


PAIR = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)
WIDE = random_deep_network(jnp.tanh, 8, sigma_w=1.5, sigma_b=0.3)
LAZY = _Training(
    learner(backpropagation(_Loss(jnp.asarray(PAIR), jnp.ones((2, 1)))), optax.sgd(0.05)), (8, 4, 1), 1.0, 0.1
)
FILTERS = eqx.nn.Conv2d(1, 2, 3, key=jax.random.key(0))
SIGNS = DenseHopfield(COUPLINGS, tie="keep")
POINTS = (
    np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    + 2 * np.eye(2, dtype=np.float32)[np.arange(16) % 2]
)
MIXTURE = default_prior(POINTS, 3, covariance="diagonal")
GLASS = Ising(np.asarray(COUPLINGS))
READS = random_spins(jax.random.key(3), 2, N)
MAP = random_map(jax.random.key(5), Lattice((2, 3), "hexagonal"), POINTS)
CODE = SparseCode([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], 0.2)
WHITE = np.linalg.solve(np.linalg.cholesky(np.cov(POINTS.T, bias=True)), (POINTS - POINTS.mean(0)).T).T
OWNERS = np.arange(16, dtype=np.int32) % 3
BITS = (PATTERNS[:, :4] > 0).astype(np.float32)
LAYERS = RestrictedBoltzmann.random(jax.random.key(3), Bernoulli(4), Bernoulli(3), 0.5)
UNITS = BoltzmannMachine(np.zeros((5, 5), np.float32), n_visible=4)
ROWS = Minibatches(BITS, 2, key=jax.random.key(0))
# Both have 5 to 8 observations, every second step, and so one program; the shorter ends between two of them.
LENGTH, INTERRUPTED = 14, 11
TABLE = {
    "gibbs": (gibbs(conditional, N, updates=3), CUE),
    "block gibbs": (block_gibbs([resample]), CUE),
    "glauber": (glauber(field, N, 1.5, order="permuted"), CUE),
    "little": (little(fields, 1.5), CUE),
    "metropolis": (metropolis(log_weight, flip), CUE),
    "recall, synchronous": (synchronous(Hopfield(PATTERNS)), CUE),
    "recall, int8": (synchronous(Hopfield(PATTERNS, storage="int8")), CUE),
    "recall, sequence": (synchronous(Hopfield(PATTERNS, "sequence")), CUE),
    "recall, asynchronous": (asynchronous(Hopfield(PATTERNS)), CUE),
    "recall, dense, one unit a step": (asynchronous(SIGNS, "uniform", 1), CUE),
    "recall, 0/1 units": (asynchronous(from_signs(SIGNS)), (CUE + 1) / 2),
    "recall, temperature": (asynchronous(Hopfield(PATTERNS), temperature=0.6), CUE),
    "recall, synchronous, cooling": (
        synchronous(Hopfield(PATTERNS), temperature=cooling("linear", 1.0, 0.0, 5)),
        CUE,
    ),
    "recall, dense of order 3": (asynchronous(DenseAssociativeMemory(PATTERNS, order=3)), CUE),
    "recall, exponential": (synchronous(DenseAssociativeMemory(PATTERNS, "exponential")), CUE),
    "recall, modern": (ModernHopfield(PATTERNS.astype(np.float32), 0.4).process(), 1.5 * CUE),
    "recall in groups": (GroupRecall([0.5, 8.0], 3, 4, 0.6).process(), 0.0),
    "recall, sparse under control": (
        synchronous(SparseMemory((PATTERNS + 1) / 2, n_active=N // 2)),
        (CUE + 1) / 2,
    ),
    "Storkey learning": (storkey_learning(PATTERNS), jnp.zeros((N, N))),
    "perceptron learning": (PerceptronLearning(jnp.asarray(PATTERNS), 1.0).process(), jnp.zeros((N, N))),
    "AdaTron": (AdatronLearning(jnp.asarray(PATTERNS), 1e-6).process(), jnp.zeros((3, N))),
    "random deep network": (random_deep_network(jnp.tanh, 8, sigma_w=1.5, sigma_b=0.3), PAIR),
    "random recurrent network": (
        random_deep_network(jnp.tanh, 8, sigma_w=1.5, sigma_b=0.3, mode="reused", weights="orthogonal"),
        PAIR,
    ),
    "length map": (length_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3), 1.0),
    "correlation map": (correlation_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3), (1.0, 0.8, 0.5)),
    "curve": (curve_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3), 1.0),
    "metric": (
        metric_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3),
        (1.0, jnp.array([0.5]), jnp.ones((1, 1))),
    ),
    "surface": (surface_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3), 1.0),
    "Jacobian": (jacobian_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3), 1.0),
    "dropout map": (
        dropout_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3, keep=0.8),
        (1.0, 1.0, 0.5),
    ),
    "residual map": (
        residual_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3, sigma_v=0.5),
        (1.0, 1.0, 0.5),
    ),
    "length map of finite width": (
        finite_width_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3),
        np.ones(1, np.float32),
    ),
    "circle": (
        circle_process(activation("tanh"), sigma_w=1.5, sigma_b=0.3),
        (1.0, np.array([0.5, 2.0], np.float32)),
    ),
    "surface through a network": (carried(WIDE), (PAIR[0], PAIR, 0.1 * np.stack([PAIR, -PAIR]))),
    "curve through a network": (carried_curve(WIDE), (PAIR, PAIR[::-1].copy(), 0.1 * PAIR)),
    "errors sent back": (send_back(WIDE, LENGTH // 2), (PAIR[0], PAIR)),
    "convolutional network": (ring_network(jnp.tanh, 1.5, 0.3, 1), np.stack([PAIR, -PAIR])),
    "training from random weights": (Process(LAZY.init, LAZY.step), 0.0),
    "random field": (random_field(jnp.tanh, np.eye(8), sigma_w=1.5, sigma_b=0.3), PAIR),
    "macroscopic recall": (SignalToNoise(0.08).process(), 0.4),
    "random binary network": (binary_network(N, sigma_w=1.0, sigma_b=0.5, mean_w=0.8), PATTERNS),
    "random binary network, symmetric": (binary_network(N, sigma_w=1.0, weights="symmetric"), PATTERNS),
    "binary law": (binary_process(sigma_w=1.0, sigma_b=0.5, mean_w=0.8), jnp.array([0.2])),
    "layered network": (RecurrentLayered([COUPLINGS], [0.5 * COUPLINGS]).process(CUE), None),
    "recall, bidirectional": (Bidirectional(PATTERNS, -PATTERNS[:, :5]).process(), CUE),
    "recall, layers": (LayeredMemory([PATTERNS, PATTERNS[:, :7], -PATTERNS]).process(), CUE),
    "layered law": (LayeredLaw(jnp.array([0.2, 0.1, 0.3])).process(), jnp.array([0.4, 0.9])),
    "Hebbian neurons, online": (
        learner(sampled(HebbPopulation(ratios=[0.2, 0.5]).change, unit_pair), optax.sgd(0.05)),
        InhibitedWeights(jnp.full((2, 2), 0.3), jnp.zeros(2)),
    ),
    "principal components, online": (
        learner(sampled(sanger_change, unit_pair, batch=2), optax.sgd(0.05)),
        jnp.full((2, 2), 0.3),
    ),
    "drift diffusion": (DriftDiffusion(0.5, 1.0, 1.0, dt=0.1).process(), jnp.zeros(5)),
    "hidden state": (LinearGaussian([[0.9]], [[1.0]], [[0.2]], [[0.5]]).process(3), None),
    "macroscopic recall of a family": (ThermalFamily(0.3, 4, 2.0).process(), 0.1),
    "cells of a memory": (MemoryCells(stimulus_set((("a", 2, 1),)), 40, 4, 0.3, 2.0).process(), 0.2),
    "mixture, coordinate ascent": (mixture_ascent(MIXTURE, POINTS, tolerance=1e-4), OWNERS),
    "mixture, natural gradient": (
        stochastic_ascent(MIXTURE, Minibatches(POINTS, 5, key=jax.random.key(0)), 16),
        initial_statistics(MIXTURE, POINTS, OWNERS),
    ),
    "restricted machine": (LAYERS.process(), BITS),
    "restricted machine, tempered": (tempered_chains(LAYERS, [0.0, 0.5, 1.0]), BITS),
    "restricted machine, annealed": (
        Annealing(LAYERS, jnp.linspace(0, 1, 31), LAYERS.visible_bias).process(),
        np.zeros(4, np.float32),
    ),
    "boltzmann machine": (UNITS.process(), np.ones(5, np.float32)),
    "gaussian machine": (GaussianLearning(np.diag([3.0, 0.5])).process(0.1), np.array([[0.1, 0.2]])),
    "learner, CD-2": (learner(contrastive_divergence(ROWS, 2), optax.sgd(0.1)), LAYERS),
    "learner, PCD": (learner(persistent_divergence(ROWS, BITS), optax.sgd(0.1)), LAYERS),
    "learner, two phases": (
        learner(phase_difference(ROWS, np.ones((3, 5), np.float32), 1), optax.sgd(0.1)),
        UNITS,
    ),
    "annealing": (annealing(GLASS, cooling("geometric", 3.0, 0.2, 10)), READS),
    "annealing, adaptive, heat bath": (annealing(GLASS, Adaptive(3.0, 0.2), rule="heat bath"), READS),
    "parallel tempering": (parallel_tempering(GLASS, [2.0, 1.0]), READS),
    "path integral": (path_integral_annealing(GLASS, cooling("linear", 2.0, 0.1, 10), 0.5, 4), CUE),
    "annealing of any energy": (annealing_of(lambda x: -log_weight(x), flip, Hajek(1.0)), CUE),
    "map, batch": (batch_map(POINTS, cooling("linear", 2.0, 0.5, 9), 9, chunk=7), MAP),
    "map, online": (
        online_map(POINTS, cooling("linear", 0.5, 0.1, 9), 1.0, 9, key=jax.random.key(0)),
        MAP,
    ),
    "columns": (
        normalised_hebb(vertical_bar, 0.1),
        random_sheet(jax.random.key(0), radius=1, input_radius=1),
    ),
    "sparse code, ISTA": (inference(CODE, POINTS, "ista"), None),
    "sparse code, FISTA": (inference(CODE, POINTS), None),
    "dictionary learning": (
        dictionary_learning(Minibatches(POINTS, 8, key=jax.random.key(0)), n_inference=3),
        CODE,
    ),
    "independent components": (independent_components(WHITE), np.eye(2)),
    "exact chain": (
        ExactChain([0.0, 1.0, 0.5], path_proposal(3), ScaledLogarithm([1.0, 2.0])).process(),
        np.eye(3)[:2],
    ),
    "descent on the sphere": (PSpin(np.arange(8.0).reshape(2, 2, 2)).descent(0.02), np.array([1.0, 0.2])),
    "saddles by Newton": (PSpin(np.arange(8.0).reshape(2, 2, 2)).newton(), np.array([1.0, 0.2])),
    "learner, momentum": (learner(backpropagation(square), optax.sgd(0.05, 0.9)), jnp.ones(3)),
    "learner, convolutional": (learner(backpropagation(brightness), optax.adam(1e-3)), FILTERS),
}
NAMES = sorted(TABLE)


def arrays(tree):
    """The numbers of a pytree, in an order that does not depend on how it was made."""

    def number(leaf):
        return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf

    return [np.asarray(number(leaf)) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def state_of(state):
    """Every number of a state; typed keys are none."""
    leaves = jax.tree.leaves(eqx.filter(state, eqx.is_array))
    return [leaf for leaf in leaves if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)]


def close(one, other, rtol=2e-5):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=2e-5)


@pytest.fixture(scope="module")
def compiling():
    """Names of what was traced or compiled, as it happens."""
    events: list[str] = []

    def listen(event, seconds, **of):
        if event.startswith("/jax/core/compile"):
            events.append(str(of.get("fun_name", event)))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield events
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_the_same_compiled_and_not(name, key):
    process, x0 = TABLE[name]
    compiled = run(process, key, x0, LENGTH, observe=state_of, every=2).values
    state = process.init(jax.random.fold_in(key, 0), x0)
    for t in range(2):
        of_step = jax.random.fold_in(jax.random.fold_in(key, 1), t)
        state, _ = process.step(of_step, jnp.int32(t), state)
    close(state_of(state), [x[1] for x in compiled], rtol=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_replicas_are_a_loop_over_keys(name, key):
    process, x0 = TABLE[name]
    together = run(process, key, x0, LENGTH, observe=state_of, every=2, replicas=2).values
    for number, one in enumerate(jax.random.split(key, 2)):
        alone = run(process, one, x0, LENGTH, observe=state_of, every=2).values
        # After two steps; after more, chaos makes roundings visible.
        close([x[number, 1] for x in together], [x[1] for x in alone], rtol=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_second_run_compiles_nothing(name, key, compiling):
    process, x0 = TABLE[name]
    run(process, key, x0, LENGTH, observe=state_of, every=2)
    compiling.clear()
    run(process, jax.random.key(1), x0, LENGTH, observe=state_of, every=2)
    assert compiling == []


def test_compiling_is_seen(key, compiling):
    compiling.clear()
    run(Process(lambda key, x: x, lambda key, t, x: (x + 1, None)), key, 0.0, 2)
    assert compiling != []


@pytest.mark.parametrize("name", NAMES)
def test_resumed_is_uninterrupted_bit_for_bit(name, key, tmp_path, compiling):
    process, x0 = TABLE[name]
    whole = run(process, key, x0, LENGTH, observe=state_of, every=2)
    path = tmp_path / "run.safetensors"
    run(process, key, x0, INTERRUPTED, observe=state_of, every=2, checkpoint=path)
    compiling.clear()
    rest = run(process, key, x0, LENGTH, observe=state_of, every=2, checkpoint=path, resume=True)
    assert not any("block" in program for program in compiling)
    for one, other in ((whole.state, rest.state), (whole.values, rest.values)):
        for a, b in zip(arrays(one), arrays(other), strict=True):
            assert a.shape == b.shape
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", [name for name in NAMES if TABLE[name][0].descends is not None])
def test_what_must_not_rise_does_not(name, key):
    process, x0 = TABLE[name]
    path = run(process, key, x0, 40, observe=process.descends).values
    assert (np.diff(path) <= 1e-5).all()
    assert path[-1] < path[0]


def test_some_process_declares_to_descend():
    assert sum(process.descends is not None for process, _ in TABLE.values()) >= 3
