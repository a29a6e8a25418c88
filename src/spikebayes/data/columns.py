"""Checked columns of a table: numbers and labels, or one line saying what is wrong with them.

Rows are counted as in :mod:`~spikebayes.data.row_numbers`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spikebayes.data.cells import as_label, by_value, cure, number, quantity
from spikebayes.data.row_numbers import Numbering, as_first, numbering, row_places
from spikebayes.errors import DataError

NUMBER = "a number"  # what a cell is expected to be, unless it is another thing
NAMED = 5  # names spelt out in a message before the rest becomes a count
COLUMNS = 1 << 16  # more than a genome has genes; what lies above is mostly no table, and each column is looked at
NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}  # pandas' names of what numbers are stored as
AS_WRITTEN = "as written"  # in a table's attrs: it was text, and its numbers are the text that Python writes for them
NO_HEADER = "if there are lines above the header, such as comments, delete them"  # where the names look like none

Reader = Callable[[pd.Series], tuple[np.ndarray, np.ndarray]]  # [B] float64, NaN where missing; [B] bool, where wrong


def listed(items: Iterable[str], limit: int = NAMED) -> str:
    """Items joined by commas, at most ``limit`` of them, then how many more there are.

    Example:
        >>> listed(["a", "b", "c"], limit=2)
        'a, b and 1 more'
    """
    every = list(items)
    rest = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + rest


def one_line(value: object, width: int = 60) -> str:
    """``value`` as text on one line, cut after ``width`` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else f"{text[: width - 3]}..."


def column_names(frame: pd.DataFrame) -> list[str]:
    """The table's column names, in order.

    Raises:
        DataError: no column, or too many; a name that is no text, or blank; the same name twice.
    """
    names = list(frame.columns)
    if not names:
        raise DataError("the table has no columns")
    check_width(len(names))
    for position, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"column {position} needs a name (got {name!r}); name it or drop it")
    if len(set(names)) < len(names):
        raise DataError(f"column names must differ; repeated: {listed(map(repr, repeated(names)))}")
    return names


def check_width(columns: int) -> None:
    """Refuse a table of more than :data:`COLUMNS` columns (DataError), before it is made."""
    if columns > COLUMNS:
        raise DataError(f"a table has at most {COLUMNS} columns; got {columns}: choose among them, or transpose it")


def repeated(names: Sequence[str]) -> list[str]:
    """The names that occur more than once, in order.

    Example:
        >>> repeated(["a", "b", "a"])
        ['a']
    """
    return [name for name, count in Counter(names).items() if count > 1]


