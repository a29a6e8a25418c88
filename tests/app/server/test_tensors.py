"""Tensors of the protocol: there and back, and what is refused."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikebayes.app.server.tensors import DTYPES, datatype_of, described, from_bytes, from_values, to_bytes, to_values
from spikebayes.errors import DataError

SHAPES = hnp.array_shapes(max_dims=3, max_side=4)
NUMBERS = st.sampled_from([name for name in DTYPES if name != "BYTES"])
TEXTS = hnp.arrays(object, SHAPES, elements=st.text(max_size=5))
ARRAYS = st.one_of(NUMBERS.flatmap(lambda name: hnp.arrays(DTYPES[name], SHAPES)), TEXTS)


@given(ARRAYS)
def test_bytes_there_and_back(array: np.ndarray) -> None:
    found = from_bytes(to_bytes(array), datatype_of(array), array.shape, "input")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@given(ARRAYS)
def test_values_there_and_back(array: np.ndarray) -> None:
    """But for infinity, which JSON cannot say."""
    found = from_values(to_values(array), datatype_of(array), array.shape, "input")
    assert found.dtype == array.dtype
    lost = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    np.testing.assert_array_equal(found[~lost], array[~lost])
    assert all(value != value for value in found[lost])


def test_bytes_are_those_of_the_extension() -> None:
    """Little-endian and row by row; a text behind its length, in bytes and not in letters."""
    assert to_bytes(np.array([[1, 2], [3, -1]], ">i2")) == b"\1\0\2\0\3\0\xff\xff"
    assert to_bytes(np.array(["", "é"], object)) == b"\0\0\0\0\2\0\0\0\xc3\xa9"
    assert from_bytes(struct.pack("<3d", 1, 2, 3), "FP64", [3, 1], "x").tolist() == [[1], [2], [3]]


def test_json_is_nested_or_flat_and_null_is_missing() -> None:
    for values in ([[1, 2.5], [None, True]], [1, 2.5, None, True]):
        found = from_values(values, "FP32", [2, 2], "x")
        np.testing.assert_array_equal(found, np.array([[1, 2.5], [np.nan, 1]], np.float32))
    assert from_values(["a", None], "BYTES", [2], "x").tolist() == ["a", None]
    assert from_values([2**64 - 1, 0], "UINT64", [2], "x").tolist() == [2**64 - 1, 0]


def test_a_number_beyond_the_range_is_infinite_and_later_refused_with_its_row() -> None:
    assert from_values([1e300], "FP32", [1], "x").tolist() == [np.inf]


def test_an_answer_has_bytes_where_they_were_asked_for() -> None:
    arrays = {"a": np.float32([1]), "b": np.array(["xy"], object), "c": np.float32([np.nan])}
    entries, behind = described(arrays, {"a": True, "b": True, "c": False})
    assert behind == b"\0\0\x80?" + b"\2\0\0\0xy"
    assert [e.get("parameters") for e in entries] == [{"binary_data_size": 4}, {"binary_data_size": 6}, None]
    assert entries[2] == {"name": "c", "datatype": "FP32", "shape": [1], "data": [None]}


@pytest.mark.parametrize(
    ("values", "datatype", "shape", "says"),
    [
        ([1], "FP31", [1], "did you mean 'FP32'"),
        ([1, 2, 3], "FP32", [2, 2], r"the shape \[3\]; \[2, 2\] was announced"),
        ([[1, 2, 3, 4]], "FP32", [2, 2], r"the shape \[1, 4\]"),
        ([[1], [2, 3]], "FP32", [2, 2], "not rectangular"),
        ([1], "FP32", [-1], "sizes of 0 or more"),
        ([], "FP32", [10**30, 0], r"no tensor has the shape of 'x', \[1000"),
        ([1], "FP32", [1] * 100, "no tensor has the shape"),
        (["1"], "FP32", [1], "'x' is FP32, numbers; got '1'"),
        ([1, "a"], "FP64", [2], "numbers; got 'a'"),
        ([{"a": 1}], "FP64", [1], "numbers; got {'a': 1}"),
        ([1.5], "INT8", [1], "whole numbers; got 1.5"),
        ([None], "INT8", [1], "whole numbers; got None"),
        ([300], "INT8", [1], "out of that range"),
        ([-1], "UINT64", [1], "out of that range"),
        ([10**400], "FP64", [1], "out of that range"),
        ([1], "BOOL", [1], "true or false; got 1"),
        ([1], "BYTES", [1], "text; got 1"),
    ],
)
def test_values_that_are_refused(values: list[Any], datatype: str, shape: list[int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        from_values(values, datatype, shape, "x")


@pytest.mark.parametrize(
    ("content", "datatype", "shape", "says"),
    [
        (b"1234567", "FP32", [2], r"'x', FP32 \[2\], takes 8 bytes; got 7"),
        (b"1234", "FP32", [2**40, 2**40], "takes"),
        (b"\2\0\0\0a", "BYTES", [1], "end within a text"),
        (b"\2\0\0", "BYTES", [1], "end within a text"),
        (b"\1\0\0\0a", "BYTES", [2], "hold 1 texts"),
        (b"\1\0\0\0\xff", "BYTES", [1], "text 1 of 'x' is not UTF-8"),
    ],
)
def test_bytes_that_are_refused(content: bytes, datatype: str, shape: list[int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        from_bytes(content, datatype, shape, "x")
