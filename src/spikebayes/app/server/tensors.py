"""Tensors as the Open Inference Protocol writes them: in JSON, and as bytes behind it.

Reference:
    Open Inference Protocol, version 2 (kserve/open-inference-protocol, specification/protocol/inference_rest.md), and
    the binary tensor data extension that Triton added to it (protocol/extension_binary_data.md).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikebayes.errors import DataError
from spikebayes.machine.choices import unknown
from spikebayes.machine.kinds import shown

TEXT = "BYTES"
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    TEXT: np.dtype(object),  # str, or None where one is missing
}
NAMES: dict[np.dtype[Any], str] = {dtype: name for name, dtype in DTYPES.items()}
LENGTH = struct.Struct("<I")  # before each text of BYTES
WHAT = {"b": "true or false", "u": "whole numbers", "i": "whole numbers", "f": "numbers", "O": "text"}
# what JSON may hold there: arrays of these kinds of NumPy's, or else values that are each of these types
FROM: dict[str, tuple[str, tuple[type, ...]]] = {
    "b": ("b", (bool,)),
    "u": ("", (int,)),
    "i": ("", (int,)),
    "f": ("biuf", (int, float, type(None))),
    "O": ("", (str, type(None))),
}


def datatype_of(array: np.ndarray) -> str:
    """What the protocol calls an array's type.

    Example:
        >>> datatype_of(np.zeros(2, np.float32)), datatype_of(np.array(["a"], object))
        ('FP32', 'BYTES')
    """
    return NAMES[array.dtype.newbyteorder("<")]


def from_values(values: Sequence[Any], datatype: str, shape: Sequence[int], name: str) -> np.ndarray:
    """The tensor that JSON holds, nested as its shape says or flat; null is a missing number or text.

    Raises:
        DataError: an unknown datatype, values of another, or more or fewer than the shape holds.

    Example:
        >>> from_values([1, None, 3, 4], "FP32", [2, 2], "input").tolist()
        [[1.0, nan], [3.0, 4.0]]
    """
    dtype, shape = _dtype(datatype, name), _shape(shape, name)
    found = _values(values, dtype, name)
    if found.shape not in (shape, (math.prod(shape),)):
        raise DataError(f"the data of {name!r} have the shape {list(found.shape)}; {list(shape)} was announced")
    with np.errstate(over="ignore"):  # beyond the range of FP32: infinite, and refused with its row later
        try:
            made = found.astype(dtype)
            fits = dtype.kind not in "iu" or np.array_equal(made, found)
        except OverflowError:
            made, fits = found, False
    if not fits:
        raise DataError(f"{name!r} is {datatype}; a number in it is out of that range")
    return _shaped(made, shape, name)


def from_bytes(content: bytes | memoryview, datatype: str, shape: Sequence[int], name: str) -> np.ndarray:
    """The tensor in little-endian bytes, row by row; before each text stands its length, in 4 bytes.

    Raises:
        DataError: an unknown datatype, too few or too many bytes, or text that is not UTF-8.

    Example:
        >>> from_bytes(bytes([0, 0, 128, 63]), "FP32", [1, 1], "input").tolist()
        [[1.0]]
    """
    dtype, shape = _dtype(datatype, name), _shape(shape, name)
    if datatype == TEXT:
        texts = _texts(bytes(content), name)
        if len(texts) != math.prod(shape):
            raise DataError(f"the bytes of {name!r} hold {len(texts)} texts; its shape {list(shape)} was announced")
        return _shaped(texts, shape, name)
    if len(content) != dtype.itemsize * math.prod(shape):
        needed = dtype.itemsize * math.prod(shape)
        raise DataError(f"{name!r}, {datatype} {list(shape)}, takes {needed} bytes; got {len(content)}")
    return _shaped(np.frombuffer(content, dtype), shape, name)


def to_values(array: np.ndarray) -> list[Any]:
    """A tensor's values for JSON, flat; null where a number is not finite.

    Example:
        >>> to_values(np.array([[1.0, np.nan]], np.float32))
        [1.0, None]
    """
    flat = array.ravel()
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        return [value if math.isfinite(value) else None for value in flat.tolist()]
    return flat.tolist()


def to_bytes(array: np.ndarray) -> bytes:
    """A tensor's bytes, see :func:`from_bytes`.

    Example:
        >>> to_bytes(np.array(["ab"], object))
        b'\\x02\\x00\\x00\\x00ab'
    """
    if array.dtype == object:
        texts = [text.encode() for text in array.ravel().tolist()]
        return b"".join(LENGTH.pack(len(text)) + text for text in texts)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def described(arrays: Mapping[str, np.ndarray], binary: Mapping[str, bool]) -> tuple[list[dict[str, Any]], bytes]:
    """Tensors by name as a response holds them: their entries in its JSON, and the bytes behind it.

    Args:
        arrays: by name.
        binary: by name, whether its data go into the bytes.
    """
    entries, behind = [], []
    for name, array in arrays.items():
        entry: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if binary[name]:
            behind.append(to_bytes(array))
            entry["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            entry["data"] = to_values(array)
        entries.append(entry)
    return entries, b"".join(behind)


def _dtype(datatype: str, name: str) -> np.dtype:
    if datatype not in DTYPES:
        raise DataError(unknown(f"the datatype of {name!r}", datatype, DTYPES))
    return DTYPES[datatype]


def _shape(shape: Sequence[int], name: str) -> tuple[int, ...]:
    if any(size < 0 for size in shape):
        raise DataError(f"the shape of {name!r} must be sizes of 0 or more; got {list(shape)}")
    return tuple(shape)


def _shaped(values: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """As many values as the shape holds, in it; with a 0 in it, or many of 1, it may be that of no array."""
    try:
        return values.reshape(shape)
    except ValueError as error:
        raise DataError(f"no tensor has the shape of {name!r}, {shown(list(shape))}") from error


def _values(values: Sequence[Any], dtype: np.dtype, name: str) -> np.ndarray:
    """Values that a datatype holds as they are, but for rounding, as NumPy's array of numbers or of objects.

    Raises:
        DataError: rows of other lengths, or values of another kind.
    """
    kinds, types = FROM[dtype.kind]
    try:
        found = np.array(values)
    except ValueError as error:
        raise DataError(f"the data of {name!r} are not rectangular: give every row equally many values") from error
    if found.dtype.kind not in kinds:
        found = np.array(values, object)
        for value in found.ravel().tolist():
            if not isinstance(value, types):
                raise DataError(f"{name!r} is {NAMES[dtype]}, {WHAT[dtype.kind]}; got {shown(value)}")
    return found


def _texts(content: bytes, name: str) -> np.ndarray:
    """``[N]`` texts that are behind one another, each behind its length."""
    found, at = [], 0
    while at < len(content):
        end = at + LENGTH.size
        end += LENGTH.unpack_from(content, at)[0] if end <= len(content) else 0
        if end > len(content):
            raise DataError(f"the bytes of {name!r} end within a text: before each text come 4 bytes with its length")
        try:
            found.append(content[at + LENGTH.size : end].decode())
        except UnicodeDecodeError as error:
            raise DataError(f"text {len(found) + 1} of {name!r} is not UTF-8") from error
        at = end
    texts = np.empty(len(found), object)
    texts[:] = found
    return texts
