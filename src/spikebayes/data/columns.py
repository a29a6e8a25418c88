"""Checked columns of a table: numbers and labels, or one line saying what is wrong with them.

Rows are counted from 1 in messages: the first data row of a file, whatever its header.
"""

from __future__ import annotations

import difflib
import numbers
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from spikebayes.errors import DataError

NAMED = 5  # names spelt out in a message before the rest becomes a count


def listed(items: Iterable[str], limit: int = NAMED) -> str:
    """Items joined by commas, at most ``limit`` of them, then how many more there are.

    Example:
        >>> listed(["a", "b", "c"], limit=2)
        'a, b and 1 more'
    """
    every = list(items)
    rest = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + rest


def near(name: str, known: Iterable[str]) -> str:
    """A question naming the closest known names, case aside; empty when none is close.

    Example:
        >>> near("Prise", ["price", "area"])
        " (did you mean 'price'?)"
    """
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
    close = difflib.get_close_matches(name.casefold(), folded, n=2)
    return f" (did you mean {' or '.join(repr(folded[match]) for match in close)}?)" if close else ""


def one_line(value: object, width: int = 60) -> str:
    """``value`` as text on one line, cut after ``width`` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else f"{text[: width - 3]}..."


def column_names(frame: pd.DataFrame) -> list[str]:
    """The table's column names, in order.

    Raises:
        DataError: no column; a name that is no text, or blank; the same name twice.
    """
    names = list(frame.columns)
    if not names:
        raise DataError("the table has no columns")
    for position, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"column {position} needs a name (got {name!r}); name it or drop it")
    if len(set(names)) < len(names):
        raise DataError(f"column names must differ; repeated: {listed(map(repr, repeated(names)))}")
    return names


def repeated(names: Sequence[str]) -> list[str]:
    """The names that occur more than once, in order.

    Example:
        >>> repeated(["a", "b", "a"])
        ['a']
    """
    return [name for name, count in Counter(names).items() if count > 1]


def is_numeric(column: pd.Series) -> bool:
    """Whether the column holds numbers (booleans, categories and numbers written as text are not)."""
    kinds = {"integer", "floating", "mixed-integer-float", "decimal"}
    return pd.api.types.infer_dtype(column, skipna=True) in kinds


def to_numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The column in float32, and where it holds something that is no number.

    Booleans count as 0 and 1, numbers written as text as numbers, blank text as missing; what exceeds
    the range of float32 becomes infinite.

    Returns:
        ``[B]`` float32, NaN where the value is missing or no number; ``[B]`` bool, where it is no number.

    Example:
        >>> to_numbers(pd.Series(["1.5", None, "red"]))[0].tolist()
        [1.5, nan, nan]
    """
    dtype = column.dtype
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        exact = column.to_numpy(dtype=np.float64, na_value=np.nan)
        text = np.zeros(len(exact), dtype=bool)
    else:
        parsed = [None if gone else _number(value) for value, gone in _values(column)]
        gone = np.array([gone for _, gone in _values(column)], dtype=bool)
        text = np.array([value is None for value in parsed], dtype=bool) & ~gone
        exact = np.array([np.nan if value is None else value for value in parsed], dtype=np.float64)
    with np.errstate(over="ignore"):
        return exact.astype(np.float32), text


def to_labels(column: pd.Series) -> np.ndarray:
    """The column's values as text: the same label whether a file stored 1, 1.0 or "1".

    Returns:
        ``[B]`` object: str, or None where the value is missing or blank.

    Example:
        >>> to_labels(pd.Series([1.0, None, 2.5])).tolist()
        ['1', None, '2.5']
    """
    labels = np.empty(len(column), dtype=object)
    for row, (value, gone) in enumerate(_values(column)):
        if not gone:
            whole = isinstance(value, float) and value.is_integer()
            labels[row] = str(int(value)) if whole else str(value)
    return labels


def checked_columns(
    frame: pd.DataFrame, numeric: Sequence[str], labelled: Sequence[str], hint: str
) -> dict[str, np.ndarray]:
    """The named columns, every value present: finite numbers and labels.

    Args:
        frame: a table that has all the columns, each once.
        numeric: columns to read as numbers.
        labelled: columns to read as labels.
        hint: what to do about text among the numbers; ends that message.

    Returns:
        By name, ``[B]`` float32 for a numeric and ``[B]`` object (str) for a labelled column.

    Raises:
        DataError: text among numbers; missing, NaN or infinite values. One message names all such columns.
    """
    columns: dict[str, np.ndarray] = {}
    texts: list[str] = []
    gaps: list[str] = []
    for name in numeric:
        columns[name], text = to_numbers(pd.Series(frame[name]))
        if text.any():
            row = int(text.argmax())
            texts.append(f"{name!r} (row {row + 1}: {one_line(repr(frame[name].iloc[row]))})")
        else:
            counts = {"NaN": np.isnan(columns[name]).sum(), "infinite": np.isinf(columns[name]).sum()}
            found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            gaps += [f"{name!r} ({found})"] if found else []
    for name in labelled:
        columns[name] = to_labels(pd.Series(frame[name]))
        missing = sum(label is None for label in columns[name])
        gaps += [f"{name!r} ({missing} missing)"] if missing else []
    if texts:
        raise DataError(f"text where a number is expected, in column {listed(texts)}; {hint}")
    if gaps:
        raise DataError(
            f"missing, NaN or infinite values, by column and number of rows (of {len(frame)}): "
            f"{listed(gaps)}; fill them or drop those rows"
        )
    return columns


def level_indices(name: str, labels: np.ndarray, known: Sequence[str]) -> np.ndarray:
    """Each label's position among the known ones.

    Args:
        name: the column, for the message.
        labels: ``[B]`` str.
        known: the labels met in training.

    Returns:
        ``[B]`` int64.

    Raises:
        DataError: a label that training never met; the message names the first one and its row.

    Example:
        >>> level_indices("color", np.array(["red", "blue"], dtype=object), ["blue", "red"]).tolist()
        [1, 0]
    """
    position = {label: index for index, label in enumerate(known)}
    for row, label in enumerate(labels, start=1):
        if label not in position:
            raise DataError(
                f"column {name!r} holds {one_line(repr(label))} (row {row}), which training never met"
                f"{near(label, known)}; known: {listed(map(repr, known))}"
            )
    return np.array([position[label] for label in labels], dtype=np.int64)


def distinct_labels(labels: np.ndarray) -> tuple[str, ...]:
    """The distinct labels, sorted: by value when all of them are numbers (2 before 10), else as text.

    Example:
        >>> distinct_labels(np.array(["10", "2", "2"], dtype=object))
        ('2', '10')
    """
    found = sorted(set(labels))
    values = [_number(label) for label in found]
    if any(value is None or value != value for value in values):
        return tuple(found)
    return tuple(sorted(found, key=lambda label: _number(label) or 0.0))


def _values(column: pd.Series) -> Iterable[tuple[Any, bool]]:
    """Each value as a Python object, and whether it is missing (null or blank text)."""
    for value, null in zip(column.astype(object), column.isna(), strict=True):
        yield value, bool(null) or (isinstance(value, str) and not value.strip())


def _number(value: Any) -> float | None:
    """``value`` as a float; None when it is no number. Python's 1_000 is no number in a table."""
    if not isinstance(value, str | bytes | numbers.Real | Decimal | np.bool_) or "_" in str(value):
        return None
    try:
        return float(value)
    except OverflowError:
        return np.inf
    except ValueError:
        return None
