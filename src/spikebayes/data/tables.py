"""Tables: read and written whole, and turned into a model's inputs and targets.

``infer_schema`` looks at the training table once; every later table is encoded by that schema, its columns
matched by name. Anything off is refused here, before any work, with the column and the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spikebayes.data.cells import AMOUNTS, MISSING, cure, number
from spikebayes.data.columns import (
    COLUMNS,
    as_written,
    checked_columns,
    column_names,
    distinct_labels,
    holds_values,
    is_numeric,
    level_indices,
    listed,
    one_line,
    rows_before,
    to_labels,
)
from spikebayes.data.formats import PATTERNS, emit, parse, reading, table_format
from spikebayes.data.schema import TableSchema
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import near
from spikebayes.machine.files import atomic, check_writable
from spikebayes.machine.memory import check_size
from spikebayes.noise.philox import split_seed
from spikebayes.prediction.predictive import Task

LEVELS = 1000  # of a column; with more, most are met too rarely to be learned. As many classes as ImageNet has
ENTRIES = 1 << 28  # of the encoded table, 1 GiB in float32; training holds it about six times
CENTRED = 1000  # times its spread a column's mean may be: float32 then rounds by 6e-5 of the spread


@checked
def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV (also gzipped, or tab-separated), Parquet or NPZ table; the suffix says which.

    A column of a CSV is text as it was written, NA and 01 too, or numbers where Python writes them just so. What it
    means is decided later, by a schema. The named levels of a Parquet file's index become columns.

    An NPZ file holds 1-D arrays by column name, or a 2-D ``X`` [B, F] that becomes the columns
    ``x0 .. x{F-1}``; all of one length. Objects that need unpickling are refused.

    Raises:
        DataError: unknown suffix; a file that is missing or cannot be read; no rows or no columns;
            columns without a name, or two of one name.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "t.csv"
        >>> write_table(pd.DataFrame({"x": [1, 2], "y": [0.5, 1.5]}), path)
        >>> read_table(path)["y"].tolist()
        [0.5, 1.5]
    """
    path = Path(path)
    with reading(path):
        frame = parse(path)
        column_names(frame)
    if frame.empty:
        raise DataError(f"cannot read {path}: it has {len(frame.columns)} columns and no rows")
    return frame


def check_table_path(path: str | Path) -> None:
    """Refuse an output path whose suffix names no table format, or that cannot be written, before any work.

    Raises:
        ConfigError: unknown suffix, or a folder that is missing or not writable.
    """
    path = Path(path)
    if table_format(path) is None:
        raise ConfigError(f"cannot write {path}: name the file {PATTERNS}")
    check_writable(path)


@checked
def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table, whole or not at all, in the format its suffix names; a named index becomes a column.

    The same table gives the same bytes. NPZ knows no missing text: it is written as empty text.

    Raises:
        ConfigError: unknown suffix, or a path that cannot be written.
        DataError: no column, or columns without a name or two of one name.
    """
    write_parts([frame.reset_index() if frame.index.name is not None else frame], Path(path))


def write_parts(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Write a table that comes in parts, which are gone through more than once, and of which one is in memory.

    A Parquet file has a group of rows for each of them; NPZ alone is put together before it is written.

    Raises:
        ConfigError, DataError: as :func:`write_table`.
    """
    check_table_path(path)
    for frame in frames:
        column_names(frame)
    with atomic(path) as partial:
        emit(frames, partial)


@checked
def infer_schema(
    frame: pd.DataFrame, target: str, categorical: Sequence[str] = (), task: Task | None = None
) -> TableSchema:
    """What the training table's columns mean: features, levels, target and classes.

    Every column but the target is a feature, in the table's order. Without a task, a target of numbers
    means regression and any other (text, booleans, categories) classification.

    Args:
        frame: B >= 2 rows, no missing values.
        target: the column to predict.
        categorical: the features that hold labels, not numbers.
        task: the task, or None to read it from the target.

    Raises:
        DataError: a named column that the table lacks; no feature; fewer than 2 rows; text among numbers;
            missing, NaN or infinite values; more than :data:`LEVELS` levels or classes; a target with a single value.

    Example:
        >>> frame = pd.DataFrame({"size": [1.0, 2.0], "color": ["red", "blue"], "price": [3.0, 4.0]})
        >>> infer_schema(frame, "price", categorical=["color"]).input_names
        ('size', 'color=blue', 'color=red')
    """
    names = column_names(frame)
    if target not in names:
        known = listed(map(repr, names), 20)
        raise DataError(f"no target column {target!r}{near(target, names)}; the columns are {known}")
    for name in categorical:
        if name == target:
            raise DataError(f"the target {name!r} cannot be a categorical feature; for classes, choose the task")
        if name not in names:
            raise DataError(f"no categorical column {name!r}{near(name, names)}")
    features = tuple(name for name in names if name != target)
    if not features:
        raise DataError(f"no feature is left: {target!r}, the target, is the table's only column")
    if len(frame) < 2:
        raise DataError(f"the table has {'one row' if len(frame) else 'no rows'}; training needs at least 2")
    task = _read_task(frame, target) if task is None else task
    labelled = [name for name in features if name in categorical]
    numeric = [name for name in features if name not in categorical]
    (numeric if task is Task.REGRESSION else labelled).append(target)
    hint = "list a column of categories under --categorical; a target of labels needs the classification task"
    columns = checked_columns(frame, numeric, labelled, hint)
    levels = {name: distinct_labels(columns[name]) for name in labelled}
    for name, found in levels.items():
        if len(found) > LEVELS:
            way = "group them, or predict a number (--task regression)" if name == target else "drop it or group them"
            what = "classes" if name == target else "levels"
            raise DataError(f"column {name!r} has {len(found)} {what}; at most {LEVELS} can be learned: {way}")
    if len(set(columns[target].tolist())) < 2:
        raise DataError(f"the target {target!r} is constant ({columns[target][0]} on every row): nothing to learn")
    classes = levels.pop(target, ())
    offsets = {name: float(columns[name].mean()) for name in numeric if _far_from_zero(columns[name])}
    values = tuple(name for name in labelled if holds_values(frame, name))
    return TableSchema(features, levels, target, task, classes, offsets, values)


