"""Tables turned into a model's inputs and targets, by the schema of the training table.

Columns are matched by name. What cannot be used is refused here, before any work, with the column and the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spikebayes.data.columns import (
    COLUMNS,
    NAMED,
    NO_HEADER,
    as_written,
    checked_labels,
    checked_numbers,
    column_names,
    holds_values,
    level_indices,
    listed,
    one_line,
)
from spikebayes.data.dates import Date
from spikebayes.data.kinds import Column, Levels, Number, TargetEncoded
from spikebayes.data.row_numbers import numbering
from spikebayes.data.schema import TableSchema
from spikebayes.errors import DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.bars import joined
from spikebayes.machine.choices import near
from spikebayes.prediction.task import Task

ENTRIES = 1 << 28  # of the encoded table, 1 GiB in float32; training holds it about six times


@checked
def encode_features(frame: pd.DataFrame, schema: TableSchema) -> Tensor:
    """The model's inputs, column by column as the schema says.

    Args:
        frame: a table of B rows with the schema's features, in any order; other columns are ignored.
        schema: of the training table.

    Returns:
        ``[B, F]`` float32, in the order of ``schema.input_names``.

    Raises:
        DataError: a missing column; text among numbers or dates; percent signs, currencies or time zones other than
            in training; infinite values (what exceeds float32 counts as such); missing values under a schema of an
            earlier version, which refused them; no rows, or too many for memory.

    Example:
        >>> from spikebayes.data.kinds import Levels, Number
        >>> columns = {"size": Number(fill=3.0), "color": Levels(("blue", "red"))}
        >>> schema = TableSchema(columns, {"price": Number()}, Task.REGRESSION)
        >>> encode_features(pd.DataFrame({"color": ["red", "pink"], "size": [2, None]}), schema).tolist()
        [[2.0, 0.0, 1.0], [3.0, 0.0, 0.0]]
    """
    return _encoded(frame, schema)[0]


@checked
def outside_training(frame: pd.DataFrame, schema: TableSchema) -> tuple[str, ...]:
    """For each row, the columns whose value lies outside what the model was trained on, joined by ``|``.

    A bar within a name is written ``\\|``, and a backslash twice, as in sets of classes.

    Outside are a number or a date beyond the smallest or largest of the training rows by more than 5 % of their
    range, a level that they do not have, and a missing value where they have none.

    Args:
        frame, schema: as for :func:`encode_features`.

    Returns:
        B texts, empty for rows with no such column.

    Raises:
        DataError: as :func:`encode_features`.

    Example:
        >>> from spikebayes.data.kinds import Levels, Number
        >>> columns = {"size": Number(low=0.0, high=10.0, fill=3.0), "color": Levels(("blue", "red"))}
        >>> schema = TableSchema(columns, {"price": Number()}, Task.REGRESSION)
        >>> outside_training(pd.DataFrame({"color": ["red", "pink"], "size": [10.4, 11]}), schema)
        ('', 'size|color')
    """
    return encode_and_mark(frame, schema)[1]


def encode_and_mark(frame: pd.DataFrame, schema: TableSchema) -> tuple[Tensor, tuple[str, ...]]:
    """:func:`encode_features` and :func:`outside_training` at the price of one."""
    (x, out), names = _encoded(frame, schema), list(schema.features)
    texts = [""] * len(out)
    for row in np.flatnonzero(out.any(1)):
        texts[row] = joined(names[at] for at in np.flatnonzero(out[row]))
    return x, tuple(texts)


def rows_at_once(schema: TableSchema) -> int:
    """How many rows may be encoded together."""
    return ENTRIES // len(schema.input_names)


@checked
def encode_training(frame: pd.DataFrame, schema: TableSchema, seed: int = 0) -> Tensor:
    """The model's inputs on the rows that the schema was learned from, without using a row's own target.

    They differ from :func:`encode_features` where a column is target-encoded: the means of its levels for a row are
    learned from the other rows, in five folds.

    Args:
        frame: the rows, with their targets.
        schema: learned from them.
        seed: of the folds.

    Returns:
        ``[B, F]`` float32.

    Raises:
        DataError: as :func:`encode_features` and :func:`encode_target`.
    """
    x, at = _encoded(frame, schema)[0], 0
    labels = read_columns(frame, {n: c for n, c in schema.columns.items() if isinstance(c, TargetEncoded)})
    y = outcomes(encode_target(frame, schema), schema.task, len(schema.classes))
    for name, column in schema.columns.items():
        width = len(column.inputs(name))
        if isinstance(column, TargetEncoded):
            x[:, at : at + width] = torch.from_numpy(column.cross_fitted(labels[name], y, seed))
        at += width
    return x


@checked
def encode_target(frame: pd.DataFrame, schema: TableSchema) -> Tensor:
    """The targets in the form that losses and scores expect.

    Returns:
        ``[B, T]`` float32 for regression, less the schema's offsets; ``[B]`` int64 class indices for classification.

    Raises:
        DataError: no target column; a label that training never met; text among numbers; percent signs or currencies
            other than in training; missing, NaN or infinite values.
    """
    names = column_names(frame)
    for name in schema.targets:
        if name not in names:
            raise DataError(f"the table has no target column {name!r}{near(name, names)}")
    values = read_columns(frame, schema.targets, needed=tuple(schema.targets), hint="the model predicts a number")
    y = []
    for name, column in schema.targets.items():
        if isinstance(column, Levels):
            return torch.from_numpy(_classes(frame, name, values[name], column))
        y.append(values[name] - column.offset)
    return torch.from_numpy(np.stack(y, 1).astype(np.float32))


def outcomes(y: Tensor, task: Task, classes: int) -> np.ndarray:
    """``[B, K]`` float64 that levels are encoded by: the targets; or 0 and 1 by class, but for the first of two."""
    if task is Task.REGRESSION:
        return y.double().numpy()
    return np.eye(classes)[y.numpy()][:, int(classes == 2) :]


def read_columns(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    needed: tuple[str, ...] = (),
    hint: str = "the model was trained on numbers in it",
) -> dict[str, np.ndarray]:
    """By name, ``[B]`` numbers, NaN where missing; days since 1970 for dates; labels, ``""`` where missing.

    Raises:
        DataError: what a column's kind does not take; see ``columns.py``.
    """
    written = as_written(frame)
    numbered = numbering(frame)
    readers = {
        name: partial(c.read, written=written, numbered=numbered)
        for name, c in columns.items()
        if isinstance(c, Number)
    }
    dates = {
        name: partial(c.read, written=written, numbered=numbered)
        for name, c in columns.items()
        if isinstance(c, Date)
    }
    labels = [name for name, c in columns.items() if isinstance(c, Levels | TargetEncoded)]
    return (
        checked_numbers(frame, readers, hint, needed)
        | checked_numbers(frame, dates, "write dates as 2020-01-31", needed, "a date")
        | checked_labels(frame, labels, needed)
    )


def _encoded(frame: pd.DataFrame, schema: TableSchema) -> tuple[Tensor, np.ndarray]:
    """``[B, F]`` inputs, and ``[B, columns]`` bool where a feature's value is outside."""
    names = column_names(frame)
    found = set(names)
    missing = [name for name in schema.features if name not in found]
    if missing:
        meant = [near(name, names) for name in missing[:NAMED]]  # of a wide table all would take hours
        lacking = listed([*map("{!r}{}".format, missing, meant), *missing[NAMED:]])
        alien = len(missing) == len(schema.features) and not any(meant)
        above = f"; {NO_HEADER}" if alien else ""
        raise DataError(
            f"the table lacks {len(missing)} of the model's {len(schema.features)} columns: {lacking}{above}"
        )
    if not len(frame):
        raise DataError("the table has no rows")
    width = len(schema.input_names)
    if width > COLUMNS or len(frame) > rows_at_once(schema):
        raise DataError(
            f"{len(frame)} rows of {width} inputs (levels of categories count) are too many; at most {COLUMNS} "
            f"inputs, and {rows_at_once(schema)} such rows: drop columns, group levels, or split the table"
        )
    columns = {name: schema.columns[name] for name in schema.features}
    whole = tuple(name for name, column in columns.items() if isinstance(column, Number) and column.fill is None)
    values = read_columns(frame, columns, whole)
    x, out, at = np.zeros((len(frame), width), np.float32), np.zeros((len(frame), len(columns)), bool), 0
    for position, (name, column) in enumerate(columns.items()):
        inputs, out[:, position] = column.encode(values[name], holds_values(frame, name))
        x[:, at : at + inputs.shape[1]] = inputs
        at += inputs.shape[1]
    return torch.from_numpy(x), out


def _classes(frame: pd.DataFrame, name: str, labels: np.ndarray, known: Levels) -> np.ndarray:
    """Class indices ``[B]``; a label that training never met is refused, with the first of its rows."""
    index = level_indices(labels, known.levels, known.values or holds_values(frame, name))
    if (index < 0).any():
        row = int((index < 0).argmax())
        raise DataError(
            f"column {name!r} holds {one_line(repr(labels[row]))} (row {numbering(frame)(row)}), which "
            f"training never met{near(labels[row], known.levels)}; known: {listed(map(repr, known.levels))}"
        )
    return index
