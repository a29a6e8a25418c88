"""Single cells of a table: the number, the label or the missing value that each is, and how to mend the others."""

from __future__ import annotations

import numbers
import re
from collections.abc import Collection
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd

# what a cell of numbers may say instead of being empty, case aside; in a column of labels these are labels
MISSING = frozenset({"", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none"})
MARKS = re.compile(
    r"[?.*/\-\u2013\u2014]+|unknown|missing|n\.?\s?a\.?"
)  # and these, which no CSV writer means otherwise
FLAGS = {"true": True, "false": False}
DATES = (date, time, np.datetime64, pd.Period)
SPANS = (timedelta, np.timedelta64)
LABELS = (str, numbers.Real, np.bool_, Decimal, *DATES, *SPANS)

DATE = "dates and times must be numbers, such as days since the first one"
SPAN = "spans of time must be numbers, such as seconds"
PARTS = "give the real and the imaginary part a column each"
POINT = "write numbers with a decimal point and without other separators, as 1234.5"
PERCENT = "write the percentage as a number, without the sign"
CURRENCY = "leave the currency out"
UNIT = "leave the unit out of the cells; the column's name can say it"
AMOUNTS = (DATE, SPAN, POINT, PERCENT, CURRENCY)  # quantities, which are seldom meant as labels
MONEY = re.compile(r"[$\u00a3\u00a5\u20ac\u20b9]|\b(?:usd|eur|gbp|chf|jpy)\b", re.IGNORECASE)
CODES = {"$": "USD", "\u00a3": "GBP", "\u00a5": "JPY", "\u20ac": "EUR", "\u20b9": "INR"}
MINUS = "\u2212"  # as typesetters write it
OWED = re.compile(r"\(([^()+-]+)\)")  # how amounts of money below 0 are written, as ($5)
GROUPED = {  # whole numbers in groups of three digits, no 0 before all, and fractions, by the decimal mark
    mark: re.compile(
        rf"[-+]?(\d+|[1-9]\d{{0,2}}([{groups}\s'\u2019]\d{{3}})+)?({re.escape(mark)}\d*)?(e[-+]?\d+)?", re.IGNORECASE
    )
    for mark, groups in ((".", ","), (",", "."))
}
MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
CURES = tuple(
    (re.compile(pattern, re.IGNORECASE), cure)
    for pattern, cure in (
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


def is_missing(text: str, marks: Collection[str] = ()) -> bool:
    """Whether text in a column of numbers or dates stands for a missing value; ``marks`` are a column's own.

    Example:
        >>> is_missing("NA"), is_missing(" ? "), is_missing("5"), is_missing("closed", {"closed"})
        (True, True, False, True)
    """
    word = text.strip()
    return word in marks or word.casefold() in MISSING or MARKS.fullmatch(word.casefold()) is not None


def quantity(value: Any, decimal: str = ".", marks: Collection[str] = ()) -> float | None:
    """``value`` in a column of numbers: NaN for what stands for a missing value, 0 and 1 for false and true.

    Text may have digits in groups, a currency or a sign of percent. An amount of money in parentheses is below 0.

    Args:
        value: of a cell.
        decimal: the mark before a fraction; the other one of ``.`` and ``,`` separates groups.
        marks: words that stand for a missing value in this column.

    Example:
        >>> quantity("NA"), quantity("TRUE"), quantity("red")
        (nan, 1.0, None)
        >>> quantity("1,234.5"), quantity("1.234,5", ","), quantity("$5"), quantity("12 %"), quantity("0,123")
        (1234.5, 1234.5, 5.0, 0.12, None)
        >>> quantity("\u22122.5"), quantity("($1,234.50)"), quantity("(2.5)")
        (-2.5, -1234.5, None)
    """
    if not isinstance(value, str):
        return number(value)
    if is_missing(value, marks):
        return np.nan
    word = value.strip().replace(MINUS, "-")
    if (found := number(FLAGS.get(word.casefold(), word if decimal == "." else ""))) is not None:
        return found
    bare = MONEY.sub("", word.removesuffix("%")).strip()
    if MONEY.search(word) and (owed := OWED.fullmatch(bare)):
        bare = f"-{owed[1].strip()}"
    if not GROUPED[decimal].fullmatch(bare):
        return None
    plain = re.sub(rf"[{'.' if decimal == ',' else ','}\s'\u2019]", "", bare).replace(decimal, ".")
    found = number(plain)
    return found / 100 if found is not None and word.endswith("%") else found


def currency(value: Any) -> str:
    """The code of the currency that a cell names, or codes, or ``""``.

    Example:
        >>> currency("$5"), currency("5 usd"), currency("$5 EUR"), currency(5)
        ('USD', 'USD', 'EUR/USD', '')
    """
    found: list[str] = MONEY.findall(value) if isinstance(value, str) else []
    return "/".join(sorted({CODES.get(sign, sign.upper()) for sign in found}))


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


def whole(label: str) -> bool:
    """Whether a label is a whole number, as it is written.

    Example:
        >>> whole("10"), whole("1.0"), whole("a")
        (True, False, False)
    """
    return re.fullmatch(r"[-+]?\d+", label) is not None
