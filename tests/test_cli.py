"""The command line, on toy experiments: every exit status, every sentence for a mistake."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import neuromanifold.experiments._experiment as machinery
from neuromanifold import __version__
from neuromanifold._words import parse_value
from neuromanifold.cli import main
from neuromanifold.evidence import read_record

TOYS = '''
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from neuromanifold._base import FileError
from neuromanifold.dynamics import Process
from neuromanifold.evidence import Prediction, compare, estimate, measured_variables, read_measured
from neuromanifold.experiments import Card, experiment, parameter


def card(name, topic, lecture, system):
    return Card(
        name=name, title=f"The title of [{name}]", topic=topic, lecture=lecture, systems=(system,),
        idea="A coin is thrown.\\n\\nIts mean is known.", equations=(("mean", r"\\frac{1}{n} \\sum_i x_i"),),
        sources=("amari1972",), caption="A coin.",
    )


@experiment(card("coin-mean", "toys", "A", "A1"), full={"n_throws": 20000})
class Coin:
    """A coin and its mean."""

    n_throws: int = parameter(4000, doc="throws", low=2)
    bias: float = parameter(0.5, doc="chance of heads", low=0.0, high=1.0)
    claimed: float = parameter(-1.0, doc="what the theory says; the bias where it is negative")
    scales: tuple[float, ...] = parameter((1.0, 2.0), doc="factors", unit="mV")
    crash: bool = parameter(False, doc="whether to fail")
    mood: str = parameter("calm", doc="a word", choices=("calm", "wild"))

    def predict(self):
        return xr.Dataset({"theory": ((), self.bias if self.claimed < 0 else self.claimed)})

    def simulate(self, key, run):
        if self.crash:
            raise ZeroDivisionError("the coin broke\\nin two")
        throws = np.asarray(jax.random.bernoulli(key, self.bias, (self.n_throws,)), dtype=np.float64)
        return xr.Dataset(measured_variables("mean", estimate(throws), long_name="mean"))

    def claims(self, record):
        expected = Prediction(np.asarray(record["theory"].values))
        statement = "The mean of the throws of a coin agrees with its bias, "
        statement += "however long the sentence that says so."
        measured = read_measured(record, "mean")
        return [compare(expected, measured, statement=statement, system="A1", resolution=0.2)]

    def draw(self, record):
        figure = Figure(figsize=(3, 2))
        figure.subplots().plot([0, 1], [0, float(record["mean"])])
        return figure


@experiment(card("lost-data", "data", "B", "B11"), full={})
class Lost(Coin.__mro__[1]):
    """One whose data are missing."""

    n_pictures: int = parameter(2, doc="pictures", low=1)

    predict = lambda self: xr.Dataset()
    claims = draw = lambda self, record: []

    def simulate(self, key, run):
        raise FileError("there is no file digits.csv; set NEUROMANIFOLD_DATA.")


def slow_step(key, t, state):
    return jnp.tanh(state @ state) + jax.random.normal(key, state.shape), None


@experiment(card("slow-walk", "toys", "", "D7"), full={})
class Slow(Coin.__mro__[1]):
    """One that takes a while."""

    n_steps: int = parameter(4, doc="steps", low=1)
    size: int = parameter(8, doc="size", low=1)
    doomed: bool = parameter(False, doc="whether its process is killed")

    predict = lambda self: xr.Dataset({"bound": ((), 1e9)})
    draw = Coin.draw

    def simulate(self, key, run):
        if self.doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        process = Process(lambda key, x0: x0, slow_step)
        start = jnp.zeros((self.size, self.size))
        done = run(process, key, start, self.n_steps, observe=jnp.mean, label="walk")
        return xr.Dataset({"mean": ((), float(done.values[-1]))})

    def claims(self, record):
        expected, measured = Prediction(np.asarray(record["mean"].values)), np.full(3, float(record["mean"]))
        return [compare(expected, estimate(measured), statement="It ends.", system="D7", resolution=1.0)]
'''


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toys registered in this process, alone."""
    file = tmp_path / "toys.py"
    file.write_text(TOYS)
    monkeypatch.setattr(machinery, "_REGISTRY", {})
    spec = importlib.util.spec_from_file_location("toys", file)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return tmp_path


