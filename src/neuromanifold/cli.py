"""The command line: list, reproduce, show, report.

Exit status 0: all claims hold; 1: some do not, or could not be decided; 2: bad usage, or a file that cannot
be read or written; 130: interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction, subcommand

from neuromanifold._base import FileError
from neuromanifold._jobs import Done, Interrupted, Job, perform_all
from neuromanifold._version import __version__
from neuromanifold._words import UsageError, nearest, parse_value, setting, spread, unboxed

if TYPE_CHECKING:
    from neuromanifold.experiments import Card, Experiment
    from neuromanifold.report import Entry, Row


@dataclasses.dataclass(frozen=True)
class List:
    """List the experiments."""

    topic: str | None = None
    """only those of this topic"""
    lecture: str | None = None
    """only those of this lecture, by its letter"""
    system: str | None = None
    """only those about this system of the specification, such as A4"""


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Run experiments, decide their claims and build the site."""

    names: Positional[tuple[str, ...]] = ()
    """names of experiments; all of them where none is given"""
    preset: Literal["quick", "full"] = "quick"
    """size of the simulation"""
    seed: int = 0
    """seed of every simulation"""
    out: Path = Path("out")
    """folder of the records and the site"""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """keep finished records, go on from checkpoints"""
    jobs: int = 1
    """experiments to run at once, each in a process of its own; 1 where they share an accelerator"""
    set: UseAppendAction[tuple[str, ...]] = ()
    """field=value: a parameter in place of the preset's; numbers of a tuple are separated by commas"""


@dataclasses.dataclass(frozen=True)
class Show:
    """Show the idea, equations, parameters, claims and sources of an experiment."""

    name: Positional[str] = ""
    """name of the experiment"""
    out: Path = Path("out")
    """folder whose record gives the claims"""


@dataclasses.dataclass(frozen=True)
class Report:
    """Build the site again from the records of a folder."""

    out: Positional[Path] = Path("out")
    """folder of the records"""


_COMMANDS = {"list": List, "reproduce": Reproduce, "show": Show, "report": Report}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        argv: the words after the program's name; those of the process by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except (UsageError, FileError) as mistake:
        print(f"neuromanifold: {mistake}", file=sys.stderr)
        return 2
    except SystemExit as stop:  # after --help
        return int(stop.code or 0)
    except BrokenPipeError:  # `neuromanifold show NAME | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("neuromanifold: interrupted.", file=sys.stderr)
        return 130


