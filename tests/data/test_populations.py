"""Populations: stimuli, Poisson spikes, windows, principal components, NWB files."""

import builtins
from datetime import UTC, datetime

import jax
import jax.numpy as jnp
import numpy as np
import pynwb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, poisson

from neuromanifold._base import FileError
from neuromanifold.data.populations import (
    Tuning,
    bin_spikes,
    poisson_spikes,
    population_trajectory,
    random_tuning,
    read_nwb,
    stabilise,
    stimulus_set,
    tuned_rates,
    window_counts,
)

STIMULI = stimulus_set()
KEY = jax.random.key(5)


def test_the_stimuli_are_those_of_the_experiment():
    assert STIMULI.n_stimuli == 38
    assert np.bincount(STIMULI.category).tolist() == [16, 12, 10]
    assert np.bincount(STIMULI.detail).tolist() == [4] * 7 + [5] * 2
    assert STIMULI.category_of_detail.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert len(set(STIMULI.names)) == 38
    other = stimulus_set((("a", 1, 2), ("b", 3, 1)))
    assert other.names == ("a 0.0", "a 0.1", "b 0.0", "b 1.0", "b 2.0")
    assert other.detail.tolist() == [0, 0, 1, 2, 3]


def test_rates_are_tuned_from_the_latencies_on():
    tuning = random_tuning(KEY, 7, STIMULI, baseline=20.0)
    times = np.array([0.0, 89.0, 90.0, 95.0, 100.0, 140.0, 145.0, 150.0, 300.0])
    rates = tuned_rates(tuning, STIMULI, times)
    b, a, d = (np.asarray(x, np.float64) for x in tuning)
    category, detail = STIMULI.category, STIMULI.detail
    np.testing.assert_allclose(rates[:, :3], np.broadcast_to(b, (38, 3, 7)), rtol=1e-12)
    np.testing.assert_allclose(rates[:, 3], b * np.exp(a.T[category] / 2), rtol=1e-12)
    np.testing.assert_allclose(rates[:, 5], b * np.exp(a.T[category]), rtol=1e-12)
    np.testing.assert_allclose(rates[:, 6], b * np.exp(a.T[category] + d.T[detail] / 2), rtol=1e-12)
    np.testing.assert_allclose(rates[:, 8], rates[:, 7], rtol=1e-12)


def test_tunings_have_the_strengths_asked_for():
    tuning = random_tuning(
        KEY, 4000, STIMULI, baseline_spread=0.4, category_strength=0.9, detail_strength=0.3
    )
    for values, strength in zip((np.log(tuning.baseline / 15.0), *tuning[1:]), (0.4, 0.9, 0.3), strict=True):
        values = np.asarray(values).ravel()
        assert abs(values.std() - strength) < 5 * strength / np.sqrt(2 * values.size)
        assert abs(values.mean()) < 5 * strength / np.sqrt(values.size)


def test_spikes_are_poisson():
    rates = np.full((2, 400, 5), 300.0)
    rates[1] = 900.0
    spikes = poisson_spikes(KEY, rates, 10, bin_width=2.0)
    assert spikes.shape == (2, 10, 400, 5)
    for drawn, mean in zip(spikes, (0.6, 1.8), strict=True):
        seen = np.bincount(np.minimum(drawn.ravel(), 6), minlength=7)
        law = poisson.pmf(np.arange(7), mean)
        law[6] = 1 - law[:6].sum()
        assert chisquare(seen, law * drawn.size).pvalue > 1e-4
        wrong = poisson.pmf(np.arange(7), 1.1 * mean)
        wrong[6] = 1 - wrong[:6].sum()
        assert chisquare(seen, wrong * drawn.size).pvalue < 1e-4
    again = poisson_spikes(KEY, rates, 10, bin_width=2.0)
    assert (again == spikes).all()
    assert (poisson_spikes(jax.random.key(6), rates, 10, bin_width=2.0) != spikes).any()


