"""Tables as text: UTF-8, one line a row, fields between separators, names in the first line.

A file that is something else is refused with what to do about it. Text stays as it was written: a column becomes
numbers only if these, written as Python does, are its very text, so that it is the same label whether a row stands
alone or among others.
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
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv, read_csv

from spikebayes.data.cells import number
from spikebayes.data.columns import AS_WRITTEN, check_width, listed, repeated
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
    names, rows = _looked_at(path, LARGEST)
    if not rows:
        return pd.DataFrame(columns=names)  # pyright: ignore[reportArgumentType]
    with _opened(path) as file, _said_plainly(BLOCK):
        table = read_csv(file, *_options(path, names, BLOCK))
    return as_frame(table, names)


def delimited_batches(path: Path, block: int = 1 << 24) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    """The names of the columns, and the rows, some at a time, as text; see :func:`as_frame`.

    Args:
        path: of a .csv, .csv.gz or .tsv file of any size.
        block: bytes that are parsed at once.

    Raises:
        As :func:`read_delimited`; some of it when the rows are taken.
    """
    names, rows = _looked_at(path, None)

    def batches() -> Iterator[pa.RecordBatch]:
        with _opened(path) as file, _said_plainly(block):
            yield from open_csv(file, *_options(path, names, block))

    return names, batches() if rows else iter(())


def as_frame(table: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    """Columns of text as what they say, see :func:`read_delimited`."""
    columns = {position: _narrowed(column.to_pylist()) for position, column in enumerate(table.columns)}
    frame = pd.DataFrame(columns).set_axis([unshielded(name) for name in names], axis=1)
    frame.attrs[AS_WRITTEN] = True
    return frame


def _looked_at(path: Path, largest: int | None) -> tuple[list[str], bool]:
    """The names in the first line, and whether there are rows, of a file that is text throughout."""
    return _header(path, separator_of(path), quoted=_check_text(path, largest))


def _options(path: Path, names: list[str], block: int) -> tuple[ReadOptions, ParseOptions, ConvertOptions]:
    """Arrow's, to read every cell as text."""
    return (
        ReadOptions(use_threads=False, block_size=block),
        ParseOptions(delimiter=separator_of(path), newlines_in_values=True),
        ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )


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


def _header(path: Path, separator: str, quoted: bool) -> tuple[list[str], bool]:
    """The names in the first line, and whether there are rows; the other lines are read for open quotes alone."""
    with _opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=separator, strict=True)
        rows = filter(None, reader)  # not the blank ones
        try:
            names, first = next(rows, []), next(rows, [])
            if quoted:
                deque(rows, maxlen=0)
        except csv.Error as error:
            raise DataError(
                f"line {reader.line_num}: {error}; close its quotes, and double those within quotes"
            ) from error
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
    return names, bool(first)


def _said(message: str, block: int) -> str:
    """Arrow's complaint about a line, and what to do."""
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message):
        line, expected, got = map(int, found.groups())
        which = "more" if got > expected else "fewer"
        above = "; if there are lines above the header, such as comments, delete them" * (expected == 1)
        return (
            f"line {line}, not counting blank ones, has {which} fields than the header, which names {expected}; mend "
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
