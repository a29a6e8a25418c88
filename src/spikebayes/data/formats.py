"""File formats of tables: what a suffix means, and how its bytes become columns and back.

Parsers raise whatever suits them; :func:`spikebayes.data.tables.read_table` turns that into one error.
"""

from __future__ import annotations

import gzip
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.errors import EmptyDataError, ParserWarning

from spikebayes.data.columns import listed, repeated
from spikebayes.errors import DataError

FORMATS = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
}
PATTERNS = ", ".join(f"*{suffix}" for suffix in FORMATS)

# what the parsers raise on torn or foreign files
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
)


def table_format(path: Path) -> str | None:
    """The format that the file's name stands for: csv, parquet or npz; None for any other name.

    Example:
        >>> table_format(Path("runs/Train.CSV.gz")), table_format(Path("table.xlsx"))
        ('csv', None)
    """
    name = path.name.lower()
    return next((kind for suffix, kind in FORMATS.items() if name.endswith(suffix)), None)


def parse(path: Path) -> pd.DataFrame:
    """Read a table whose name has a known suffix.

    Raises:
        DataError: columns that repeat or differ in length, rows longer than the header, arrays that are
            no columns.
        One of ``UNREADABLE``: whatever the parser finds.
    """
    kind = table_format(path)
    if kind == "csv":
        return _parse_csv(path)
    if kind == "npz":
        return _parse_npz(path)
    frame = pd.read_parquet(path, engine="pyarrow")
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def emit(frame: pd.DataFrame, path: Path) -> None:
    """Write the columns, without the index, to a path with a known suffix.

    The same table gives the same bytes: no clock and no file name goes in.
    """
    kind = table_format(path)
    if kind == "parquet":
        frame.to_parquet(path, engine="pyarrow", index=False)
    elif kind == "npz":
        _emit_npz(frame, path)
    elif path.suffix.lower() == ".gz":
        with path.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
            frame.to_csv(packed, mode="wb", index=False, lineterminator="\n")
    else:
        frame.to_csv(path, sep=_separator(path), index=False, lineterminator="\n")


def _separator(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _parse_csv(path: Path) -> pd.DataFrame:
    sep = _separator(path)
    try:
        # the header alone first: pandas renames repeated and blank column names, which would hide them
        header = pd.read_csv(path, sep=sep, header=None, nrows=1, dtype=str, keep_default_na=False)
    except EmptyDataError as error:
        raise DataError("the file is empty") from error
    names = [str(name) for name in header.iloc[0]]
    if len(set(names)) < len(names):
        raise DataError(f"column names must differ; repeated: {listed(map(repr, repeated(names)))}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ParserWarning)
        try:
            # index_col=False: else pandas takes the first column of rows that are too long for an index
            return pd.read_csv(path, sep=sep, header=0, names=names, index_col=False, low_memory=False)
        except ParserWarning as warning:
            raise DataError(f"rows have more fields than the header, which names {len(names)}") from warning


def _parse_npz(path: Path) -> pd.DataFrame:
    if not zipfile.is_zipfile(path):
        raise DataError("it is no NPZ archive")
    names: list[str] = []
    columns: list[np.ndarray] = []
    # opened here: given a path, numpy leaves the file of a torn archive open
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            array = archive[name]
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufUSmM":
                raise DataError(f"{name!r} is no array of numbers or text")
            if name == "X" and array.ndim == 2:
                names += [f"x{index}" for index in range(array.shape[1])]
                columns += list(array.T)
            elif array.ndim == 1:
                names.append(name)
                columns.append(array)
            else:
                raise DataError(f"expected 1-D columns, or X [B, F]; {name!r} has shape {list(array.shape)}")
    lengths = {name: len(column) for name, column in zip(names, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DataError(f"arrays differ in length: {listed(f'{name!r} {rows}' for name, rows in lengths.items())}")
    frame = pd.DataFrame(dict(enumerate(map(_native, columns))))  # by position: names may still repeat
    return frame.set_axis(names, axis=1)


def _native(array: np.ndarray) -> np.ndarray:
    """The array in this machine's byte order; bytes decoded as UTF-8."""
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8")
    return array.astype(array.dtype.newbyteorder("="))


def _emit_npz(frame: pd.DataFrame, path: Path) -> None:
    # not numpy.savez: it takes columns named "file" for its own argument, and stamps the hour on every entry
    with zipfile.ZipFile(path, "w") as archive:
        for name in frame.columns:
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, _plain(pd.Series(frame[name])), allow_pickle=False)


def _plain(column: pd.Series) -> np.ndarray:
    """The column as a NumPy array that needs no pickling: numbers, or text with "" where it is missing."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return np.array(["" if gone else str(value) for value, gone in zip(column, column.isna(), strict=True)], str)
    array = column.to_numpy()
    return column.to_numpy(np.float64, na_value=np.nan) if array.dtype.kind == "O" else array
