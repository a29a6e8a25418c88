"""Cells: what is a number, a label or nothing at all, and what a spreadsheet would run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given

from spikebayes.data.cells import by_value, cure, number, quantity
from spikebayes.data.columns import level_indices, to_labels, to_numbers
from spikebayes.data.spreadsheets import STARTS, shielded, unshielded
from spikebayes.errors import DataError

# -- numbers -----------------------------------------------------------------------------------------------


GONE = ["NA", "N/A", "nan", "NaN", "null", "NULL", "None", "", "  ", "#N/A", "<NA>", "?", "-", ".", "--", "*"]


@pytest.mark.parametrize("word", [*GONE, "unknown", "n.a.", "\u2013"])
def test_what_stands_for_a_missing_number(word: str) -> None:
    values, text = to_numbers(pd.Series(["1.50", word, "2"]))
    np.testing.assert_array_equal(values, [1.5, np.nan, 2])
    assert not text.any()


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, 2, None], "Int64"),
        pd.array([True, 2, None], object),
        pd.array([1, 2, None], "int64[pyarrow]"),
        pd.array([Decimal("1.0"), Decimal("2"), None], pd.ArrowDtype(pa.decimal128(5, 2))),
        pd.array(["1.0", "2", "NA"], "string"),
        pd.array(["1.0", "2", None], "string[pyarrow]"),
        pd.Categorical([1, 2, None]),
        pd.Categorical(["1", "2", "null"]),
        pd.arrays.SparseArray([1, 2, np.nan]),
        [Decimal("1.0"), "2", None],
        [Fraction(1), 2, pd.NA],
        np.array([b"1", b"2", b"nan"]),
        np.array([1, 2, np.nan], np.float16),
        np.array([1, 2, np.nan], np.longdouble),
    ],
)
def test_numbers_of_many_types(values: Any) -> None:
    column = pd.Series(values, index=[0, 0, 7])  # rows are counted, whatever they are called
    found, text = to_numbers(column)
    np.testing.assert_array_equal(found, [1, 2, np.nan])
    assert found.dtype == np.float64
    assert not text.any()


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers_written_in_any_way_are_those_that_python_reads(numbers: list[float]) -> None:
    for form in (repr, "{:.17e}".format, " {!r} ".format):
        values, text = to_numbers(pd.Series([form(value) for value in numbers]))
        np.testing.assert_array_equal(values, numbers)
        assert not text.any()


def test_truth_values_are_0_and_1_alone_and_among_others() -> None:
    assert to_numbers(pd.Series(["TRUE", "false", "2"]))[0].tolist() == [1, 0, 2]
    assert quantity("True") == 1
    assert number("True") is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        *((text, "decimal point") for text in ("1,5", "-1,5", "1,234.56", "1.234,56", "1.234.567", "1 234", "1_000")),
        *((text, "decimal point") for text in ("1'234", "1,5e3", ",5", "1\u00a0234")),
        *((text, "sign") for text in ("5%", "5.5 %", "5,5%")),
        *((text, "currency") for text in ("$5", "5 \u20ac", "\u00a31,000", "5 EUR", "-5usd")),
        *((text, "days since") for text in ("2024-01-05", "05/01/2024", "5.1.24", "2024-01-05T12:00Z", "12:30:01")),
        *(
            (text, "days since")
            for text in ("3 Jan 2024", "03-Jan-24", "January 3, 2024", "2024/01", "2024-01-05 1:02")
        ),
        *((text, "unit") for text in ("1e5 kg", "5kg", "-3.5 \u00b0C", "12 cm")),
        (pd.Timestamp("2024"), "days since"),
        (datetime(2024, 1, 1, tzinfo=UTC), "days since"),
        (date(2024, 1, 1), "days since"),
        (np.datetime64("2024"), "days since"),
        (pd.Period("2024"), "days since"),
        (timedelta(1), "seconds"),
        (pd.Timedelta("1s"), "seconds"),
        (1 + 2j, "imaginary"),
    ],
)
def test_what_looks_like_a_number_has_a_cure(value: object, word: str) -> None:
    assert number(value) is None
    found = cure(value)
    assert found is not None
    assert word in found


@pytest.mark.parametrize("text", ["red", "a1", "<5", "20-30", "", "Mary", "n/a?", "1-2", "$$", ",", ".net", "'"])
def test_where_no_cure_is_known_none_is_invented(text: str) -> None:
    assert cure(text) is None


@given(st.text("15.,:/ $%eE+-!", max_size=40))
@example("1" * 4000 + "!")
@example("1." * 4000 + "!")
def test_a_cure_is_found_in_a_moment(text: str) -> None:
    cure(text)  # no pattern tries the same characters in many ways: hypothesis' deadline is 0.2 s


# -- labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["01", "1.50", "TRUE", "NA", " x", ""], ["01", "1.50", "TRUE", "NA", " x", None]),
        ([1.0, np.nan, 2.5, 1e22], ["1", None, "2.5", str(10**22)]),
        (np.array([0.1, 3], np.float32), ["0.1", "3"]),
        (pd.array([0.1, None], "Float32"), ["0.1", None]),
        (pd.array([0.1, None], "float[pyarrow]"), ["0.1", None]),
        (pd.array([1, None], "Int64"), ["1", None]),
        (pd.array([True, None], "boolean"), ["True", None]),
        (pd.Categorical([2, 1]), ["2", "1"]),
        ([Decimal("1.50"), Decimal("1E+2"), 7], ["1.5", "100", "7"]),
        ([b"ab", date(2024, 1, 5)], ["ab", "2024-01-05"]),
    ],
)
def test_labels_of_many_types(values: Any, labels: list[str | None]) -> None:
    assert to_labels(pd.Series(values)).tolist() == labels


def test_numbers_that_stand_for_text_are_labels_as_they_were_written() -> None:
    assert to_labels(pd.Series([1.0, 0.25]), written=True).tolist() == ["1.0", "0.25"]
    assert to_labels(pd.Series([1, 10]), written=True).tolist() == ["1", "10"]


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, (1, 2), 1j, np.zeros(2), b"\xff", pd.Interval(0, 1)])
def test_what_can_be_no_label(value: object) -> None:
    column = pd.Series([None, value], dtype=object, name="z")
    with pytest.raises(DataError, match=rf"'z' holds {type(value).__name__} values \(row 2\); write them as text"):
        to_labels(column)


@given(st.integers(-(10**30), 10**30))
def test_one_value_has_one_key_however_it_is_written(value: int) -> None:
    for text in (f"{value}.0", f"{value}.00", f"{value:+}"):
        assert by_value(text) == by_value(str(value))
    assert by_value(str(value)) != by_value(str(value + 1))


def test_a_label_of_its_value_is_found_only_when_it_is_the_only_one() -> None:
    labels = np.array(["1", "TRUE", "2.0"], dtype=object)
    assert level_indices(labels, ["01", "02", "True"], values=True).tolist() == [0, 2, 1]
    for known, values in ((["01", "02", "True"], False), (["01", "1.0", "2", "True"], True)):
        assert level_indices(labels, known, values)[0] == -1


# -- spreadsheets ------------------------------------------------------------------------------------------


@given(st.text(st.sampled_from(["'", "=", "-", "+", "1", ".", "e", "x", "\t", "\r", "@"]), max_size=6))
@example("-inf")
def test_shielded_text_does_not_run_and_comes_back(text: str) -> None:
    safe = shielded(text)
    assert isinstance(safe, str)
    assert not safe.startswith(STARTS) or number(safe) is not None
    assert unshielded(safe) == text


def test_numbers_are_not_shielded() -> None:
    for cell in (-1.5, "-1.5", "+3e5", None, True, pd.Timestamp("2024")):
        assert shielded(cell) == cell
