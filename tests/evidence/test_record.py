"""Records: what is written is read back, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neuromanifold._base import FileError, atomic
from neuromanifold.evidence import (
    Estimate,
    EvidenceError,
    Prediction,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
    read_record,
    write_record,
)


def example():
    measured = Estimate(np.array([0.9, 0.8]), np.array([0.01, 0.02]), 40, 2.5)
    predicted = Prediction(np.array([0.91, 0.79]), np.array([0.0, 0.005]), "finite size")
    return (
        measured,
        predicted,
        xr.Dataset(
            measured_variables("overlap", measured, ["load"], long_name="overlap m")
            | predicted_variable("overlap_theory", predicted, ["load"], long_name="overlap m"),
            coords={"load": [0.05, 0.1]},
            attrs={"seed": 3},
        ),
    )


def test_round_trip(tmp_path):
    _, _, record = example()
    write_record(record, tmp_path / "a" / "record.nc")
    back = read_record(tmp_path / "a" / "record.nc")
    xr.testing.assert_identical(record, back)
    again = read_measured(back.sel(load=0.1), "overlap")
    assert float(again.mean) == 0.8
    assert float(again.standard_error) == 0.02
    assert (again.n, again.correlation_time) == (40, 2.5)
    theory = read_predicted(back.isel(load=1), "overlap_theory")
    assert float(theory.value) == 0.79
    assert float(np.asarray(theory.error)) == 0.005
    assert theory.reason == "finite size"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["record.nc"]


def test_dimensions_must_fit():
    measured, predicted, _ = example()
    with pytest.raises(EvidenceError, match="dims must name 1 axes of overlap"):
        measured_variables("overlap", measured, long_name="overlap")
    with pytest.raises(EvidenceError, match="dims must name 1 axes of overlap"):
        predicted_variable("overlap", predicted, ["a", "b"], long_name="overlap")


def test_damaged_records_are_named(tmp_path):
    _, _, record = example()
    path = tmp_path / "record.nc"
    with pytest.raises(FileError, match="there is no record at"):
        read_record(path)
    write_record(record, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileError, match="damaged or no netCDF file"):
        read_record(path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match="cannot write"):
        write_half()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    with pytest.raises(KeyError), atomic(path):
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def full(path, content):
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    _, _, record = example()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"cannot write .*record\.nc: No space left on device\."):
        write_record(record, tmp_path / "record.nc")
