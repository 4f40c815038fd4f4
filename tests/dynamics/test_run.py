"""The one loop: what is observed, what is kept, how it stops, and that cutting it changes nothing."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import textwrap
import threading
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.dynamics import (
    CheckpointError,
    NonFiniteError,
    Process,
    RunInterrupted,
    plain_progress,
    run,
)
from neuromanifold.dynamics._program import Code


def itself(x):
    return x


def start(key, x0):
    return x0


class Walk(eqx.Module):
    """A noisy linear map; its matrix is data, its nonlinearity is code."""

    matrix: jax.Array
    squash: object

    def init(self, key, x0):
        return {"x": x0, "count": 0}

    def step(self, key, t, state):
        x = self.squash(self.matrix @ state["x"] + 0.1 * jax.random.normal(key, state["x"].shape))
        return {"x": x, "count": state["count"] + 1}, x.sum()

    def first(self, state):
        return state["x"][0]


@pytest.fixture
def walk(key):
    return Walk(jax.random.normal(key, (5, 5)) / 3, jnp.tanh)


def by_hand(walk, key, x0, n_steps):
    """The definition of a run, step by step, outside of any compiled loop."""
    state = walk.init(jax.random.fold_in(key, 0), x0)
    states, infos = [np.asarray(state["x"])], []
    for t in range(n_steps):
        state, info = walk.step(jax.random.fold_in(jax.random.fold_in(key, 1), t), t, state)
        states.append(np.asarray(state["x"]))
        infos.append(float(info))
    return np.stack(states), np.asarray(infos)


@pytest.mark.parametrize("mode", ["block", "step"])
@pytest.mark.parametrize("every", [1, 3, 7])
def test_a_run_is_its_definition(walk, key, mode, every):
    states, infos = by_hand(walk, key, jnp.ones(5), 20)
    done = run(
        Process(walk.init, walk.step),
        key,
        jnp.ones(5),
        20,
        observe=walk.first,
        observe_info=itself,
        every=every,
        mode=mode,
    )
    assert done.times.tolist() == list(range(0, 21, every))
    np.testing.assert_allclose(done.values, states[::every, 0], rtol=2e-6)
    np.testing.assert_allclose(done.infos, infos[every - 1 :: every], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(done.state["x"], states[-1], rtol=2e-6)
    assert int(done.state["count"]) == 20
    assert done.n_steps == 20


def test_replicas_are_runs_with_split_keys(walk, key):
    process = Process(walk.init, walk.step)
    together = run(process, key, jnp.ones(5), 12, observe=walk.first, every=4, replicas=3)
    assert together.values.shape == (3, 4)
    assert together.state["x"].shape == (3, 5)
    for number, one in enumerate(jax.random.split(key, 3)):
        alone = run(process, one, jnp.ones(5), 12, observe=walk.first, every=4)
        np.testing.assert_allclose(together.values[number], alone.values, rtol=2e-6)


def test_chunks_of_replicas_fit_the_budget_and_change_nothing(walk, key, tmp_path):
    process = Process(walk.init, walk.step)
    options = {"observe": walk.first, "every": 2, "replicas": 7}
    whole = run(process, key, jnp.ones(5), 6, **options)
    cut = run(
        process, key, jnp.ones(5), 6, memory_budget=300.0, checkpoint=tmp_path / "c.safetensors", **options
    )
    assert len(list(tmp_path.iterdir())) > 1
    np.testing.assert_allclose(cut.values, whole.values, rtol=2e-6)
    np.testing.assert_allclose(cut.state["x"], whole.state["x"], rtol=2e-6)
    with pytest.raises(ValueError, match="memory_budget must hold one replica"):
        run(process, key, jnp.ones(5), 6, memory_budget=1.0, **options)


def test_a_run_that_keeps_no_state_sees_the_same_and_stores_only_that(walk, key, tmp_path):
    process, path = Process(walk.init, walk.step), tmp_path / "c.safetensors"
    options = {"observe": walk.first, "every": 2, "replicas": 7, "memory_budget": 300.0}
    kept = run(process, key, jnp.ones(5), 6, **options)
    again = [
        run(process, key, jnp.ones(5), 6, keep_state=False, checkpoint=path, resume=resume, **options)
        for resume in (False, True)
    ]
    for made in again:
        assert made.state is None
        assert made.values.tobytes() == kept.values.tobytes()
    (first, *_) = sorted(tmp_path.iterdir())
    with safetensors.safe_open(first, framework="numpy") as stored:
        assert not [name for name in stored.keys() if name.startswith("state")]  # noqa: SIM118
    for more in ({"n_steps": 8, "keep_state": False}, {"n_steps": 6}):
        with pytest.raises(CheckpointError, match="holds no state to go on from"):
            run(process, key, jnp.ones(5), **more, checkpoint=path, resume=True, **options)
    # Before the end a checkpoint holds the state whatever the run returns.
    half = tmp_path / "half.safetensors"
    options = {"observe": walk.first, "keep_state": False, "checkpoint": half, "checkpoint_seconds": 0.0}

    def stop(label, done, total, seconds):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(process, key, jnp.ones(5), 6, progress=stop, block_seconds=1e-9, **options)
    rest = run(process, key, jnp.ones(5), 6, resume=True, **options)
    whole = run(process, key, jnp.ones(5), 6, observe=walk.first)
    assert rest.values.tobytes() == whole.values.tobytes()


def test_full_states_and_empty_runs(walk, key):
    process = Process(walk.init, walk.step)
    done = run(process, key, jnp.ones(5), 3, observe=itself)
    assert done.values["x"].shape == (4, 5)
    assert done.values["count"].tolist() == [0, 1, 2, 3]
    none = run(process, key, jnp.ones(5), 0, observe=itself)
    assert none.times.tolist() == [0]
    assert none.values["x"].shape == (1, 5)
    assert run(process, key, jnp.ones(5), 3).values is None


def test_a_state_may_hold_functions_and_keys_of_a_process_hold_data(key):
    class Net(eqx.Module):
        weight: jax.Array
        squash: object

    process = Process(
        lambda key, x0: Net(x0, jnp.tanh),
        lambda key, t, net: (eqx.tree_at(lambda n: n.weight, net, net.squash(net.weight)), None),
    )
    done = run(process, key, jnp.ones(2), 2)
    assert done.state.squash is jnp.tanh
    np.testing.assert_allclose(done.state.weight, np.tanh(np.tanh(1.0)) * np.ones(2), rtol=1e-6)


def test_functions_made_anew_by_the_same_lines_share_a_program_and_others_do_not(key):
    traced = []

    def adding(amount, also=None):
        def step(key, t, x):
            traced.append(amount)
            return x + amount if also is None else also(key, t, x + amount), None

        return Process(lambda key, x0: jnp.asarray(x0, float), step)

    def times(factor):
        return lambda key, t, x: factor * x

    def end(process):
        return float(run(process, key, 1.0, 2).state)

    assert end(adding(2)) == 5.0
    n = len(traced)
    assert end(adding(2)) == 5.0
    assert len(traced) == n
    assert end(adding(3)) == 7.0
    # 2.0 is the same number as 2 and other code.
    assert end(adding(2.0)) == 5.0
    assert isinstance(traced[-1], float)
    assert end(adding(1, times(3))) == 21.0
    n = len(traced)
    assert end(adding(1, times(3))) == 21.0
    assert len(traced) == n
    assert end(adding(1, times(2))) == 10.0

    # What a function looks up in its module is part of it, and an interactive session's is itself alone.
    lines = "def make():\n    return lambda key, t, x: (x + shift, None)\n"
    begin = adding(0).init
    for module, shares in (("neuromanifold.dynamics", True), ("__main__", False)):
        names = {"shift": 1.0, "__name__": module}
        exec(lines, names)
        assert (Code(names["make"]()) == Code(names["make"]())) is shares
        assert end(Process(begin, names["make"]())) == 3.0
        names["shift"] = 2.0
        assert end(Process(begin, names["make"]())) == 5.0

    def itself(x):
        return x if traced else itself(x)

    assert end(Process(lambda key, x0: jnp.asarray(x0, float), lambda key, t, x: (itself(x), None))) == 1.0


def test_a_second_run_of_the_same_code_compiles_nothing(key):
    traces = []

    def step(key, t, x):
        traces.append(t)
        return x + 1.0, None

    process = Process(start, step)
    run(process, key, jnp.zeros(3), 1000, observe=itself, every=10)
    before = len(traces)
    again = run(process, jax.random.key(1), jnp.ones(3), 1000, observe=itself, every=10)
    assert len(traces) == before
    assert again.values[-1].tolist() == [1001.0] * 3


def test_the_loop_is_chosen_by_the_operations_of_the_step(key):
    def convolve(key, t, x):
        kernel = jnp.ones((3, 3, 1, 1)) / 9
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ), None

    heard = []
    seen = run(Process(start, convolve), key, jnp.ones((1, 6, 6, 1)), 3, progress=lambda *a: heard.append(a))
    inside = run(Process(start, convolve), key, jnp.ones((1, 6, 6, 1)), 3, mode="block")
    np.testing.assert_allclose(seen.state, inside.state, rtol=1e-5)
    from neuromanifold.dynamics import _program as program

    moves = program.Moves(convolve, None, None)
    data, code = program.split(moves)
    arrays, state_code = program.split(jnp.ones((1, 6, 6, 1)))
    plan = program.Plan(code, state_code, None, True, 0)
    assert program.choose_mode(program.shapes(plan, data, key, arrays).convolves) == (
        "step" if jax.default_backend() == "cpu" else "block"
    )
    assert heard[-1][1:3] == (3, 3)


@pytest.mark.parametrize("mode", ["block", "step"])
@pytest.mark.parametrize("every", [1, 5])
def test_a_non_finite_value_names_step_and_leaf(key, mode, every):
    def step(key, t, state):
        return {"good": state["good"] + 1, "bad": jnp.where(t == 311, jnp.nan, state["bad"])}, None

    first = {"good": jnp.zeros(2), "bad": jnp.zeros((2, 3))}
    with pytest.raises(NonFiniteError, match=r"at step 312: leaf \['bad'\] has 6 of 6 entries") as caught:
        run(Process(start, step), key, first, 1000, observe=itself, every=every, mode=mode)
    assert np.isfinite(caught.value.run.values["bad"]).all()
    assert caught.value.run.times[-1] <= 311
    free = run(Process(start, step), key, first, 320, mode=mode, check_finite=False)
    assert np.isnan(free.state["bad"]).all()


def test_a_non_finite_start_is_named(key):
    with pytest.raises(NonFiniteError, match="at step 0"):
        run(Process(start, lambda key, t, x: (x, None)), key, jnp.array([1.0, jnp.inf]), 5)


@pytest.mark.parametrize(
    "step, complaint",
    [
        (lambda key, t, x: (x[:2], None), r"float32\[2\] for float32\[3\]"),
        (lambda key, t, x: (x.astype(jnp.int32), None), r"int32\[3\] for float32\[3\]"),
        (lambda key, t, x: ({"a": x}, None), "structure"),
    ],
)
def test_a_step_that_changes_the_state_is_refused(key, step, complaint):
    with pytest.raises(TypeError, match=complaint):
        run(Process(start, step), key, jnp.ones(3), 5)


@pytest.mark.parametrize(
    "bad, complaint",
    [
        ({"n_steps": -1}, "n_steps must be an integer in"),
        ({"every": 0}, "every must be an integer >= 1, got 0"),
        ({"mode": "fast"}, "mode must be one of"),
        ({"replicas": 0}, "replicas must be an integer >= 1"),
        ({"memory_budget": 1e6}, "replicas must be given with memory_budget"),
        ({"replicas": 2, "memory_budget": -1.0}, "memory_budget must be a finite number"),
        ({"checkpoint_seconds": -1}, "checkpoint_seconds must be"),
        ({"resume": True}, "checkpoint must be given to resume"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(key, bad, complaint):
    arguments = {"key": key, "n_steps": 3, **bad}
    with pytest.raises(ValueError, match=complaint) as caught:
        run(Process(start, lambda key, t, x: (x, None)), x0=jnp.ones(2), **arguments)
    assert "\n" not in str(caught.value)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    total=st.integers(2, 40),
    cut=st.integers(1, 39),
    every=st.integers(1, 6),
    mode=st.sampled_from(["block", "step"]),
)
def test_resuming_anywhere_equals_not_stopping(tmp_path_factory, total, cut, every, mode):
    cut = min(cut, total)
    key = jax.random.key(3)
    walk = Walk(jax.random.normal(key, (5, 5)) / 3, jnp.tanh)
    process = Process(walk.init, walk.step)
    options = {"observe": walk.first, "observe_info": itself, "every": every, "mode": mode}
    whole = run(process, key, jnp.ones(5), total, **options)
    path = tmp_path_factory.mktemp("resume") / "run.safetensors"
    run(process, key, jnp.ones(5), cut, checkpoint=path, **options)
    rest = run(process, key, jnp.ones(5), total, checkpoint=path, resume=True, **options)
    assert same_bits(whole, rest)
    again = run(process, key, jnp.ones(5), total, checkpoint=path, resume=True, **options)
    assert same_bits(whole, again)


def same_bits(a, b):
    return all(
        np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_replicas_resume_bit_for_bit(walk, key, tmp_path):
    process = Process(walk.init, walk.step)
    options = {"observe": walk.first, "observe_info": itself, "replicas": 4, "every": 2}
    whole = run(process, key, jnp.ones(5), 10, **options)
    path = tmp_path / "r.safetensors"
    run(process, key, jnp.ones(5), 5, checkpoint=path, **options)
    assert same_bits(whole, run(process, key, jnp.ones(5), 10, checkpoint=path, resume=True, **options))


def test_a_damaged_or_foreign_checkpoint_is_refused(walk, key, tmp_path):
    process = Process(walk.init, walk.step)
    path = tmp_path / "run.safetensors"
    options = {"observe": walk.first, "checkpoint": path, "resume": True}
    run(process, key, jnp.ones(5), 5, **options)
    good = path.read_bytes()
    for other in ({"key": jax.random.key(9)}, {"x0": jnp.zeros(5)}, {"every": 2}):
        arguments = {"key": key, "x0": jnp.ones(5), **options, **other}
        with pytest.raises(CheckpointError, match="belongs to another run"):
            run(process, n_steps=9, **arguments)
    with pytest.raises(ValueError, match="n_steps must be at least 5"):
        run(process, key, jnp.ones(5), 4, **options)
    for damaged in (good[: len(good) // 2], good[:-1] + bytes([good[-1] ^ 1]), b"", b"not a checkpoint"):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            run(process, key, jnp.ones(5), 9, **options)


def test_control_c_stops_at_a_block_with_everything_on_disk(walk, key, tmp_path):
    path = tmp_path / "run.safetensors"
    process = Process(walk.init, walk.step)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in the background

    def interrupt(label, done, total, seconds):
        if done > 100:
            os.kill(os.getpid(), signal.SIGINT)

    options = {"observe": walk.first, "every": 3, "checkpoint": path}
    with pytest.raises(RunInterrupted, match="holds it all") as caught:
        run(process, key, jnp.ones(5), 50_000_000, progress=interrupt, **options)
    stopped = caught.value.run
    assert stopped.n_steps > 100
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    more = stopped.n_steps + 10
    rest = run(process, key, jnp.ones(5), more, resume=True, **options)
    assert same_bits(rest, run(process, key, jnp.ones(5), more, observe=walk.first, every=3))


def test_a_run_in_a_thread_leaves_signals_alone(walk, key):
    results = []
    worker = threading.Thread(
        target=lambda: results.append(run(Process(walk.init, walk.step), key, jnp.ones(5), 5))
    )
    worker.start()
    worker.join()
    assert results[0].n_steps == 5


KILLED = """
    import jax, jax.numpy as jnp, numpy as np
    from neuromanifold.dynamics import Process, run

    def step(key, t, x):
        x = jnp.tanh(1.3 * x + 0.3 * jax.random.normal(key, x.shape))
        return x, x.sum()

    def mean(x):
        return x.mean()

    def itself(x):
        return x

    done = run(Process(lambda key, x0: x0, step), jax.random.key(5), jnp.ones(2000), 6000, observe=mean,
               observe_info=itself, every=7, checkpoint=checkpoint, checkpoint_seconds=0, resume=True)
    np.savez(result, state=done.state, values=done.values, infos=done.infos, times=done.times)
