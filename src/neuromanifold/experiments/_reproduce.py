"""reproduce: an experiment, a preset and a seed become a record, verdicts and a figure on disk.

The folder of an experiment holds `record.nc`, `claims.json`, `figure.svg`, `figure.png`, each written
atomically, and while it runs `checkpoints/`. The record carries everything a page about it needs, so that a
page can be made from the record alone.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import platform
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from matplotlib import rc_context

from neuromanifold._base import atomic, check_choice, check_integer
from neuromanifold._version import __version__
from neuromanifold.dynamics import ProgressReport, run
from neuromanifold.evidence import Claim, EvidenceError, read_record, write_record
from neuromanifold.experiments._experiment import PRESETS, Card, Experiment, build

_PACKAGES = ("jax", "jaxlib", "equinox", "optax", "diffrax", "numpy", "scipy", "xarray")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of an experiment.

    Args:
        name: the experiment's name.
        card: what a reader is told.
        record: everything predicted and measured.
        claims: verdicts; empty when they could not be decided.
        error: why the claims could not be decided, or None.
    """

    name: str
    card: Card
    record: xr.Dataset
    claims: tuple[Claim, ...]
    error: str | None = None

    @property
    def holds(self) -> bool:
        """Whether every claim was decided and holds."""
        return self.error is None and all(claim.holds for claim in self.claims)


def reproduce(
    experiment: Experiment,
    *,
    preset: str = "quick",
    seed: int = 0,
    out: Path | None = None,
    resume: bool = False,
    progress: bool | ProgressReport | None = None,
) -> Outcome:
    """Predict, simulate, decide and draw; the same parameters and seed give the same record.

    Args:
        experiment: an instance, as made by `build`.
        preset: the preset it was built from, for the books; "quick" or "full".
        seed: of the simulation, in [0, 2^32).
        out: folder under which `<name>/` is written, or None to write nothing.
        resume: take a finished record of the same parameters, seed and version as it is, and let unfinished
            runs go on from their checkpoints.
        progress: as for `neuromanifold.dynamics.run`.

    Raises:
        ValueError: unknown preset or a seed outside its range.
        FileError: the folder cannot be written, the disk is full, or a record or checkpoint is damaged.
        Whatever the experiment raises.
    """
    check_choice("preset", preset, PRESETS)
    check_integer("seed", seed, 0, 2**32 - 1)
    folder = None if out is None else out / experiment.card.name
    record = recorded(experiment, out, preset=preset, seed=seed) if resume and out is not None else None
    if record is None:
        attributes = _attributes(experiment, preset, seed)
        record = _record(experiment, seed, folder, attributes, resume, progress)
        if folder is not None:
            write_record(record, folder / "record.nc")
    try:
        claims, error = tuple(experiment.claims(record)), None
    except EvidenceError as undecided:
        claims, error = (), str(undecided)
    if error is None and not claims:
        error = f"{experiment.card.name} made no claim."
    if folder is not None:
        _write_claims(claims, error, record, folder)
        _write_figure(experiment, record, folder)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Outcome(experiment.card.name, experiment.card, record, claims, error)


def recorded(experiment: Experiment, out: Path, *, preset: str = "quick", seed: int = 0) -> xr.Dataset | None:
    """The record that `reproduce` has left in a folder, or None where none answers the question.

    Parameters, preset, seed and versions of the package and of what it stands on must be the same.

    Args:
        experiment: an instance, as made by `build`.
        out: the folder that `reproduce` was given.
        preset: as there.
        seed: as there.

    Raises:
        FileError: the record is damaged.
    """
    path = out / experiment.card.name / "record.nc"
    if not path.exists():
        return None
    record, wanted = read_record(path), _attributes(experiment, preset, seed)
    same = ("experiment", "preset", "seed", "version", "parameters", "versions")
    return record if all(record.attrs.get(name) == wanted[name] for name in same) else None