@pytest.fixture
def cli(toys: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line on the toys: status, standard output, standard error."""

    def call(line: str) -> tuple[int, str, str]:
        status = main([word.replace("OUT", str(toys / "out")) for word in shlex.split(line)])
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return status, told.out, told.err

    return call


def test_a_claim_that_holds_gives_status_0_and_a_site(cli, toys):
    status, out, _ = cli("reproduce coin-mean --out OUT")
    assert status == 0
    lines = out.splitlines()
    row = next(line for line in lines if line.startswith("holds"))
    assert re.match(r"holds +0\.5 +0\.\d+ ± 0\.\d+ +The mean of the throws .* that says so\.$", row)
    assert "1 claim holds, 0 do not, 0 could not be decided" in lines
    assert lines[-1] == f"site: {toys / 'out' / 'index.html'}"
    names = {path.name for path in (toys / "out" / "coin-mean").iterdir()}
    assert names == {"record.nc", "record.csv", "claims.json", "figure.svg", "figure.png", "index.html"}
    assert (toys / "out" / "index.html").is_file()


def test_a_claim_that_does_not_hold_gives_status_1(cli):
    status, out, _ = cli("reproduce coin-mean --out OUT --set claimed=0.7")
    assert status == 1
    assert "0 claims hold, 1 does not, 0 could not be decided" in out
    assert re.search(r"^fails .*\(differs by 0\.\d+, allowed 0\.\d+: 5 standard errors", out, re.MULTILINE)


def test_an_undecided_claim_is_an_error(cli):
    status, out, _ = cli("reproduce coin-mean --out OUT --set n_throws=20")
    assert status == 1
    assert "0 claims hold, 0 do not, 1 could not be decided" in out
    assert "too few samples to decide" in out


def test_an_exception_is_told_in_a_line_and_the_others_go_on(cli, toys):
    status, out, _ = cli("reproduce coin-mean slow-walk --out OUT --set crash=true")
    assert status == 1
    assert "ZeroDivisionError: the coin broke." in out
    assert "1 claim holds, 0 do not, 1 could not be decided" in out
    told = (toys / "out" / "coin-mean" / "error.txt").read_text()
    assert told.startswith("ZeroDivisionError: the coin broke.\n")
    assert "Traceback" in told
    assert "ZeroDivisionError: the coin broke." in (toys / "out" / "index.html").read_text()
    assert cli("reproduce coin-mean --out OUT")[0] == 0
    assert not (toys / "out" / "coin-mean" / "error.txt").exists()


def test_missing_data_is_a_sentence_and_status_2(cli, toys):
    status, out, err = cli("reproduce lost-data coin-mean --out OUT")
    assert status == 2
    assert "neuromanifold: lost-data: there is no file digits.csv; set NEUROMANIFOLD_DATA.\n" in err
    assert "there is no file digits.csv; set NEUROMANIFOLD_DATA." in out
    assert "1 claim holds, 0 do not, 1 could not be decided" in out
    assert "Traceback" not in (toys / "out" / "lost-data" / "error.txt").read_text()


def test_no_name_means_all(cli):
    status, out, _ = cli("reproduce --out OUT")
    assert status == 2
    assert [name for name in ("coin-mean:", "lost-data:", "slow-walk:") if f"\n{name}" in out] == [
        "coin-mean:",
        "lost-data:",
        "slow-walk:",
    ]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("--set n_throws=3000 --set bias=0.25 coin-mean", {"n_throws": 3000, "bias": 0.25}),
        ("--set n_throws=3e3 bias=.25 mood=wild coin-mean", {"n_throws": 3000, "bias": 0.25, "mood": "wild"}),
        ("coin-mean --set scales=1,2.5,-3 slow-walk", {"scales": [1.0, 2.5, -3.0]}),
        ("--set=n-throws=2_000 coin-mean", {"n_throws": 2000}),
    ],
)
def test_settings_reach_the_fields(cli, toys, line, expected):
    assert cli(f"reproduce --seed 5 {line} --out OUT")[0] == 0
    record = read_record(toys / "out" / "coin-mean" / "record.nc")
    parameters = json.loads(record.attrs["parameters"])
    assert {name: parameters[name] for name in expected} == expected
    assert record.attrs["seed"] == 5


def test_a_setting_applies_to_those_that_have_the_field(cli, toys):
    assert cli("reproduce coin-mean slow-walk --out OUT --set size=4")[0] == 0
    record = read_record(toys / "out" / "slow-walk" / "record.nc")
    assert json.loads(record.attrs["parameters"])["size"] == 4


def test_full_preset(cli, toys):
    assert cli("reproduce coin-mean --preset full --out OUT")[0] == 0
    assert read_record(toys / "out" / "coin-mean" / "record.nc")["mean"].attrs["n"] == 20000


def test_the_command_of_the_record_makes_the_same_record(cli, toys):
    cli("reproduce coin-mean --out OUT --seed 9 --set n_throws=2345 scales=1.5,2.5")
    record = read_record(toys / "out" / "coin-mean" / "record.nc")
    again = shlex.split(record.attrs["command"])
    assert again[0] == "neuromanifold"
    assert main([*again[1:], "--out", str(toys / "again")]) == 0
    assert read_record(toys / "again" / "coin-mean" / "record.nc").identical(record)


def test_resume_keeps_a_finished_record(cli, toys):
    cli("reproduce coin-mean --out OUT")
    before = (toys / "out" / "coin-mean" / "record.nc").stat().st_mtime_ns
    assert cli("reproduce coin-mean --out OUT --resume")[0] == 0
    assert (toys / "out" / "coin-mean" / "record.nc").stat().st_mtime_ns == before


MISTAKES = {
    "repro": "there is no command 'repro'; did you mean report or reproduce?",
    "reproduce coin-men": "there is no experiment 'coin-men'; did you mean coin-mean?",
    "reproduce xyzzy": "there is no experiment 'xyzzy'; there are lost-data, coin-mean, slow-walk.",
    "show coinmean": "there is no experiment 'coinmean'; did you mean coin-mean?",
    "reproduce coin-mean --set n_throw=3": "there is no field 'n_throw' of coin-mean; did you mean n_throws?",
    "reproduce --set zzz=3": "there is no field 'zzz' of any of these experiments; there are bias, claimed",
    "reproduce coin-mean --set n_throws=abc": "coin-mean: n_throws must be an integer, got 'abc'.",
    "reproduce coin-mean --set n_throws=2.5": "coin-mean: n_throws must be an integer >= 2, got 2.5.",
    "reproduce coin-mean --set n_throws=inf": "coin-mean: n_throws must be an integer >= 2, got inf.",
    "reproduce coin-mean --set n_throws=1": "coin-mean: n_throws must be an integer >= 2, got 1.",
    "reproduce coin-mean --set bias=two": "coin-mean: bias must be a number, got 'two'.",
    "reproduce coin-mean --set bias=nan": "coin-mean: bias must be a finite number in [0, 1], got nan.",
    "reproduce coin-mean --set bias=2": "coin-mean: bias must be a finite number in [0, 1], got 2.0.",
    "reproduce coin-mean --set scales=1,b": "coin-mean: scales must be a number, got 'b'.",
    "reproduce coin-mean --set scales=": "coin-mean: scales must be a number, got ''.",
    "reproduce coin-mean --set crash=perhaps": "coin-mean: crash must be true or false, got 'perhaps'.",
    "reproduce coin-mean --set mood=sad": "coin-mean: mood must be one of 'calm', 'wild', got 'sad'.",
    "reproduce coin-mean --set n_throws": "--set takes field=value, got 'n_throws'.",
    "reproduce coin-mean --set": "Missing value for argument '--set'",
    "reproduce coin-mean --seed a": "--seed must be an integer, got 'a'; see neuromanifold reproduce --help.",
    "reproduce coin-mean --seed -1": "seed must be an integer in [0, 4294967295], got -1.",
    "reproduce coin-mean --jobs 0": "jobs must be an integer >= 1, got 0.",
    "reproduce coin-mean --preset fast": "fast",
    "reproduce coin-mean --sed 3": "reproduce does not take '--sed'; did you mean --seed",
    "list --topc toys": "list does not take '--topc'; did you mean --topic?",
    "list toys": "list does not take 'toys'; there are --topic, --lecture, --system.",
    "list --topic toy": "there is no experiment with topic 'toy'; did you mean toys?",
    "list --lecture Z": "there is no experiment with lecture 'Z'; there are A, B, D.",
    "list --system A2": "there is no experiment with system 'A2'; did you mean A1?",
    "report nowhere": "there is no folder nowhere.",
    "report .": "there is no record of an experiment in .",
    "show": "show takes the name of an experiment; there are lost-data, coin-mean, slow-walk.",
    "--reproduce": "Expected one of {list, reproduce, show, report}; see neuromanifold --help.",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_gets_one_sentence_and_status_2(cli, toys, monkeypatch, line):
    monkeypatch.chdir(toys)
    status, out, err = cli(line)
    assert (status, out) == (2, "")
    assert MISTAKES[line] in err
    assert err.startswith("neuromanifold: ")
    assert err.count("\n") == 1
    assert len(err) < 250
    assert not (toys / "out").exists()


@pytest.mark.parametrize(
    "options, names",
    [
        ("", {"coin-mean", "lost-data", "slow-walk"}),
        ("--topic toys", {"coin-mean", "slow-walk"}),
        ("--lecture d", {"slow-walk"}),
        ("--system a1", {"coin-mean"}),
        ("--topic toys --system D7", {"slow-walk"}),
    ],
)
def test_list(cli, options, names):
    status, out, _ = cli(f"list {options}")
    assert status == 0
    assert {line.split()[0] for line in out.splitlines()[1:]} == names
    assert all(f"The title of [{name}]" in out for name in names)


def test_show_tells_everything(cli):
    status, out, _ = cli("show coin-mean --out OUT")
    assert status == 0
    for part in (
        "The title of [coin-mean]",
        "A coin is thrown.",
        r"\frac{1}{n}",
        "n_throws",
        "20000",
        "≥ 2",
        "mV",
        "calm, wild",
        "not decided yet",
        "Shun-ichi Amari",
    ):
        assert part in out
    cli("reproduce coin-mean --out OUT")
    _, out, _ = cli("show coin-mean --out OUT")
    assert re.search(r"^holds +0\.5 ", out, re.MULTILINE)


def test_report_builds_again_from_records_alone(cli, toys):
    cli("reproduce coin-mean --out OUT")
    pages = [toys / "out" / "index.html", toys / "out" / "coin-mean" / "index.html"]
    before = [page.read_bytes() for page in pages]
    for page in pages:
        page.unlink()
    status, out, _ = cli("report OUT")
    assert status == 0
    assert out.splitlines()[-1] == f"site: {pages[0]}"
    assert [page.read_bytes() for page in pages] == before


def test_report_names_a_damaged_record(cli, toys):
    cli("reproduce coin-mean slow-walk --out OUT")
    record = toys / "out" / "coin-mean" / "record.nc"
    record.write_bytes(record.read_bytes()[:500])
    status, _, err = cli("report OUT")
    assert status == 2
    assert err.startswith("neuromanifold: coin-mean cannot be shown: the record record.nc is damaged")
    assert (toys / "out" / "index.html").is_file()
    status, out, _ = cli("reproduce coin-mean --out OUT --resume")
    assert status == 2
    assert "damaged" in out


def test_a_folder_that_cannot_be_written(cli, toys):
    (toys / "file").write_text("")
    status, _, err = cli(f"reproduce coin-mean --out {toys}/file/out")
    assert status == 2
    assert re.fullmatch(r"neuromanifold: cannot write .*/file/out: Not a directory; choose .*\n", err)


def test_version_and_help(cli):
    assert cli("--version")[:2] == (0, f"neuromanifold {__version__}\n")
    for line in ("--help", "", "reproduce --help"):
        status, out, err = cli(line)
        assert (status, err) == (0, "")
        assert "usage: neuromanifold" in out


@pytest.mark.parametrize(
    "text, default, value",
    [
        ("7", 1, 7),
        ("1e3", 1, 1000),
        ("12345678901234567890", 1, 12345678901234567890),
        ("-2", 1, -2),
        ("7", 1.0, 7.0),
        ("(1,2,)", (1,), (1, 2)),
        ("Yes", False, True),
        ("0", True, False),
        ("1", "a", "1"),
    ],
)
def test_words_are_read_by_the_type_of_the_field(text, default, value):
    read = parse_value("x", text, default)
    assert read == value
    assert type(read) is type(value)


# ---- what needs a process of its own


def start(toys: Path, line: str, before: str = "", **options) -> subprocess.Popen[str]:
    """The program on the toys alone, in another process."""
    (toys / "toys.py").write_text(TOYS)
    code = (
        "import sys, neuromanifold.experiments._experiment as m; import neuromanifold.experiments\n"
        # Where the tests run in the background Ctrl-C may be ignored, and a child inherits that.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"m._REGISTRY.clear(); import toys; {before}\n"
        "from neuromanifold.cli import main; sys.exit(main())"
    )
    environment = os.environ | {"PYTHONPATH": str(toys), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *shlex.split(line)],
        cwd=toys,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def interrupted(toys: Path, line: str, begun: str) -> str:
    """The last sentence of a program that gets Ctrl-C in slow-walk, once it has told of `begun`."""
    process = start(toys, line)
    assert process.stdout is not None
    for text in process.stdout:
        if text.startswith(begun):
            break
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert any((toys / "out" / "slow-walk" / "checkpoints").iterdir())
    assert (toys / "out" / "coin-mean" / "record.nc").is_file()
    last = err.splitlines()[-1]
    kept = "neuromanifold: interrupted in slow-walk, its runs so far are in out/slow-walk/checkpoints"
    assert last.startswith(kept + "; 1 finished")
    return last


@pytest.mark.parametrize(("jobs", "begun"), [("", "slow-walk"), (" --jobs 2", "coin-mean")])
def test_interrupt_says_what_is_kept_and_how_to_go_on(tmp_path, jobs, begun):
    line = f"reproduce coin-mean slow-walk{jobs} --set n_steps=100000000 size=64 --seed 4"
    last = interrupted(tmp_path, line, begun)
    assert last.endswith("go on with: neuromanifold " + line + " --resume")


def test_several_at_once_are_as_one_by_one_and_a_killed_process_stops_only_its_own(cli, toys, tmp_path):
    alone = tmp_path / "together"
    alone.mkdir()
    process = start(alone, "reproduce slow-walk coin-mean lost-data --seed 4 --jobs 2 --set doomed=true")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert "lost-data: there is no file digits.csv" in err
    assert "Its process was killed, alone too" in " ".join(out.split())
    assert len(re.findall(r"^(?:coin-mean|slow-walk|lost-data): ", out, re.MULTILINE)) == 3
    cli("reproduce coin-mean --seed 4 --out OUT")
    one, other = (read_record(folder / "out" / "coin-mean" / "record.nc") for folder in (alone, toys))
    assert one.identical(other)


def test_a_full_disk_is_a_sentence_and_status_2(tmp_path):
    # A limit on the size of files stands for the disk: the figure's PNG does not fit.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))"
    process = start(tmp_path, "reproduce coin-mean", limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in err
    assert re.search(r"^neuromanifold: cannot write out/coin-mean/\S+: ", err, re.MULTILINE)


def test_a_closed_pipe_is_quiet(tmp_path):
    process = start(tmp_path, "list")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1
    process.stderr.close()


def test_a_poor_terminal_encoding_does_not_stop_it(tmp_path):
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys;"
            "from neuromanifold.cli import main; code = main(['list']); print('±'); sys.exit(code)",
        ],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def test_help_does_not_import_what_it_does_not_need():
    code = (
        "import sys; from neuromanifold.cli import main; main(['--help']); "
        "sys.exit(sum(name in sys.modules for name in ('jax', 'xarray', 'matplotlib', 'equinox')))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False).returncode
        == 0
    )
