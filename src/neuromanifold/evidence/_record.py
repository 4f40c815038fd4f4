"""Records: one labelled xarray.Dataset an experiment, stored as netCDF, written atomically.

A measured quantity `overlap` is stored as `overlap`, `overlap_stderr` and its sample size in the attribute
`n`; a predicted one under a name of its own with the attributes `error` and `reason`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from neuromanifold._base import FileError, atomic
from neuromanifold.evidence._types import Estimate, EvidenceError, Prediction


def _check_dims(name: str, dims: Sequence[str], shape: tuple[int, ...]) -> None:
    if len(dims) != len(shape):
        raise EvidenceError(f"dims must name {len(shape)} axes of {name}, got {tuple(dims)}.")


def measured_variables(
    name: str, measured: Estimate, dims: Sequence[str] = (), *, long_name: str, units: str = "1"
) -> dict[str, xr.Variable]:
    """The variables that hold an estimate: `name` and `name_stderr`.

    Args:
        name: name of the variable.
        measured: the estimate.
        dims: one dimension name for each axis of the estimate.
        long_name: what it is, for axes and tables.
        units: its units; "1" for a pure number.

    Raises:
        EvidenceError: dims do not name every axis.
    """
    _check_dims(name, dims, measured.shape)
    attributes = {
        "long_name": long_name,
        "units": units,
        "n": measured.n,
        "correlation_time": measured.correlation_time,
    }
    return {
        name: xr.Variable(tuple(dims), measured.mean, attributes),
        f"{name}_stderr": xr.Variable(
            tuple(dims),
            measured.standard_error,
            {"long_name": f"standard error of {long_name}", "units": units},
        ),
    }


def predicted_variable(
    name: str, prediction: Prediction, dims: Sequence[str] = (), *, long_name: str, units: str = "1"
) -> dict[str, xr.Variable]:
    """The variables that hold a prediction: `name`, and `name_error` where its own error is above zero.

    Args:
        name: name of the variable.
        prediction: the prediction.
        dims: one dimension name for each axis of the prediction.
        long_name: what it is, for axes and tables.
        units: its units; "1" for a pure number.

    Raises:
        EvidenceError: dims do not name every axis.
    """
    _check_dims(name, dims, prediction.shape)
    attributes = {"long_name": long_name, "units": units, "reason": prediction.reason}
    variables = {name: xr.Variable(tuple(dims), prediction.value, attributes)}
    if np.any(prediction.error > 0):
        variables[f"{name}_error"] = xr.Variable(
            tuple(dims),
            prediction.error,
            {"long_name": f"error of {long_name}: {prediction.reason}", "units": units},
        )
    return variables


def read_measured(record: xr.Dataset, name: str) -> Estimate:
    """The estimate stored under a name by `measured_variables`; select from the record first.

    >>> import xarray as xr
    >>> from neuromanifold.evidence import estimate, measured_variables, read_measured
    >>> overlap = estimate([0.9, 1.1])
    >>> record = xr.Dataset(measured_variables("overlap", overlap, long_name="overlap m"))
    >>> print(read_measured(record, "overlap"))
    1.00 ± 0.10 (n = 2)
    """
    variable = record[name]
    return Estimate(
        np.asarray(variable.values, dtype=np.float64),
        np.asarray(record[f"{name}_stderr"].values, dtype=np.float64),
        int(variable.attrs["n"]),
        float(variable.attrs["correlation_time"]),
    )


def read_predicted(record: xr.Dataset, name: str) -> Prediction:
    """The prediction stored under a name by `predicted_variable`; select from the record first."""
    variable = record[name]
    error = record[f"{name}_error"].values if f"{name}_error" in record else 0.0
    return Prediction(np.asarray(variable.values, dtype=np.float64), error, variable.attrs["reason"])


def write_record(record: xr.Dataset, path: Path) -> None:
    """Write a record as netCDF, atomically.

    Raises:
        FileError: the folder cannot be written, or the disk is full.
    """
    # Made in memory: HDF5 crashes the process when it cannot write its own file to the end.
    content = record.to_netcdf(engine="h5netcdf")
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def read_record(path: Path) -> xr.Dataset:
    """Read a record into memory.

    Raises:
        FileError: the file is missing, truncated or no netCDF file.
    """
    try:
        with h5py.File(path):  # h5netcdf writes a traceback of its own about a file that is no HDF5
            pass
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            return stored.load()
    except FileNotFoundError:
        raise FileError(f"there is no record at {path}.") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise FileError(f"the record {path} is damaged or no netCDF file: {error}.") from error
