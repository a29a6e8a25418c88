"""Tables: read and written whole, and split into rows to train on and rows held out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spikebayes.data.columns import column_names
from spikebayes.data.formats import WRITTEN, emit, parse, reading, table_format
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.files import atomic, check_writable
from spikebayes.machine.memory import check_size
from spikebayes.noise.philox import split_seed


@checked
def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV (also gzipped, or tab-separated), Parquet, Arrow (Feather), Excel or NPZ table, as its suffix says.

    A column of a CSV is kept as text, NA and 01 included, unless its numbers are written exactly as Python writes
    them. What it means is decided later, by a schema. The named levels of an index in a Parquet or Arrow file become
    columns. From an Excel file the first sheet is read, with openpyxl, which ``spikebayes[table]`` installs.

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
    if table_format(path) in (None, "excel"):
        raise ConfigError(f"cannot write {path}: name the file {WRITTEN}")
    check_writable(path)


@checked
def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table, whole or not at all, in the format its suffix names; a named index becomes a column.

    The same table gives the same bytes. NPZ has no missing text: it is written as empty text.

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
