"""Single cells of a table: the number, the label or the missing value that each is, and how to mend the others."""

from __future__ import annotations

import numbers
import re
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd

# what a cell of numbers may say instead of being empty, case aside; in a column of labels these are labels
MISSING = frozenset({"", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none"})
FLAGS = {"true": True, "false": False}
DATES = (date, time, np.datetime64, pd.Period)
SPANS = (timedelta, np.timedelta64)
LABELS = (str, numbers.Real, np.bool_, Decimal, *DATES, *SPANS)

MARK = "a mark for a missing value: fill it or drop that row"
DATE = "dates and times must be numbers, such as days since the first one"
SPAN = "spans of time must be numbers, such as seconds"
PARTS = "give the real and the imaginary part a column each"
POINT = "write numbers with a decimal point and without other separators, as 1234.5"
PERCENT = "write the percentage as a number, without the sign"
CURRENCY = "leave the currency out"
UNIT = "leave the unit out of the cells; the column's name can say it"
AMOUNTS = (DATE, SPAN, POINT, PERCENT, CURRENCY)  # quantities, which are seldom meant as labels
MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
CURES = tuple(
    (re.compile(pattern, re.IGNORECASE), cure)
    for pattern, cure in (
        (r"[?.*/\-\u2013\u2014]+|unknown|missing|n\.?\s?a\.?", MARK),
        (r"[-+]?\d{1,3}(\.\d{3}){2,}", POINT),
        (r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([t\s].*)?|\d{4}[-/]\d{1,2}|\d{1,2}:\d{2}.*", DATE),
        (rf"\d{{1,2}}[\s.-]*{MONTH}.*|{MONTH}.*\d", DATE),
        (r".*\d\s*%", PERCENT),
        (r"(?=.*\d).*[$\u00a3\u00a5\u20ac\u20b9].*|.*\d\s*(usd|eur|gbp|chf|jpy)", CURRENCY),
        (r"(?=.*\d)[-+]?[\d.]*[,_'\s\u2019][\d.,_'\s\u2019]*(e[-+]?\d+)?", POINT),
        (r"[-+]?\.?\d[\d.]*(e[-+]?\d+)?\s*[^\d\s,.:/-].*", UNIT),
    )
)


def number(value: Any) -> float | None:
    """``value`` as a float; None when it is no number. Python's 1_000 is no number in a table.

    Example:
        >>> number(" 1.50 "), number("1_000"), number("1e999")
        (1.5, None, inf)
    """
    if not isinstance(value, str | bytes | numbers.Real | Decimal | np.bool_) or "_" in str(value):
        return None
    try:
        return float(value)
    except OverflowError:
        return np.inf
    except ValueError:
        return None


def quantity(value: Any) -> float | None:
    """``value`` in a column of numbers: NaN for what stands for a missing value, 0 and 1 for false and true.

    Example:
        >>> quantity("NA"), quantity("TRUE"), quantity("?")
        (nan, 1.0, None)
    """
    word = value.strip().casefold() if isinstance(value, str) else None
    return np.nan if word in MISSING else number(FLAGS.get(word, value) if word else value)


def as_label(value: Any, written: bool = False) -> str | None:
    """``value`` in a column of labels: text as it is, numbers by their value; None for what can be no label.

    Args:
        value: not missing.
        written: whether numbers stand for text: 1.0 was "1.0" in the file, not 1.

    Example:
        >>> as_label("01"), as_label(1.0), as_label(1.0, written=True), as_label([1])
        ('01', '1', '1.0', None)
    """
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
    if not isinstance(value, LABELS):
        return None
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, float | np.floating) and not written and value.is_integer():
        return str(int(value))
    return str(value)


def by_value(label: str) -> Decimal | str:
    """What labels have in common that mean one number or one truth value: 01, 1 and 1.0; TRUE and True.

    Example:
        >>> by_value("01") == by_value("1.0"), by_value("TRUE"), by_value("red")
        (True, 'true', 'red')
    """
    with suppress(InvalidOperation):
        if "_" not in label and (value := Decimal(label)).is_finite():
            return value
    word = label.casefold()
    return word if word in FLAGS else label


def cure(value: object) -> str | None:
    """What to do about a value that is no number; None when nothing is known about it.

    Example:
        >>> cure("1,5")
        'write numbers with a decimal point and without other separators, as 1234.5'
    """
    for kinds, how in ((DATES, DATE), (SPANS, SPAN), ((complex, np.complexfloating), PARTS)):
        if isinstance(value, kinds):
            return how
    text = str(value).strip()
    return next((how for pattern, how in CURES if pattern.fullmatch(text)), None)
