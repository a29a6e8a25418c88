"""Tables as text: UTF-8, one line a row, fields between separators, names in the first line.

A file that is something else is refused with what to do about it. Text stays as it was written: a column becomes
numbers only if these, written as Python does, are its very text, so that it is the same label whether a row stands
alone or among others. Blank lines are no rows, but for those above the last row of a table of one column:
spreadsheets write its empty cells so.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv, read_csv

from spikebayes.data.cells import number
from spikebayes.data.columns import AS_WRITTEN, NO_HEADER, check_width, listed, repeated
from spikebayes.data.spreadsheets import shielded, unshielded
from spikebayes.errors import DataError

TAB = "\t"
SEPARATORS = {",": "commas", ";": "semicolons", "|": "bars", TAB: "tabs"}
BLOCK = 1 << 26  # bytes that are parsed at once, and the longest line
LARGEST = 1 << 32  # bytes of text; it is held in memory while it is parsed
UTF16 = "it is UTF-16 text; save it as UTF-8"
FOREIGN = {
    b"\xff\xfe": UTF16,
    b"\xfe\xff": UTF16,
    b"PK\x03\x04": "it is a workbook or an archive; name it *.xlsx, or save the table as CSV",
    b"\x1f\x8b": "it is compressed with gzip; name it *.csv.gz",
    b"PAR1": "it is a Parquet file; name it *.parquet",
    b"ARROW1": "it is an Arrow file; name it *.arrow",
}


def read_delimited(path: Path) -> pd.DataFrame:
    """Read a .csv, .csv.gz or .tsv file.

    Returns:
        Text, and numbers and booleans where nothing is lost by it; ``attrs`` say that it is as written.

    Raises:
        DataError: another encoding or separator, no header, rows longer or shorter than it, an open quote.
        OSError, EOFError, zlib.error: the file cannot be read or unpacked.
    """
    head = _looked_at(path, LARGEST)
    if not head.rows:
        return pd.DataFrame(columns=head.names)  # pyright: ignore[reportArgumentType]
    with _opened(path) as file, _said_plainly(BLOCK):
        table = read_csv(file, *_options(path, head, BLOCK))
    return as_frame(pa.Table.from_batches(_rows(table.to_batches())), head.names)


def delimited_batches(path: Path, block: int = 1 << 24) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    """The names of the columns, and the rows, some at a time, as text; see :func:`as_frame`.

    Args:
        path: of a .csv, .csv.gz or .tsv file of any size.
        block: bytes that are parsed at once.

    Raises:
        As :func:`read_delimited`; some of it when the rows are taken.
    """
    head = _looked_at(path, None)

    def batches() -> Iterator[pa.RecordBatch]:
        with _opened(path) as file, _said_plainly(block):
            yield from _rows(open_csv(file, *_options(path, head, block)))

    return head.names, batches() if head.rows else iter(())


def as_frame(table: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    """Columns of text as what they say, see :func:`read_delimited`."""
    columns = {position: _narrowed(column.to_pylist()) for position, column in enumerate(table.columns)}
    frame = pd.DataFrame(columns).set_axis([unshielded(name) for name in names], axis=1)
    frame.attrs[AS_WRITTEN] = True
    return frame


class _Head(NamedTuple):
    """What the first lines of a file say."""

    names: list[str]
    rows: bool  # whether there are any
    above: int  # blank lines before the names

    @property
    def alone(self) -> bool:
        """Whether there is one column only, so that a blank line may be its empty cell."""
        return len(self.names) == 1


def _looked_at(path: Path, largest: int | None) -> _Head:
    """The first lines of a file that is text throughout."""
    return _header(path, separator_of(path), quoted=_check_text(path, largest))


def _options(path: Path, head: _Head, block: int) -> tuple[ReadOptions, ParseOptions, ConvertOptions]:
    """Arrow's, to read every cell as text; null stands for the blank lines of a column that is alone."""
    texts = dict.fromkeys(head.names, pa.string())
    return (
        ReadOptions(use_threads=False, block_size=block, skip_rows=head.above if head.alone else 0),
        ParseOptions(delimiter=separator_of(path), newlines_in_values=True, ignore_empty_lines=not head.alone),
        ConvertOptions(
            column_types=texts, null_values=[""], strings_can_be_null=head.alone, quoted_strings_can_be_null=False
        ),
    )


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, empty text for each blank line, without the blank lines after the last row."""
    blank: list[pa.RecordBatch] = []  # rows, unless no other comes after them
    for batch in batches:
        written = np.flatnonzero(batch.column(0).is_valid())
        last = int(written[-1]) + 1 if len(written) else 0
        if last:
            yield from (_filled(part) for part in (*blank, batch.slice(0, last)))
            blank.clear()
        if last < batch.num_rows:
            blank.append(batch.slice(last))


def _filled(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pc.fill_null(column, "") for column in batch.columns], schema=batch.schema)


@contextmanager
def _said_plainly(block: int) -> Iterator[None]:
    try:
        yield
    except pa.ArrowInvalid as error:
        raise DataError(_said(str(error), block)) from error


def write_delimited(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Write a .csv, .csv.gz or .tsv file; text that a spreadsheet would run goes behind an apostrophe."""
    bare = any(_bare(frame) for frame in frames)
    quoting = csv.QUOTE_NONNUMERIC if bare else csv.QUOTE_MINIMAL
    how: dict[str, Any] = {"sep": separator_of(path), "index": False, "lineterminator": "\n", "quoting": quoting}
    with ExitStack() as stack:
        file = stack.enter_context(path.open("wb"))
        if path.suffix.lower() == ".gz":
            file = stack.enter_context(gzip.GzipFile("", "wb", mtime=0, fileobj=file))
        for part, frame in enumerate(frames):
            _shielded(frame).to_csv(file, mode="wb", header=not part, **how)