def command(experiment: Experiment, preset: str, seed: int) -> str:
    """The command that runs an experiment again."""
    usual = build(type(experiment), preset)
    words = ["neuromanifold", "reproduce", experiment.card.name, "--preset", preset, "--seed", str(seed)]
    for field in dataclasses.fields(experiment):  # pyright: ignore[reportArgumentType]
        value = getattr(experiment, field.name)
        if value != getattr(usual, field.name):
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += ["--set", f"{field.name}={text}"]
    return shlex.join(words)


def _attributes(experiment: Experiment, preset: str, seed: int) -> dict[str, Any]:
    fields = dataclasses.fields(experiment)  # pyright: ignore[reportArgumentType]
    values = {field.name: getattr(experiment, field.name) for field in fields}
    table = [
        {"name": field.name, "value": values[field.name]}
        | {
            name: field.metadata[name]
            for name in ("unit", "low", "high", "open_low", "open_high", "doc", "choices")
        }
        for field in fields
    ]
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    versions |= {"python": platform.python_version(), "platform": jax.default_backend()}
    return {
        "experiment": experiment.card.name,
        "title": experiment.card.title,
        "preset": preset,
        "seed": seed,
        "version": __version__,
        "parameters": json.dumps(values),
        "card": json.dumps(dataclasses.asdict(experiment.card)),
        "parameter_table": json.dumps(table),
        "versions": json.dumps(versions),
        "command": command(experiment, preset, seed),
    }


def _record(
    experiment: Experiment,
    seed: int,
    folder: Path | None,
    attributes: dict[str, Any],
    resume: bool,
    progress: bool | ProgressReport | None,
) -> xr.Dataset:
    predicted = experiment.predict()
    simulated = experiment.simulate(jax.random.key(seed), _runner(folder, resume, progress))
    shared = set(predicted.data_vars) & set(simulated.data_vars)
    if shared:
        raise ValueError(
            "predict and simulate must name different variables, got "
            f"{', '.join(sorted(map(str, shared)))} in both."
        )
    record = xr.merge([predicted, simulated], join="exact", combine_attrs="override")
    for name, variable in record.variables.items():
        if np.issubdtype(variable.dtype, np.floating) and variable.dtype != np.float64:
            record[name] = variable.astype(np.float64)
    record.attrs = dict(attributes)
    return record


def _runner(folder: Path | None, resume: bool, progress: bool | ProgressReport | None) -> Callable[..., Any]:
    """`run` with a checkpoint of its own for every label."""
    used: set[str] = set()

    def labelled(*arguments: Any, label: str = "run", **options: Any) -> Any:
        if label in used:
            raise ValueError(f"label must be unique within an experiment, got {label!r} twice.")
        used.add(label)
        if folder is not None and "checkpoint" not in options:
            name = re.sub(r"[^A-Za-z0-9.=-]+", "_", label)
            options |= {"checkpoint": folder / "checkpoints" / f"{name}.safetensors", "resume": resume}
        return run(*arguments, label=label, progress=progress, **options)

    return labelled


def _write_claims(claims: tuple[Claim, ...], error: str | None, record: xr.Dataset, folder: Path) -> None:
    common = {
        "preset": record.attrs["preset"],
        "seed": int(record.attrs["seed"]),
        "version": record.attrs["version"],
    }
    name = record.attrs["experiment"]
    rows = [{"experiment": name, **dataclasses.asdict(claim), **common} for claim in claims]
    if error is not None:
        rows = [
            {
                "experiment": name,
                "system": ", ".join(json.loads(record.attrs["card"])["systems"]),
                "statement": "The claims of this experiment can be decided.",
                "kind": "undecided",
                "expected": None,
                "measured": None,
                "standard_error": None,
                "tolerance": None,
                "reason": error,
                "holds": None,
                **common,
            }
        ]
    with atomic(folder / "claims.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _write_figure(experiment: Experiment, record: xr.Dataset, folder: Path) -> None:
    with rc_context({"svg.hashsalt": experiment.card.name, "svg.fonttype": "path"}):
        figure = experiment.draw(record)
        with atomic(folder / "figure.svg") as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        with atomic(folder / "figure.png") as temporary:
            figure.savefig(temporary, format="png", dpi=150)
