"""Progress of long work: rate and time left, a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from neuromanifold._base import check_real

ProgressReport = Callable[[str, int, int, float], None]
"""A caller's own report, called after every block: label, steps done, steps in all, seconds so far."""


def _duration(seconds: float) -> str:
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def plain_progress(stream: TextIO | None = None, interval: float = 5.0) -> ProgressReport:
    """A report in plain lines, on a terminal too: steps, rate and time left.

    The first block of a run compiles the program: rate and time left are those of the blocks after it.

    Args:
        stream: where to write; standard error by default.
        interval: seconds between lines, >= 0.

    Raises:
        ValueError: an interval < 0.
    """
    check_real("interval", interval, 0)
    begun: dict[str, int] = {}
    compiled: dict[str, tuple[int, float]] = {}
    spoken = time.monotonic()

    def report(label: str, done: int, total: int, seconds: float) -> None:
        nonlocal spoken
        now = time.monotonic()
        if done == begun.setdefault(label, done):
            compiled.pop(label, None)
            return
        first, then = compiled.setdefault(label, (done, seconds))
        if now - spoken < interval:
            return
        spoken = now
        line = f"{label}: {done} of {total} steps"
        if done > first and seconds > then:
            rate = (done - first) / (seconds - then)
            line += f", {rate:.3g} steps/s, {_duration((total - done) / rate)} left"
        print(line, file=stream if stream is not None else sys.stderr, flush=True)

    return report


class Reporter:
    """Context of one run's progress; `update(done)` after every block.

    Args:
        target: None is silent, True chooses by the stream, a callable is told instead.
        label: what runs.
        total: steps in all.
        done: steps already taken by an earlier run.
        stream: where to write; standard error by default.
        interval: seconds between plain lines.
    """

    def __init__(
        self,
        target: bool | ProgressReport | None,
        label: str,
        total: int,
        done: int = 0,
        stream: TextIO | None = None,
        interval: float = 5.0,
    ) -> None:
        self._label, self._total = label, total
        self._started = time.monotonic()
        self._compiled: tuple[int, float] | None = None
        self._stream = stream if stream is not None else sys.stderr
        self._call: ProgressReport | None = None
        self._bar: Progress | None = None
        if callable(target):
            self._call = target
        elif target and self._stream.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(file=self._stream),
                transient=True,
            )
            self._task = self._bar.add_task(label, total=total, completed=done, rate="")
        elif target:
            self._call = plain_progress(stream, interval)
            self._call(label, done, total, 0.0)

    def __enter__(self) -> Reporter:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int) -> None:
        """Say how many steps are done by now."""
        seconds = time.monotonic() - self._started
        if self._call is not None:
            self._call(self._label, done, self._total, seconds)
            return
        if self._bar is not None:
            first, then = self._compiled = self._compiled or (done, seconds)
            rate = f"{(done - first) / (seconds - then):.3g} steps/s" if seconds > then else ""
            self._bar.update(self._task, completed=done, rate=rate)