def _texts(frame: pd.DataFrame) -> list[Any]:
    """The columns that are no numbers."""
    return [name for name, dtype in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(dtype)]


def _shielded(frame: pd.DataFrame) -> pd.DataFrame:
    safe = frame.rename(columns=shielded)
    texts = _texts(safe)
    safe[texts] = safe[texts].map(shielded, na_action="ignore")
    return safe


def _bare(frame: pd.DataFrame) -> bool:
    """Whether the writer leaves bare what a reader takes for the end of a line or for a byte order mark."""
    every = [*map(str, frame.columns), *(str(cell) for name in _texts(frame) for cell in frame[name])]
    return any("\r" in text or "\ufeff" in text for text in every)


def separator_of(path: Path) -> str:
    """The separator that the file's name stands for."""
    return TAB if path.suffix.lower() == ".tsv" else ","


def _opened(path: Path) -> BinaryIO:
    packed = path.suffix.lower() == ".gz"
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")


def _check_text(path: Path, largest: int | None) -> bool:
    """Refuse what is no UTF-8 text, with the line; says whether there are quotes in it."""
    decoder = getincrementaldecoder("utf-8")()
    lines, size, quoted, block = 1, 0, False, b"-"
    with _opened(path) as file:
        while block:
            block = file.read(1 << 20)
            if not size:
                zeros = [block[start::2].count(0) > len(block) / 4 for start in (0, 1)]
                foreign = next((why for start, why in FOREIGN.items() if block.startswith(start)), None)
                if foreign or zeros[0] != zeros[1]:
                    raise DataError(foreign or UTF16)
            try:
                decoder.decode(block, final=not block)
                at, what = block.find(0), "a NUL byte"
            except UnicodeDecodeError as error:
                at, what = error.start, f"the byte 0x{error.object[error.start]:02x}, which is not UTF-8"
            if at >= 0:
                line = lines + block.count(b"\n", 0, at)
                raise DataError(f"line {line} holds {what}; save the table as CSV in UTF-8")
            lines += block.count(b"\n")
            size += len(block)
            quoted |= b'"' in block
            if largest is not None and size > largest:
                raise DataError(f"it is larger than {largest >> 30} GiB of text; split it, or use Parquet")
    return quoted


def _header(path: Path, separator: str, quoted: bool) -> _Head:
    """The names in the first line that is not blank; the lines after the first row are read for open quotes alone."""
    with _opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=separator, strict=True)
        names, above = [], 0
        rows = filter(None, reader)  # not the blank ones
        try:
            for names in reader:
                if names:
                    break
                above += 1
            first = next(rows, [])
            if quoted:
                deque(rows, maxlen=0)
        except csv.Error as error:
            cure = "close its quotes, and double those within quotes"
            if f"({csv.field_size_limit()})" in str(error):
                cure += "; if its text is that long, take the column out of the file"
            raise DataError(f"line {reader.line_num}: {error}; {cure}") from error
    if not names:
        raise DataError("the file is empty")
    check_width(len(names))
    if len(names) == 1:
        other = next((s for s in SEPARATORS if s in names[0] and any(s in field for field in first)), None)
        if other is not None:
            raise DataError(
                f"its fields are separated by {SEPARATORS[other]}, not {SEPARATORS[separator]}; save it as CSV with "
                f"commas, and numbers with decimal points{', or name it *.tsv' * (other == TAB)}"
            )
    if len(set(names)) < len(names):
        raise DataError(f"column names must differ; repeated: {listed(map(repr, repeated(names)))}")
    counted = [str(position) for position in range(len(names))]  # what pandas calls columns without a name
    if names != counted and all(number(name) is not None for name in names):
        raise DataError(f"its first line must name the columns; it holds numbers only ({listed(names)})")
    return _Head(names, bool(first), above)


def _said(message: str, block: int) -> str:
    """Arrow's complaint about a line, and what to do."""
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message):
        line, expected, got = map(int, found.groups())
        which = "more" if got > expected else "fewer"
        counted, above = ("", f"; {NO_HEADER}") if expected == 1 else (", not counting blank ones,", "")
        return (
            f"line {line}{counted} has {which} fields than the header, which names {expected}; mend "
            f"it, or quote fields that hold separators{above}"
        )
    return f"a line is longer than {block >> 20} MiB" if "straddl" in message else message


def _narrowed(cells: list[str]) -> np.ndarray | pd.Series:
    """Booleans or numbers whose text is what was written, else the text itself; empty cells are missing."""
    if {"False", "True"}.issuperset(cells):
        return np.array(cells) == "True"
    missing = {"": "nan", "nan": ""}  # an empty cell, not the word, is the number that is none
    for kind, texts in ((int, cells), (float, [missing.get(cell, cell) for cell in cells])):
        with suppress(ValueError, OverflowError):
            values = [kind(text) for text in texts]
            if [str(value) for value in values] == texts:
                return np.array(values, kind)
    return pd.Series([unshielded(cell) or None for cell in cells])