@settings(deadline=None, max_examples=20, derandomize=True, database=None)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 10**6))
def test_window_counts_are_sums(width, step, seed):
    spikes = np.random.default_rng(seed).integers(0, 3, size=(2, 20, 3))
    found = window_counts(spikes, 2.0 * width, 2.0 * step, bin_width=2.0)
    starts = range(0, 20 - width + 1, step)
    expected = np.stack([spikes[:, s : s + width].sum(1) for s in starts], 1)
    assert (found.counts == expected).all()
    assert found.starts.tolist() == [2.0 * s for s in starts]


def test_windows_of_the_experiment():
    found = window_counts(np.zeros((1, 350, 1), np.uint16), 50, 1)
    assert found.starts[0] == 0
    assert found.starts[-1] == 300
    assert len(found.starts) == 301


def test_stabilised_counts_have_unit_variance():
    counts = np.random.default_rng(0).poisson(12.0, 40_000)
    values = stabilise(counts)
    assert abs(values.var() - 1) < 5 * np.sqrt(2 / counts.size) + 0.01  # 0.01: of higher order in 1/mean
    assert counts.var() > 10


def test_principal_components_are_those_of_the_covariance():
    random = np.random.default_rng(1)
    points = random.normal(size=(30, 4, 6)) * np.array([5.0, 3.0, 2.0, 1.0, 0.5, 0.1]) + 7.0
    path = population_trajectory(points, 6)
    flat = points.reshape(-1, 6)
    values, vectors = np.linalg.eigh(np.cov(flat.T))
    np.testing.assert_allclose(path.explained, values[::-1] / values.sum(), rtol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(path.components * vectors.T[::-1], 1)), 1.0, rtol=1e-10)
    np.testing.assert_allclose(path.scores @ path.components + path.mean, points, rtol=1e-10)
    np.testing.assert_allclose(path.scores.reshape(-1, 6).mean(0), 0.0, atol=1e-10)
    few = population_trajectory(points[0], 2)
    assert few.scores.shape == (4, 2)
    np.testing.assert_allclose(few.components @ few.components.T, np.eye(2), atol=1e-12)


def test_spike_times_fall_in_half_open_bins():
    times = [0.4999, 0.5, 0.5015, 0.502, 0.6]
    assert bin_spikes(times, [0.5], n_bins=3).tolist() == [[1, 1, 1]]
    found = bin_spikes(times, [0.25], start=250.0, n_bins=2, bin_width=2.0)
    assert found.tolist() == [[2, 1]]
    assert bin_spikes([], [1.0, 2.0], n_bins=4).sum() == 0


def nwb_file(path, *, trials=True, units=True, spikes=True, label="stimulus"):
    made = pynwb.NWBFile("a test", "populations", datetime(2020, 1, 1, tzinfo=UTC))
    random = np.random.default_rng(0)
    cells = [np.sort(random.uniform(0, 10, 400)) for _ in range(3)]
    if trials:
        made.add_trial_column(label, "what was shown")
        for start, shown in ((0.5, "face"), (2.0, "shape"), (4.25, "face")):
            made.add_trial(start_time=start, stop_time=start + 1.0, **{label: shown})
    if units:
        for times in cells:
            made.add_unit(**({"spike_times": times} if spikes else {"id": len(made.units or [])}))
    with pynwb.NWBHDF5IO(str(path), mode="w") as io:
        io.write(made)
    return cells


