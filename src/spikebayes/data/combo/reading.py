"""Text tables of published data: found by name, read whole, every fault one DataError that names the file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.errors import EmptyDataError, ParserWarning

from spikebayes.data.columns import listed, one_line, repeated
from spikebayes.data.formats import UNREADABLE
from spikebayes.errors import DataError
from spikebayes.machine.choices import near

MISSING = ("na", "-")  # beside what pandas takes for missing: NA, NaN, null, empty


def find(name: str, folders: Sequence[Path]) -> Path:
    """The file ``name``, or gzipped ``name.gz``, in the first of the folders that has it.

    Raises:
        DataError: none has it; the message says where it was looked for.
    """
    for folder in folders:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise DataError(f"no {name} or {name}.gz in {listed(map(str, folders))}")


def read(path: Path, sep: str, text: Sequence[str], only: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table in UTF-8 (a byte-order mark is skipped), gzipped if its name ends so.

    Args:
        path: the file.
        sep: what separates columns.
        text: columns to keep as text; they must be there.
        only: the other columns to read, which must be there; None reads all.

    Raises:
        DataError: a file that is torn, empty, not UTF-8 or without rows; a missing, blank or repeated column.
    """
    try:
        return _read(path, sep, text, only)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: it is not in UTF-8 ({one_line(error, 100)})") from error
    except EmptyDataError as error:
        raise DataError(f"{path}: the file is empty") from error
    except (ParserWarning, *UNREADABLE) as error:
        reason = one_line(error, 200) or type(error).__name__
        raise DataError(f"{path}: torn, or no such table ({reason}); fetch it anew") from error


def _read(path: Path, sep: str, text: Sequence[str], only: Sequence[str] | None) -> pd.DataFrame:
    # the header alone first: pandas renames repeated and blank column names, which would hide them
    head = pd.read_csv(path, sep=sep, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    names = [str(name) for name in head.iloc[0]]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: column names must differ; repeated: {listed(map(repr, repeated(names)))}")
    if not all(name.strip() for name in names):
        raise DataError(f"{path}: column {[not name.strip() for name in names].index(True) + 1} has no name")
    lacking = [name for name in (*text, *(only or ())) if name not in names]
    if lacking:
        raise DataError(f"{path}: no column {listed(f'{name!r}{near(name, names)}' for name in lacking)}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ParserWarning)
        frame = pd.read_csv(
            path,
            sep=sep,
            header=0,
            names=names,
            index_col=False,
            usecols=None if only is None else [*text, *only],
            dtype=dict.fromkeys(text, str),
            na_values=list(MISSING),
            encoding="utf-8-sig",
            low_memory=False,
        )
    if frame.empty:
        raise DataError(f"{path}: it has {len(names)} columns and no rows")
    return frame


def keys(frame: pd.DataFrame, column: str, path: Path) -> list[str]:
    """A column of names, stripped; every row has one.

    Raises:
        DataError: rows without a name.
    """
    values = pd.Series(frame[column]).fillna("").str.strip().tolist()
    blank = [row for row, value in enumerate(values, start=1) if not value]
    if blank:
        raise DataError(f"{path}: {len(blank)} of {len(values)} rows have no {column} (first: row {blank[0]})")
    return values


def check_distinct(names: Sequence[str], what: str, path: Path) -> None:
    """Refuse names that occur twice.

    Raises:
        DataError: with how many do, and the first ones.
    """
    twice = repeated(names)
    if twice:
        raise DataError(f"{path}: {len(twice)} of {len(set(names))} {what} occur more than once: {listed(twice)}")


def numbers(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> np.ndarray:
    """The named columns as ``[rows, columns]`` float64, NaN where a value is missing.

    Raises:
        DataError: text among the numbers; numbers that are infinite, or become so in float32.
    """
    values = np.full((len(frame), len(columns)), np.nan)  # [rows, columns]
    texts: list[str] = []
    for position, name in enumerate(columns):
        column = pd.Series(frame[name])
        if column.dtype.kind not in "iuf":
            given = column
            column = pd.Series(pd.to_numeric(given.where(given.isna(), given.astype(str)), errors="coerce"))
            bad = np.flatnonzero(column.isna() & given.notna())
            texts += [f"{one_line(repr(str(given.iloc[row])))} in column {name!r}, row {row + 1}" for row in bad]
        values[:, position] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if texts:
        raise DataError(f"{path}: {len(texts)} values are not numbers: {listed(texts, 2)}")
    huge = np.argwhere(np.abs(values) > np.finfo(np.float32).max)
    if len(huge):
        row, position = huge[0]
        where = f"column {columns[position]!r}, row {row + 1}"
        raise DataError(f"{path}: {len(huge)} values are infinite or beyond float32 (first: {where})")
    return values