@checked
def encode_features(frame: pd.DataFrame, schema: TableSchema) -> Tensor:
    """The model's inputs: numbers, less the schema's offset, and each level of a categorical column a 0/1 input.

    Args:
        frame: a table of B rows with the schema's features, in any order; other columns are ignored.
        schema: of the training table.

    Returns:
        ``[B, F]`` float32, in the order of ``schema.input_names``.

    Raises:
        DataError: a missing column; a level that training never met; text among numbers; missing, NaN or
            infinite values (what exceeds float32 counts as infinite); no rows, or more than memory is meant to hold.

    Example:
        >>> schema = TableSchema(("size", "color"), {"color": ("blue", "red")}, "price", Task.REGRESSION, ())
        >>> encode_features(pd.DataFrame({"color": ["red"], "size": [2]}), schema).tolist()
        [[2.0, 0.0, 1.0]]
    """
    names = column_names(frame)
    found = set(names)
    missing = [name for name in schema.features if name not in found]
    if missing:
        lacking = listed(repr(name) + near(name, names) for name in missing)
        raise DataError(f"the table lacks {len(missing)} of the model's {len(schema.features)} columns: {lacking}")
    if not len(frame):
        raise DataError("the table has no rows")
    width = len(schema.input_names)
    if width > COLUMNS or len(frame) * width > ENTRIES:
        raise DataError(
            f"{len(frame)} rows of {width} inputs (levels of categories count) are too many; at most {COLUMNS} "
            f"inputs, and {ENTRIES // width} such rows: drop columns, group levels, or split the table"
        )
    numeric = [name for name in schema.features if name not in schema.categories]
    hint = "the model was trained on numbers there"
    columns = checked_columns(frame, numeric, list(schema.categories), hint)
    x = np.zeros((len(frame), len(schema.input_names)), dtype=np.float32)
    at = 0
    for name in schema.features:
        levels = schema.categories.get(name)
        if levels is None:
            x[:, at] = columns[name] - schema.offsets.get(name, 0.0)
        else:
            values = name in schema.values or holds_values(frame, name)
            x[np.arange(len(x)), at + level_indices(name, columns[name], levels, values, rows_before(frame))] = 1
        at += 1 if levels is None else len(levels)
    return torch.from_numpy(x)


@checked
def encode_target(frame: pd.DataFrame, schema: TableSchema) -> Tensor:
    """The target in the form the losses and scores take.

    Returns:
        ``[B, 1]`` float32 for regression, less the schema's offset; ``[B]`` int64 class indices for classification.

    Raises:
        DataError: no target column; a label that training never met; text among numbers; missing, NaN or
            infinite values.
    """
    names = column_names(frame)
    name = schema.target
    if name not in names:
        raise DataError(f"the table has no target column {name!r}{near(name, names)}")
    if schema.task is Task.CLASSIFICATION:
        labels = checked_columns(frame, [], [name], "")[name]
        values = name in schema.values or holds_values(frame, name)
        return torch.from_numpy(level_indices(name, labels, schema.classes, values, rows_before(frame)))
    values = checked_columns(frame, [name], [], "the model predicts a number")[name]
    return torch.from_numpy((values - schema.offsets.get(name, 0.0)).astype(np.float32)[:, None])


@checked
def split_rows(rows: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Row indices for training and for validation: disjoint, together all rows, at least one in each.

    Args:
        rows: number of rows.
        fraction: share of the rows kept for validation, in (0, 1).
        seed: the same seed gives the same split.

    Returns:
        Two ascending int64 tensors: training rows, validation rows.

    Raises:
        DataError: fewer than 2 rows.
        ConfigError: a fraction outside (0, 1), or a seed outside [0, 2^64).

    Example:
        >>> train, validation = split_rows(10, 0.2, seed=0)
        >>> len(train), len(validation)
        (8, 2)
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"the validation share must lie in (0, 1); got {fraction}")
    if rows < 2:
        raise DataError(f"{rows} rows cannot be split into training and validation; at least 2 are needed")
    check_size("a table's rows", rows)
    held = min(max(round(rows * fraction), 1), rows - 1)
    split_seed(seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(rows))
    return order[held:].sort().values, order[:held].sort().values


def _far_from_zero(values: np.ndarray) -> bool:
    """Whether float32 would lose what tells the values apart."""
    return bool(abs(values.mean()) > CENTRED * values.std())


def _read_task(frame: pd.DataFrame, target: str) -> Task:
    """Regression for numbers, classification for labels; a few words among numbers are neither."""
    column = pd.Series(frame[target])
    if is_numeric(column):
        return Task.REGRESSION
    known = {row: label for row, label in enumerate(to_labels(column)) if (label or "").casefold() not in MISSING}
    words = [row for row, label in known.items() if number(label) is None]
    if words:
        value, labels = column.iloc[words[0]], "for labels name the task (--task classification)"
        found, how = f"row {words[0] + 1}: {one_line(repr(value))}", cure(value)
        if len(words) < len(known):
            raise DataError(
                f"the target {target!r} mixes numbers and text ({found}); {how or 'correct it'}, or {labels}"
            )
        if how in AMOUNTS:
            raise DataError(f"the target {target!r} holds no plain numbers ({found}); {how}; {labels}")
    return Task.CLASSIFICATION if words or not as_written(frame) else Task.REGRESSION
