"""File formats of tables: what a suffix means, and how its bytes become columns and back.

Parsers raise whatever suits them; :func:`reading` turns that into one error.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spikebayes.data.columns import AS_WRITTEN, as_written, check_width, listed, one_line
from spikebayes.data.delimited import read_delimited, write_delimited
from spikebayes.data.workbooks import read_workbook
from spikebayes.errors import DataError

FORMATS = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
    ".feather": "arrow",
    ".arrow": "arrow",
    ".xlsx": "excel",
}
PATTERNS = ", ".join(f"*{suffix}" for suffix in FORMATS)
WRITTEN = ", ".join(
    f"*{suffix}" for suffix, kind in FORMATS.items() if kind != "excel"
)  # which has no such bytes twice

PANDAS_ATTRS = b"PANDAS_ATTRS"  # in the metadata of a Parquet file
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
EXACT = 1 << 53  # up to here float64 holds every whole number

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
    """The format that the file's name stands for: csv, parquet, npz, arrow or excel; None for any other name.

    Example:
        >>> table_format(Path("runs/Train.CSV.gz")), table_format(Path("table.xls"))
        ('csv', None)
    """
    name = path.name.lower()
    return next((kind for suffix, kind in FORMATS.items() if name.endswith(suffix)), None)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Refuse a path that is no table's, and turn whatever its parser finds into one error.

    Raises:
        DataError: an unknown suffix, no file, or one that cannot be read.
    """
    if table_format(path) is None:
        raise DataError(f"cannot read {path}: expected a file named {PATTERNS}")
    if not path.is_file():
        raise DataError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}")
    try:
        yield
    except (DataError, *UNREADABLE) as error:
        raise DataError(f"cannot read {path}: {one_line(error, 200) or type(error).__name__}") from error


def parse(path: Path) -> pd.DataFrame:
    """Read a table whose name has a known suffix.

    Raises:
        DataError: columns that repeat or differ in length, text that is no CSV in UTF-8, arrays that are no columns.
        One of ``UNREADABLE``: whatever the parser finds.
    """
    kind = table_format(path)
    if kind == "csv":
        return read_delimited(path)
    if kind == "npz":
        return _parse_npz(path)
    if kind == "arrow":
        with pa.memory_map(os.fsencode(path)) as file:
            return from_arrow(pa.ipc.open_file(file).read_all())
    if kind == "excel":
        return read_workbook(path)
    with pa.OSFile(os.fsencode(path)) as opened, pq.ParquetFile(opened) as file:
        check_width(len(file.schema_arrow))
        return from_arrow(file.read())


def emit(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Write the columns of a table in one or more parts, without the index, to a path with a known suffix.

    The same table in the same parts gives the same bytes: no clock and no file name goes in.

    Raises:
        DataError: text that not every format gives back.
    """
    for frame in frames:
        _check_text(frame)
    kind = table_format(path)
    if kind in ("parquet", "arrow"):
        try:
            _emit_arrow(frames, path, pq.ParquetWriter if kind == "parquet" else pa.ipc.new_file)
        except (pa.ArrowException, ValueError) as error:
            said = one_line(" ".join(map(str, reversed(error.args))), 200)
            name = "Parquet" if kind == "parquet" else "Arrow"
            raise DataError(f"{name} takes one kind of values in a column: {said}; write them as text") from error
    elif kind == "npz":
        _emit_npz(pd.concat(frames), path)
    else:
        write_delimited(frames, path)


def from_arrow(table: pa.Table, first: int = 0) -> pd.DataFrame:
    """The table of pandas' that was stored; its named index becomes columns, and no whole number is rounded.

    Args:
        table: some rows of it.
        first: how many come before them.
    """
    check_width(table.num_columns)
    frame = _numbered(table, first).to_pandas(use_threads=False)
    frame = frame.reset_index([name for name in frame.index.names if name is not None])
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    for position, name in enumerate(frame.columns):
        at = table.schema.get_field_index(name)  # -1 where names repeat
        if at >= 0 and frame.dtypes.iloc[position] == np.float64 and _loses(table.column(at)):
            frame.isetitem(position, table.column(at).to_pandas(types_mapper=NULLABLE.get).array)
    frame.attrs = json.loads((table.schema.metadata or {}).get(PANDAS_ATTRS, b"{}"))
    return frame


def _loses(column: pa.ChunkedArray) -> bool:
    """Whether whole numbers with gaps, of which pandas makes float64, would not all be told apart then."""
    if column.type not in NULLABLE or not column.null_count:
        return False
    ends = pc.call_function("min_max", [column]).as_py().values()
    return any(end is not None and abs(end) > EXACT for end in ends)


def _numbered(part: pa.Table, first: int) -> pa.Table:
    """A part with those numbers of an index of rows that is not stored, but told of, that are its own."""
    metadata = part.schema.metadata or {}
    told = json.loads(metadata.get(b"pandas", b"{}"))
    for index in told.get("index_columns", ()):
        if isinstance(index, dict):
            index["start"] += first * index["step"]
            index["stop"] = index["start"] + part.num_rows * index["step"]
    return part.replace_schema_metadata({**metadata, b"pandas": json.dumps(told)}) if told else part


def _emit_arrow(frames: Iterable[pd.DataFrame], path: Path, writer_of: Callable[..., Any]) -> None:
    """A group of rows for each part. Of the attrs, which may be more than JSON can hold, one is written."""
    with ExitStack() as stack:
        writer, file = None, stack.enter_context(pa.OSFile(os.fsencode(path), "wb"))  # whose name may be no text
        for frame in frames:
            bare = frame.copy(deep=False)
            bare.attrs = {AS_WRITTEN: True} if as_written(frame) else {}
            table = pa.Table.from_pandas(bare, preserve_index=False)
            told = {PANDAS_ATTRS: json.dumps(bare.attrs)} if bare.attrs else {}
            table = table.replace_schema_metadata({**table.schema.metadata, **told})
            writer = writer or stack.enter_context(writer_of(file, table.schema))
            writer.write_table(table)


def _check_text(frame: pd.DataFrame) -> None:
    """Refuse text that is no Unicode, and NUL characters: not every format gives them back."""
    for name, dtype in frame.dtypes.items():
        text = [] if pd.api.types.is_numeric_dtype(dtype) else [cell for cell in frame[name] if isinstance(cell, str)]
        every = "".join([str(name), *text])
        if "\0" in every or every != every.encode(errors="ignore").decode():
            raise DataError(f"column {name!r} holds NUL or incomplete characters; remove them")


def _parse_npz(path: Path) -> pd.DataFrame:
    if not zipfile.is_zipfile(path):
        raise DataError("it is not an NPZ archive")
    names: list[str] = []
    columns: list[np.ndarray] = []
    # opened here: given a path, numpy leaves the file of a torn archive open
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            array = archive[name]
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufUSmM":
                raise DataError(f"{name!r} is not an array of numbers or text")
            if name == "X" and array.ndim == 2:
                check_width(array.shape[1])
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
    """The column as a NumPy array that needs no pickling: numbers, or text with "" where it is missing.

    Whole numbers with gaps that float64 would round are text too.
    """
    kept = pd.api.types.is_numeric_dtype(column.dtype)
    if kept and column.dtype in NULLABLE.values() and column.isna().any():
        kept = bool(column.between(-EXACT, EXACT).all())
    if not kept:
        return np.array(["" if gone else str(value) for value, gone in zip(column, column.isna(), strict=True)], str)
    array = column.to_numpy()
    return column.to_numpy(np.float64, na_value=np.nan) if array.dtype.kind == "O" else array