def _dispatch(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        print(f"neuromanifold {__version__}")
        return 0
    if not words:
        words = ["--help"]
    elif not words[0].startswith("-") and words[0] not in _COMMANDS:
        raise UsageError(f"there is no command {words[0]!r}; {nearest(words[0], _COMMANDS)}")
    command = _parse(words)
    if isinstance(command, List):
        return _list(command)
    if isinstance(command, Reproduce):
        return _reproduce(command, words)
    return _show(command) if isinstance(command, Show) else _report(command.out)


def _parse(words: list[str]) -> List | Reproduce | Show | Report:
    """Read the words by tyro, its boxed complaints cut down to a sentence."""
    choice = (
        Annotated[List, subcommand("list")]
        | Annotated[Reproduce, subcommand("reproduce")]
        | Annotated[Show, subcommand("show")]
        | Annotated[Report, subcommand("report")]
    )
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            command, rest = tyro.cli(
                choice,  # pyright: ignore[reportArgumentType]
                prog="neuromanifold",
                description="Theory and simulation of neural networks, compared with error bars.",
                args=spread(words),
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        place = f"{words[0]} --help" if words[0] in _COMMANDS else "--help"
        raise UsageError(f"{unboxed(told.getvalue())}; see neuromanifold {place}.") from None
    for word in rest:
        if word.startswith("-") or not isinstance(command, Reproduce):
            options = [f"--{field.name}" for field in dataclasses.fields(command)]
            raise UsageError(f"{words[0]} does not take {word!r}; {nearest(word.split('=')[0], options)}")
    if isinstance(command, Reproduce):
        return dataclasses.replace(command, names=(*command.names, *rest))
    return command


def _registry() -> dict[str, type[Experiment]]:
    from neuromanifold.experiments import registry

    return registry()


def _find(name: str) -> type[Experiment]:
    known = _registry()
    if name not in known:
        raise UsageError(f"there is no experiment {name!r}; {nearest(name, known)}")
    return known[name]


def _list(command: List) -> int:
    from neuromanifold.report import print_experiments, terminal

    cards = [kind.card for kind in _registry().values()]
    filters: list[tuple[str, str | None, Callable[[Card], set[str]]]] = [
        ("topic", command.topic, lambda card: {card.topic}),
        (
            "lecture",
            command.lecture,
            lambda card: {card.lecture, *(name[:1] for name in card.systems)} - {""},
        ),
        ("system", command.system, lambda card: set(card.systems)),
    ]
    for what, wanted, having in filters:
        if wanted is not None:
            known = sorted({word for card in cards for word in having(card)})
            cards = [card for card in cards if wanted.lower() in {word.lower() for word in having(card)}]
            if not cards:
                raise UsageError(f"there is no experiment with {what} {wanted!r}; {nearest(wanted, known)}")
    print_experiments(terminal(), cards)
    return 0


def _show(command: Show) -> int:
    from neuromanifold.report import print_card, read_entry, terminal

    if not command.name:
        raise UsageError(f"show takes the name of an experiment; there are {', '.join(_registry())}.")
    kind = _find(command.name)
    again = f"neuromanifold reproduce {shlex.quote(command.name)} --out {shlex.quote(str(command.out))}"
    rows: tuple[Row, ...] = ()
    where = f"not decided yet in {command.out}: {again}"
    if (command.out / command.name).is_dir():
        entry = read_entry(command.out / command.name)
        rows, reason = entry.rows, entry.damage or entry.error
        where = f"of {command.out / command.name}, {entry.preset} preset, seed {entry.seed}"
        if not rows or reason:
            where = f"the last run left nothing to show: {reason or 'no claims'} Run it again: {again}"
    print_card(terminal(), kind, rows, where)
    return 0


def _report(out: Path) -> int:
    from neuromanifold.report import build_site, read_entries, tally

    entries = read_entries(out)
    index = build_site(out, entries)
    print(f"{tally(row for entry in entries for row in entry.counted)}\nsite: {index}")
    return 2 if _tell_damage(entries) else 0


def _tell_damage(entries: Iterable[Entry]) -> bool:
    damaged = [entry for entry in entries if entry.damage]
    for entry in damaged:
        print(f"neuromanifold: {entry.name} cannot be shown: {entry.damage}", file=sys.stderr)
    return bool(damaged)


def _reproduce(command: Reproduce, words: Sequence[str]) -> int:
    from neuromanifold.report import build_site, print_claim, print_claim_head, read_entries, tally, terminal

    experiments = _experiments(command)
    _check_writable(command.out)
    console = terminal()
    print_claim_head(console)
    finished: list[Done] = []

    def head(job: Job) -> None:
        console.print(f"\n{job.name}: {job.experiment.card.title}", style="bold", soft_wrap=True)

    def tell(done: Done) -> None:
        for row in done.rows:
            print_claim(console, row)
        console.print(f"{done.seconds:.1f} s", style="dim")
        finished.append(done)

    jobs = [
        Job(experiment, command.preset, command.seed, command.out, command.resume)
        for experiment in experiments.values()
    ]
    try:
        perform_all(jobs, command.jobs, head, tell)
    except Interrupted as stop:
        _tell_interrupt(command, words, stop.names, len(finished))
        return 130
    decided = [row for done in finished for row in done.rows]
    told = {done.job.name for done in finished if done.failed}
    entries = read_entries(command.out)
    index = build_site(command.out, entries)
    _tell_damage(entry for entry in entries if entry.name not in told)
    unshown = any(entry.damage for entry in entries if entry.name in experiments)
    console.print(f"\n{tally(decided)}", style="bold")
    console.print(f"site: {index}", soft_wrap=True)
    if told:
        return 2
    return 0 if not unshown and all(row.verdict == "holds" for row in decided) else 1


def _experiments(command: Reproduce) -> dict[str, Experiment]:
    """The experiments named, built with the settings that reach them."""
    from neuromanifold.experiments import build

    kinds = {name: _find(name) for name in command.names} or _registry()
    if command.jobs < 1:
        raise UsageError(f"jobs must be an integer >= 1, got {command.jobs}.")
    if not 0 <= command.seed < 2**32:
        raise UsageError(f"seed must be an integer in [0, 4294967295], got {command.seed}.")
    fields = {
        name: {field.name: field.default for field in dataclasses.fields(kind)}
        for name, kind in kinds.items()
    }  # pyright: ignore[reportArgumentType]
    settings = dict(map(setting, command.set))
    known = {field for defaults in fields.values() for field in defaults}
    for field in settings:
        if field not in known:
            whose = next(iter(kinds)) if len(kinds) == 1 else "any of these experiments"
            raise UsageError(f"there is no field {field!r} of {whose}; {nearest(field, sorted(known))}")
    built = {}
    for name, kind in kinds.items():
        try:
            chosen = {
                field: parse_value(field, text, fields[name][field])
                for field, text in settings.items()
                if field in fields[name]
            }
            built[name] = build(kind, command.preset, chosen)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    return built


def _check_writable(out: Path) -> None:
    """Refuse a folder before hours are spent on what it cannot hold."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise FileError(
            f"cannot write {out}: {error.strerror or error}; choose another folder by --out."
        ) from error


def _tell_interrupt(command: Reproduce, words: Sequence[str], names: Sequence[str], done: int) -> None:
    folders = [command.out / name / "checkpoints" for name in names]
    kept = [str(folder) for folder in folders if folder.is_dir() and any(folder.iterdir())]
    state = f"its runs so far are in {' and '.join(kept)}" if kept else "it begins anew"
    again = shlex.join(["neuromanifold", *words, *([] if command.resume else ["--resume"])])
    print(
        f"neuromanifold: interrupted in {' and '.join(names)}, {state}; {done} finished before it are in "
        f"{command.out}; go on with: {again}",
        file=sys.stderr,
    )
