"""Tables of any length, some rows at a time, each part read as ``read_table`` reads the whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spikebayes.data.columns import check_width, column_names
from spikebayes.data.delimited import as_frame, delimited_batches
from spikebayes.data.formats import from_arrow, parse, reading, table_format
from spikebayes.data.row_numbers import FIRST_ROW
from spikebayes.data.tables import read_table

BUFFER = 1 << 20  # bytes of a column of a Parquet file


def read_chunks(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """A table's rows, in order, so many at a time; the last part has what is left.

    What errors say of a part's rows counts from the first of the file. A text column may be numbers in one part and
    text in another; what it means to a schema is the same. An NPZ archive and an Excel
    file are in memory as a whole.

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
        for frame in READERS[table_format(path) or ""](path, rows):
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
    with (
        pa.OSFile(os.fsencode(path)) as opened,
        pq.ParquetFile(opened, buffer_size=BUFFER, pre_buffer=False) as file,
    ):
        check_width(len(file.schema_arrow))
        yield from _frames(file.iter_batches(rows, use_threads=False), rows)


def _arrow(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    with pa.memory_map(os.fsencode(path)) as memory, pa.ipc.open_file(memory) as file:
        yield from _frames((file.get_batch(number) for number in range(file.num_record_batches)), rows)


def _frames(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pd.DataFrame]:
    first = 0
    for part in _regrouped(batches, rows):
        yield from_arrow(part, first)
        first += part.num_rows


def _whole(path: Path, rows: int) -> Iterator[pd.DataFrame]:
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


READERS = {"csv": _delimited, "parquet": _parquet, "arrow": _arrow, "npz": _whole, "excel": _whole}