"""


def wait_for_a_checkpoint(victim, checkpoint):
    seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    limit = time.monotonic() + 30
    while time.monotonic() < limit and victim.is_alive():
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns != seen:
            return
        time.sleep(0.001)


@pytest.mark.slow
def test_killed_twenty_times_the_record_is_the_same_bit_for_bit(tmp_path, monkeypatch):
    # A compiled program half written to a cache would be there for good.
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(KILLED))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["neuromanifold.dynamics"])

    def begin(name):
        files = {"checkpoint": f"{name}.safetensors", "result": f"{name}.npz"}
        begun = context.Process(
            target=runpy.run_path, args=(str(script), {k: str(tmp_path / v) for k, v in files.items()})
        )
        begun.start()
        return begun

    server = context.Process(target=int)
    server.start()
    server.join()
    started = time.monotonic()
    whole = begin("whole")
    whole.join()
    assert whole.exitcode == 0
    duration = time.monotonic() - started
    rng = np.random.default_rng(11)
    kills = 0
    checkpoint = tmp_path / "killed.safetensors"
    for attempt in range(200):
        victim = begin("killed")
        if kills == 20:
            victim.join()
            assert victim.exitcode == 0
            break
        if attempt % 2:
            wait_for_a_checkpoint(victim, checkpoint)
        else:
            time.sleep(rng.uniform(0, 0.5 * duration))
        victim.kill()
        victim.join()
        kills += victim.exitcode == -signal.SIGKILL
        if (tmp_path / "killed.npz").exists():
            checkpoint.unlink()
            (tmp_path / "killed.npz").unlink()
    assert kills == 20
    with np.load(tmp_path / "whole.npz") as a, np.load(tmp_path / "killed.npz") as b:
        assert set(a) == set(b)
        for name in a:
            assert a[name].tobytes() == b[name].tobytes()
    leftovers = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert all(path.name.startswith(".killed.safetensors.") for path in leftovers)


def test_progress_speaks_plain_lines_when_not_on_a_terminal(walk, key, capsys, monkeypatch):
    from neuromanifold.dynamics import _progress as progress

    moments = iter(np.arange(0.0, 1e4, 1.5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(moments)))
    reporter = progress.Reporter(True, "training", 100)
    with reporter:
        for done in (10, 20, 30, 40, 50):
            reporter.update(done)
    lines = capsys.readouterr().err.splitlines()
    assert [line[:12] for line in lines] == ["training: 20", "training: 40"]
    assert all(line.endswith(" left") for line in lines)


def test_rate_and_time_left_are_those_after_the_first_block_which_compiles(capsys):
    report = plain_progress(interval=0.0)
    for _ in range(2):
        report("walk", 50, 100, 0.0)
        report("walk", 60, 100, 40.0)
        report("walk", 70, 100, 42.0)
        lines = capsys.readouterr().err.splitlines()
        assert lines == ["walk: 60 of 100 steps", "walk: 70 of 100 steps, 5 steps/s, 6 s left"]
    with pytest.raises(ValueError, match="interval must be"):
        plain_progress(interval=-1.0)


def test_silent_by_default(walk, key, capsys):
    run(Process(walk.init, walk.step), key, jnp.ones(5), 5)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_what_takes_longer_to_write_than_to_move_is_not_written(walk, key, tmp_path, monkeypatch):
    process, path = Process(walk.init, walk.step), tmp_path / "run.safetensors"
    done = run(process, key, jnp.ones(5), 5, checkpoint=path)
    assert path.exists()
    path.unlink()
    monkeypatch.setattr("neuromanifold.dynamics._run._WRITTEN_A_SECOND", 1e-3)
    again = run(process, key, jnp.ones(5), 5, checkpoint=path)
    assert not path.exists()
    assert same_bits(done, again)
    run(process, key, jnp.ones(5), 5, checkpoint=path, checkpoint_seconds=0)
    assert path.exists()


def test_a_checkpoint_that_cannot_be_written_says_so(walk, key, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RuntimeError, match="cannot write"):
        run(Process(walk.init, walk.step), key, jnp.ones(5), 5, checkpoint=blocked / "run.safetensors")
    assert not Path(blocked / "run.safetensors").exists()
