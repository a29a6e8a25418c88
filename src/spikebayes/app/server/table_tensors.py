"""A run's columns as tensors of the protocol, and tensors as the table that a run reads.

Numbers alone are one tensor, ``input``, ``[B, F]`` in the order of the features. Where text is among them
(labels, dates, numbers with a percent sign) every column is a tensor of its own name, ``[B]`` or ``[B, 1]``. A client
may send either, as long as no column of text gets numbers; ``input`` may be BYTES too, cells as a CSV file has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from spikebayes.app.server.tensors import TEXT, datatype_of
from spikebayes.data.cells import number
from spikebayes.data.columns import listed
from spikebayes.data.kinds import Column, Levels, Number, TargetEncoded
from spikebayes.data.schema import TableSchema
from spikebayes.errors import DataError

MATRIX = "input"
HELD = "labels, dates or percent signs"


def tensor_entry(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    """What metadata say of a tensor; -1 is a size that varies."""
    return {"name": name, "datatype": datatype, "shape": shape}


def input_entries(schema: TableSchema) -> list[dict[str, Any]]:
    """What metadata say of a run's inputs.

    Example:
        >>> from spikebayes.prediction.task import Task
        >>> input_entries(TableSchema({"a": Number(), "b": Number()}, {"y": Number()}, Task.REGRESSION))
        [{'name': 'input', 'datatype': 'FP32', 'shape': [-1, 2]}]
    """
    columns = {name: schema.columns[name] for name in schema.features}
    if all(map(_takes_numbers, columns.values())):
        return [tensor_entry(MATRIX, datatype_of(_row(schema)), [-1, len(columns)])]
    types = {n: datatype_of(_row(schema)) if _is_number(c) else TEXT for n, c in columns.items()}
    return [tensor_entry(name, datatype, [-1]) for name, datatype in types.items()]


def from_raw(content: bytes, schema: TableSchema) -> np.ndarray:
    """``[B, F]``, a raw body: the bytes of ``input`` alone.

    Raises:
        DataError: the run takes other inputs, or these are no whole rows.
    """
    row = _row(schema)
    if not all(_takes_numbers(schema.columns[name]) for name in schema.features):
        raise DataError(f"a raw body can hold only numbers, and this run has columns of {HELD}: send JSON")
    if not content or len(content) % row.nbytes:
        told = f"{len(row)} features, {datatype_of(row)}, {row.nbytes} bytes"
        raise DataError(f"a raw body holds rows of {told} each; got {len(content)} bytes")
    return np.frombuffer(content, row.dtype).reshape(-1, len(row))


def as_table(inputs: Mapping[str, np.ndarray], schema: TableSchema) -> pd.DataFrame:
    """The table that tensors hold; what else is wrong with it, its encoding says.

    Raises:
        DataError: another shape, or numbers for a column of text, or too coarse ones.

    Example:
        >>> from spikebayes.prediction.task import Task
        >>> schema = TableSchema({"a": Number(), "b": Levels(("x", "y"))}, {"y": Number()}, Task.REGRESSION)
        >>> as_table({"b": np.array(["x"], object), "a": np.ones((1, 1))}, schema).to_dict("list")
        {'b': ['x'], 'a': [1.0]}
    """
    features = list(schema.features)
    if not inputs:
        raise DataError(
            f"the request has no inputs; send {MATRIX!r} [B, {len(features)}], or each column by its name"
        )
    if list(inputs) == [MATRIX] != features:
        matrix = inputs[MATRIX]
        if matrix.ndim != 2 or matrix.shape[1] != len(features):
            named = listed(map(repr, features))
            raise DataError(
                f"{MATRIX!r} must be [B, {len(features)}], the columns {named} in this order; got "
                f"{list(matrix.shape)}"
            )
        columns = dict(zip(features, matrix.T, strict=True))
    else:
        columns = {name: _column(name, values) for name, values in inputs.items()}
        if len({len(values) for values in columns.values()}) > 1:
            counts = listed(f"{name!r} {len(values)}" for name, values in columns.items())
            raise DataError(f"all columns must have equally many rows; got {counts}")
    for name, dtype in {name: columns[name].dtype for name in features if name in columns}.items():
        column = schema.columns[name]
        if dtype.kind in "iuf" and not _takes_numbers(column):
            raise DataError(
                f"column {name!r} holds {HELD}, and numbers came for it: send every column as an input of "
                f"its own name, [B], this one as {TEXT}"
            )
        if dtype.kind == "f" and dtype.itemsize < 8 and isinstance(column, Number) and column.offset:
            raise DataError(
                f"column {name!r} lies so far from 0 that {datatype_of(columns[name])} does not tell its values "
                "apart: send FP64"
            )
    return pd.DataFrame(columns)


def _row(schema: TableSchema) -> np.ndarray:
    """A row of zeros, of the type that tells its numbers apart."""
    far = any(isinstance(column, Number) and column.offset for column in schema.columns.values())
    return np.zeros(len(schema.features), np.float64 if far else np.float32)


def _takes_numbers(column: Column) -> bool:
    """Whether a column's values can be numbers."""
    if isinstance(column, Levels | TargetEncoded):
        return any(number(level) is not None for level in column.levels)
    return _is_number(column)


def _is_number(column: Column) -> bool:
    """Whether it is of bare numbers; those that had a percent sign in training are text, which says so again."""
    return isinstance(column, Number) and not column.percent


def _column(name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim == 0 or values.size != len(values):
        raise DataError(f"the column {name!r} must be [B] or [B, 1]; got {list(values.shape)}")
    return values.reshape(-1)