@pytest.mark.filterwarnings("ignore")
def test_nwb_files_are_read(tmp_path):
    path = tmp_path / "recording.nwb"
    cells = nwb_file(path)
    found = read_nwb(path, start=-100.0, duration=300.0, bin_width=10.0)
    assert found.spikes.shape == (3, 30, 3)
    assert found.labels.tolist() == ["face", "shape", "face"]
    for trial, event in enumerate((0.5, 2.0, 4.25)):
        for cell, times in enumerate(cells):
            expected = np.histogram(times, event - 0.1 + 0.01 * np.arange(31))[0]
            assert np.abs(found.spikes[trial, :, cell].astype(int) - expected).max() <= 0
    counts = window_counts(found.spikes, 50, 10, bin_width=found.bin_width).counts
    assert counts.shape == (3, 26, 3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "missing, message",
    [
        ({"trials": False}, "has no table of trials"),
        ({"units": False}, "has no table of units"),
        (
            {"label": "picture"},
            "table of trials of .* has no column 'stimulus', only start_time, stop_time, picture",
        ),
        ({"spikes": False}, "has no column 'spike_times'"),
    ],
)
def test_an_nwb_file_says_what_it_lacks(tmp_path, missing, message):
    nwb_file(tmp_path / "recording.nwb", **missing)
    with pytest.raises(FileError, match=message):
        read_nwb(tmp_path / "recording.nwb")


@pytest.mark.filterwarnings("ignore")
def test_what_is_no_nwb_file_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("pynwb")
    with pytest.raises(FileError, match="there is no file"):
        read_nwb(tmp_path / "nothing.nwb")
    (tmp_path / "text.nwb").write_text("spikes")
    with pytest.raises(FileError, match="damaged or no NWB file"):
        read_nwb(tmp_path / "text.nwb")
    with pytest.raises(ValueError, match="duration must be a multiple of bin_width"):
        read_nwb(tmp_path / "text.nwb", duration=10.5)
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name == "pynwb":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="extra 'neuroscience'"):
        read_nwb(tmp_path / "text.nwb")


ONES = np.ones((2, 10, 3), int)
ONE = jnp.ones((1, 9))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: stimulus_set(()), "groups must hold at least one category"),
        (lambda: stimulus_set((("a", 0, 1),)), r"groups\[0\]\[1\] must be an integer >= 1"),
        (lambda: stimulus_set((("a", 1, 1), ("a", 1, 1))), "groups must have names that differ"),
        (lambda: random_tuning(KEY, 0, STIMULI), "n_cells must be"),
        (lambda: random_tuning(KEY, 2, STIMULI, detail_strength=-1.0), "detail_strength must be"),
        (
            lambda: tuned_rates(Tuning(ONE[:, 0], ONE[:, :2], ONE), STIMULI, [0.0]),
            "tuning.category",
        ),
        (lambda: tuned_rates(random_tuning(KEY, 7, STIMULI), STIMULI, [0.0], rise=0.0), "rise must be"),
        (lambda: poisson_spikes(KEY, -np.ones((1, 2, 3)), 4), "rates must be >= 0"),
        (lambda: poisson_spikes(KEY, np.full((1, 2, 3), np.nan), 4), "rates must be finite"),
        (lambda: poisson_spikes(KEY, np.ones((2, 3)), 4), "rates must have shape"),
        (lambda: poisson_spikes(KEY, np.ones((1, 2, 3)), 0), "n_trials must be"),
        (lambda: window_counts(ONES, 11, 1), "width must be at most the recording's 10 ms, got 11"),
        (lambda: window_counts(ONES, 2.5, 1), "width must be a multiple of bin_width = 1"),
        (lambda: window_counts(ONES, 2, 0), "step must be"),
        (lambda: window_counts(ONES / 2, 2, 1), "spikes must be integers"),
        (lambda: window_counts(-ONES, 2, 1), "spikes must be >= 0"),
        (lambda: stabilise([-1.0]), "counts must be >= 0"),
        (lambda: population_trajectory(np.ones((4, 2))), "n_components must be"),
        (lambda: population_trajectory(np.ones((4, 2)), 1), "points must not be all the same"),
        (lambda: population_trajectory([[1.0, np.inf]], 1), "points must be finite"),
        (lambda: bin_spikes([[1.0]], [0.0]), "spike_times must have shape"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
