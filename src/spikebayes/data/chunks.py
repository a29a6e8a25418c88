"""Tables of any length, some rows at a time, each part read as ``read_table`` reads the whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spikebayes.data.columns import FIRST_ROW, check_width, column_names
from spikebayes.data.delimited import as_frame, delimited_batches
from spikebayes.data.formats import PANDAS_ATTRS, parse, reading, table_format
from spikebayes.data.tables import read_table

BUFFER = 1 << 20  # bytes of a column of a Parquet file


def read_chunks(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """A table's rows, in order, so many at a time; the last part has what is left.

    What errors say of a part's rows counts from the first of the file. A text column may be numbers in one part and
    text in another; what it means to a schema is the same. An NPZ archive is in memory as a whole.

    Raises:
        DataError: as :func:`spikebayes.data.tables.read_table`; of rows when it is their turn.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "t.csv"
        >>> _ = path.write_text("a\\n1\\n2\\n3\\n")
        >>> [part["a"].tolist() for part in read_chunks(path, 2)]
        [[1, 2], [3]]
    """
    first = 0
    with reading(path):
        for frame in {"csv": _delimited, "parquet": _parquet, "npz": _npz}[table_format(path) or ""](path, rows):
            column_names(frame)
            if first:
                frame.attrs[FIRST_ROW] = first
            first += len(frame)
            yield frame
    if not first:
        read_table(path)  # says what is wrong


def _delimited(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    names, batches = delimited_batches(path)
    return (as_frame(part, names) for part in _regrouped(batches, rows))


def _parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
        check_width(len(file.schema_arrow))
        first = 0
        for part in _regrouped(file.iter_batches(rows, use_threads=False), rows):
            frame = _numbered(part, first).to_pandas(use_threads=False)
            first += len(frame)
            frame = frame.reset_index([name for name in frame.index.names if name is not None])
            frame.attrs = json.loads((part.schema.metadata or {}).get(PANDAS_ATTRS, b"{}"))
            yield frame.set_axis([str(name) for name in frame.columns], axis=1)


def _npz(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    whole = parse(path)
    return (whole.iloc[first : first + rows].copy() for first in range(0, len(whole), rows))


def _regrouped(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows, so many at a time."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        while (held := sum(part.num_rows for part in waiting)) >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows)
            waiting = table.slice(rows).to_batches() if held > rows else []
    if any(part.num_rows for part in waiting):
        yield pa.Table.from_batches(waiting)


def _numbered(part: pa.Table, first: int) -> pa.Table:
    """A part with those numbers of an index of rows that is not stored, but told of, that are its own."""
    metadata = part.schema.metadata or {}
    told = json.loads(metadata.get(b"pandas", b"{}"))
    for index in told.get("index_columns", ()):
        if isinstance(index, dict):
            index["start"] += first * index["step"]
            index["stop"] = index["start"] + part.num_rows * index["step"]
    return part.replace_schema_metadata({**metadata, b"pandas": json.dumps(told)}) if told else part