def to_numbers(
    column: pd.Series, decimal: str = ".", marks: Collection[str] = (), written: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The column in float64, and where it holds something that is no number.

    Booleans count as 0 and 1, spans of time as seconds, numbers written as text as numbers, see
    :func:`~spikebayes.data.cells.quantity`; blank text, NA, NaN, null, ? and the like as missing.

    Args:
        column: of a table.
        decimal: the mark before a fraction, in text.
        marks: words that stand for a missing value here.
        written: whether numbers stand for text, see :data:`AS_WRITTEN`.

    Returns:
        ``[B]`` float64, NaN where the value is missing or no number; ``[B]`` bool, where it is no number.

    Example:
        >>> to_numbers(pd.Series(["1.5", None, "red"]))[0].tolist()
        [1.5, nan, nan]
    """
    dtype = column.dtype
    if pd.api.types.is_timedelta64_dtype(dtype):
        column = column.dt.total_seconds()
    elif decimal == "," and written and pd.api.types.is_numeric_dtype(dtype):
        column = pd.Series(to_labels(column, written))  # 1.234 is a thousand there, in whatever part it stands
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(dtype):
        exact = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return exact, np.zeros(len(exact), dtype=bool)
    if decimal == "." and pd.api.types.is_string_dtype(dtype):
        try:  # a hundred times as fast as cell by cell, but it knows no mark of a missing value
            exact = pc.cast(pa.array(column, pa.string()), pa.float64()).to_numpy(zero_copy_only=False)
            return exact, np.zeros(len(exact), dtype=bool)
        except pa.ArrowException:
            pass
    parsed = [np.nan if gone else quantity(value, decimal, marks) for value, gone in _values(column)]
    text = np.array([value is None for value in parsed], dtype=bool)
    return np.array([np.nan if value is None else value for value in parsed], dtype=np.float64), text


def to_labels(column: pd.Series, written: bool = False, numbered: Numbering = as_first) -> np.ndarray:
    """The column's values as text: as they are, and the same label whether a file stored 1 or 1.0.

    Args:
        column: of a table.
        written: whether numbers stand for text, see :data:`AS_WRITTEN`.
        numbered: what numbers its rows have, for the message.

    Returns:
        ``[B]`` object: str, or None where the value is missing or blank.

    Raises:
        DataError: values that can be no labels, such as lists.

    Example:
        >>> to_labels(pd.Series([1.0, None, 2.5])).tolist()
        ['1', None, '2.5']
    """
    labels = np.empty(len(column), dtype=object)
    for row, (value, gone) in enumerate(_values(column)):
        if not gone:
            labels[row] = as_label(value, written)
            if labels[row] is None:
                kind = type(value).__name__
                raise DataError(
                    f"column {column.name!r} holds {kind} values (row {numbered(row)}); write them as text"
                )
    return labels


def checked_numbers(
    frame: pd.DataFrame,
    readers: Mapping[str, Reader],
    hint: str,
    needed: Collection[str] = (),
    what: str = NUMBER,
) -> dict[str, np.ndarray]:
    """The named columns as numbers that are finite or missing.

    Args:
        frame: a table that has all the columns, each once.
        readers: what makes numbers of a column, by name; they also say where a cell is none.
        hint: what to do about text for which nothing better is known; ends that message.
        needed: the columns in which nothing may be missing.
        what: each cell is expected to be.

    Returns:
        By name, ``[B]`` float64 within the range of float32, NaN where a value is missing.

    Raises:
        DataError: text among numbers; infinite values; missing ones that are needed. One message names all columns.
    """
    numbered = numbering(frame)
    columns: dict[str, np.ndarray] = {}
    texts: list[str] = []
    gaps: dict[str, dict[str, np.ndarray]] = {}
    for name, read in readers.items():
        columns[name], text = read(pd.Series(frame[name]))
        if text.any():
            row = int(text.argmax())
            value = frame[name].iloc[row]
            hint = hint if texts or what != NUMBER else cure(value) or hint
            texts.append(f"{name!r} (row {numbered(row)}: {one_line(repr(value))})")
        missing = np.isnan(columns[name]) if name in needed else np.zeros(len(frame), bool)
        gaps[name] = {"NaN": missing, "infinite": np.abs(columns[name]) > np.finfo(np.float32).max}
    if texts:
        raise DataError(f"text where {what} is expected, in column {listed(texts)}; {hint}")
    _refuse_gaps(frame, gaps)
    return columns


def checked_labels(frame: pd.DataFrame, names: Sequence[str], needed: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The named columns as labels, ``""`` where one is missing.

    Args:
        frame: a table that has all the columns, each once.
        names: of the columns.
        needed: those in which nothing may be missing.

    Returns:
        By name, ``[B]`` object (str).

    Raises:
        DataError: values that can be no labels; missing ones that are needed. One message names all such columns.
    """
    written, numbered = as_written(frame), numbering(frame)
    columns = {name: to_labels(pd.Series(frame[name]), written, numbered) for name in names}
    gone = {name: np.array([label is None for label in labels], dtype=bool) for name, labels in columns.items()}
    _refuse_gaps(frame, {name: {"missing": rows} for name, rows in gone.items() if name in needed})
    for name, rows in gone.items():
        columns[name][rows] = ""
    return columns


def _refuse_gaps(frame: pd.DataFrame, found: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Refuse values that cannot be used: rows, by column and by what is wrong with them."""
    counted: list[str] = []
    firsts: list[int] = []
    for name, gaps in found.items():
        several = ", ".join(f"{rows.sum()} {what}" for what, rows in gaps.items() if rows.any())
        counted += [f"{name!r} ({several})"] if several else []
        firsts += [int(rows.argmax()) for rows in gaps.values() if rows.any()]
    if counted:
        places = row_places(frame)
        part = places[0] > 0 and places[-1] - places[0] == len(frame) - 1
        among = f"rows {places[0] + 1} to {places[-1] + 1}" if part else f"{len(frame)}"
        raise DataError(
            f"missing, NaN or infinite values, by column and number of rows (of {among}): "
            f"{listed(counted)}, first in row {places[min(firsts)] + 1}; fill them or drop those rows"
        )


def as_written(frame: pd.DataFrame) -> bool:
    """Whether the table was text, so that its labels are compared letter by letter."""
    return bool(frame.attrs.get(AS_WRITTEN))


def holds_values(frame: pd.DataFrame, name: str) -> bool:
    """Whether a column's labels stand for numbers or truth values, whatever their text: 1 is 1.0."""
    column = frame[name]
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    return not as_written(frame) and pd.api.types.infer_dtype(values, skipna=True) in {*NUMBERS, "boolean"}


def level_indices(labels: Iterable[str], known: Sequence[str], values: bool = False) -> np.ndarray:
    """Each label's position among the known ones, -1 for one that is none of them.

    Args:
        labels: ``[B]`` str.
        known: the labels met in training.
        values: whether a label may also be the only known one of its value, as 1 for 1.0.

    Returns:
        ``[B]`` int64.

    Example:
        >>> level_indices(["red", "blue", "pink"], ["blue", "red"]).tolist()
        [1, 0, -1]
    """
    position = {label: index for index, label in enumerate(known)}
    if values:
        times = Counter(map(by_value, known))
        alike = {by_value(label): index for label, index in position.items() if times[by_value(label)] == 1}
        position = {label: alike[by_value(label)] for label in set(labels) if by_value(label) in alike} | position
    return np.array([position.get(label, -1) for label in labels], dtype=np.int64)


def distinct_labels(labels: np.ndarray) -> tuple[str, ...]:
    """The distinct labels, sorted: by value when all of them are numbers (2 before 10), else as text.

    Example:
        >>> distinct_labels(np.array(["10", "2", "2"], dtype=object))
        ('2', '10')
    """
    found = sorted(set(labels))
    values = [number(label) for label in found]
    if any(value is None or value != value for value in values):
        return tuple(found)
    return tuple(sorted(found, key=lambda label: number(label) or 0.0))


def _values(column: pd.Series) -> Iterable[tuple[Any, bool]]:
    """Each value as an object, and whether it is missing (null or blank text)."""
    kind, size = (getattr(column.dtype, name, None) for name in ("kind", "itemsize"))
    # as 4-byte numbers: their text is shorter than that of the float64 they equal
    values = column.to_numpy(f"f{size}", na_value=np.nan) if kind == "f" and size in (2, 4) else column.astype(object)
    for value, null in zip(values, column.isna(), strict=True):
        yield value, bool(null) or (isinstance(value, str) and not value.strip())
