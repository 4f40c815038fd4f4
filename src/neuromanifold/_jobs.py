"""The experiments of one command: one after the other here, or several at once in processes of their own."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from neuromanifold._base import FileError, atomic

if TYPE_CHECKING:
    from neuromanifold.dynamics import ProgressReport
    from neuromanifold.experiments import Experiment
    from neuromanifold.report import Row

_STOPS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
_RUNS = "The experiment runs to its end."


class Job(NamedTuple):
    """An experiment and how it is to be reproduced; see `neuromanifold.experiments.reproduce`."""

    experiment: Experiment
    preset: str
    seed: int
    out: Path
    resume: bool

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.card.name


class Done(NamedTuple):
    """What came of a job.

    Args:
        job: which.
        rows: of the table of claims.
        failed: whether a file that could not be read or written stopped it.
        seconds: that it took.
    """

    job: Job
    rows: list[Row]
    failed: bool
    seconds: float


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; `names` are the experiments that were running."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(*names)
        self.names = tuple(names)


def perform(job: Job, progress: bool | ProgressReport = True) -> Done:
    """Reproduce an experiment; what stops it becomes a row that is undecided, and a file that says why.

    Raises:
        FileError: nothing can be written to the folder.
    """
    from neuromanifold.experiments import reproduce
    from neuromanifold.report import claim_row, undecided_row

    started = time.monotonic()
    systems = ", ".join(job.experiment.card.systems)
    told = job.out / job.name / "error.txt"
    on_file = False
    try:
        outcome = reproduce(
            job.experiment,
            preset=job.preset,
            seed=job.seed,
            out=job.out,
            resume=job.resume,
            progress=progress,
        )
        told.unlink(missing_ok=True)
        rows = [claim_row(claim) for claim in outcome.claims]
        if outcome.error is not None:
            rows = [undecided_row("The claims of this experiment can be decided.", systems, outcome.error)]
    except Exception as error:
        on_file = isinstance(error, FileError | FileNotFoundError)
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(error, FileError) and isinstance(cause, OSError) and cause.errno in _STOPS:
            raise
        sentence = " ".join(str(error).split("\n")[0].split()) or "no further word"
        sentence = (sentence if on_file else f"{type(error).__name__}: {sentence}").rstrip(".") + "."
        with contextlib.suppress(FileError), atomic(told) as temporary:
            details = "" if on_file else f"\n{traceback.format_exc()}"
            temporary.write_text(f"{sentence}\n{details}", encoding="utf-8")
        if on_file:
            print(f"neuromanifold: {job.name}: {sentence}", file=sys.stderr)
        rows = [undecided_row(_RUNS, systems, sentence)]
    return Done(job, rows, on_file, time.monotonic() - started)


def perform_all(
    jobs: Sequence[Job], n_processes: int, head: Callable[[Job], None], tell: Callable[[Done], None]
) -> None:
    """Perform every job, `n_processes` at a time, and tell of each as it is done.

    Args:
        jobs: what to perform.
        n_processes: how many at once, >= 1; one alone runs in this process.
        head: told of a job before its rows are: as it begins, where jobs run one after the other.
        tell: told of what is done.

    Raises:
        FileError: nothing can be written to the folder.
        Interrupted: Ctrl-C; what runs has written its checkpoints.
    """
    if n_processes == 1 or len(jobs) == 1:
        for job in jobs:
            head(job)
            try:
                tell(perform(job))
            except KeyboardInterrupt:
                raise Interrupted([job.name]) from None
        return

    def tell_whole(done: Done) -> None:
        head(done.job)
        tell(done)

    waiting = deque(jobs)
    while waiting:
        for job in _perform_in_pool(n_processes, waiting, tell_whole):
            if _perform_in_pool(1, deque([job]), tell_whole):
                tell_whole(_killed(job))


def _perform_in_pool(n_processes: int, waiting: deque[Job], tell: Callable[[Done], None]) -> list[Job]:
    """Keep as many jobs running as there are processes; returns those hit when a process was killed."""
    running: dict[Future[Done], Job] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, context, initializer=_begin_worker) as pool:
        try:
            while waiting or running:
                # No more than can run: what a pool holds in its own queue would be begun after Ctrl-C.
                while waiting and len(running) < n_processes:
                    job = waiting.popleft()
                    running[pool.submit(_perform_in_worker, job)] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    done = future.result()
                    del running[future]
                    tell(done)
        except BrokenProcessPool:
            return list(running.values())
        except BaseException as stop:
            _interrupt_workers()
            if isinstance(stop, KeyboardInterrupt):
                raise Interrupted([job.name for job in running.values()]) from None
            raise
    return []


def _killed(job: Job) -> Done:
    from neuromanifold.report import undecided_row

    sentence = "Its process was killed, alone too; less memory may be wanted of it."
    return Done(job, [undecided_row(_RUNS, ", ".join(job.experiment.card.systems), sentence)], False, 0.0)


def _begin_worker() -> None:
    """Hear Ctrl-C from the parent only, and once; end when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _perform_in_worker(job: Job) -> Done:
    from neuromanifold.dynamics import plain_progress

    report = plain_progress()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return perform(job, lambda label, *numbers: report(f"{job.name}, {label}", *numbers))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt_workers() -> None:
    for child in multiprocessing.active_children():
        if child.pid is not None:
            os.kill(child.pid, signal.SIGINT)
