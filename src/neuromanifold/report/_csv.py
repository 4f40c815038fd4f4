"""A record as one CSV file in tidy form: a line a number.

Columns: `variable`, `long_name`, `units`, one column for every dimension of the record, `value`, and
`standard_error` and `theory_error` where the record has such variables. A dimension's column holds its
coordinate (its index where it has none) and is empty where the variable does not have that dimension. The
variables `x_stderr` and `x_error` that accompany a variable `x` are the last two columns of the lines of `x`,
not lines of their own; everything else in the record, coordinates included, has lines.
"""

from __future__ import annotations

import csv
import io
import itertools
from typing import Any

import numpy as np
import xarray as xr

_COMPANIONS = {"standard_error": "_stderr", "theory_error": "_error"}


def record_csv(record: xr.Dataset) -> str:
    r"""The text of the CSV file (RFC 4180; numbers at full precision, `nan` where there is none).

    >>> import xarray as xr
    >>> overlap = xr.Variable("load", [0.99, 0.98], {"units": "1"})
    >>> print(record_csv(xr.Dataset({"overlap": overlap}, {"load": [0.1, 0.12]})).replace("\r", ""))
    variable,long_name,units,load,value
    overlap,,1,0.1,0.99
    overlap,,1,0.12,0.98
    <BLANKLINE>
    """
    dims = [str(dim) for dim in record.sizes]
    companions = {
        (name, column): f"{name}{suffix}"
        for name in map(str, record.data_vars)
        for column, suffix in _COMPANIONS.items()
        if f"{name}{suffix}" in record.data_vars and record[f"{name}{suffix}"].dims == record[name].dims
    }
    columns = [column for column in _COMPANIONS if any(key[1] == column for key in companions)]
    used = {dim for name in record.data_vars for dim in record[name].dims}
    alone = [name for name in record.coords if name not in record.sizes or name not in used]
    hidden = set(companions.values())
    names = [str(name) for name in [*alone, *record.data_vars] if str(name) not in hidden]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["variable", "long_name", "units", *dims, "value", *columns])
    for name in names:
        variable = record[name]
        head = [name, variable.attrs.get("long_name", ""), variable.attrs.get("units", "")]
        positions = {str(dim): _coordinate(record, str(dim)) for dim in variable.dims}
        places = itertools.product(*(positions[str(dim)] for dim in variable.dims))
        blank = [""] * variable.size
        numbers = [variable.values.ravel()] + [
            record[companions[name, column]].values.ravel() if (name, column) in companions else blank
            for column in columns
        ]
        for place, *row in zip(places, *numbers, strict=True):
            at = dict(zip(map(str, variable.dims), place, strict=True))
            writer.writerow([*head, *(_cell(at.get(dim, "")) for dim in dims), *map(_cell, row)])
    return text.getvalue()


def _coordinate(record: xr.Dataset, dim: str) -> Any:
    return record[dim].values if dim in record.coords else range(record.sizes[dim])


def _cell(value: Any) -> str:
    """Shortest text that reads back as the same number."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value.item() if isinstance(value, np.bool_) else value)
