"""A request for inference: what its JSON and its bytes ask for, checked once.

Reference:
    As for tensors.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

from spikebayes.app.server.tensors import from_bytes, from_values
from spikebayes.errors import DataError
from spikebayes.machine.choices import near
from spikebayes.machine.fields import check_fields

Part = TypeVar("Part")
HALVES = re.compile(r"\\u[dD][89a-fA-F]")  # JSON's way to write characters beyond 16 bits, or half of one
SIZE, BINARY, ALL_BINARY = "binary_data_size", "binary_data", "binary_data_output"  # parameters of the extension


@dataclass(frozen=True)
class Parameters:
    """What a request may set; None is the server's own.

    Args:
        samples: per row.
        seed: of the masks, in [0, 2^64).
        coverage: of intervals or sets.
        binary_data_output: whether tensors come back as bytes, where an output does not say so itself.
    """

    samples: int | None = None
    seed: int | None = None
    coverage: float | None = None
    binary_data_output: bool = False


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Args:
        inputs: tensors by name.
        parameters: of the prediction.
        outputs: by name, whether in bytes; None is all that come unasked.
        id: of the request, which its answer repeats.
    """

    inputs: dict[str, np.ndarray]
    parameters: Parameters
    outputs: dict[str, bool] | None = None
    id: str | None = None


@dataclass(frozen=True)
class RequestInput:
    """A tensor in a request's JSON."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True)
class RequestOutput:
    """A tensor that a request's JSON asks for."""

    name: str
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True)
class InferenceRequest:
    """A request's JSON."""

    inputs: list[Any]
    outputs: list[Any] | None = None
    parameters: dict[str, Any] | None = field(default_factory=dict)
    id: str | None = None


def read_request(content: bytes, json_bytes: int | None = None) -> Asked:
    """A request's body.

    Args:
        content: JSON, and behind it the bytes of tensors that have a ``binary_data_size``, in their order.
        json_bytes: how many of them are JSON, as the header ``Inference-Header-Content-Length`` says; None: all.

    Raises:
        DataError: says what is wrong with it.

    Example:
        >>> entry = '{"name": "input", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}'
        >>> asked = read_request(f'{{"inputs": [{entry}], "parameters": {{"seed": 3}}}}'.encode())
        >>> asked.inputs["input"].tolist(), asked.parameters.seed
        ([[1.0, 2.0]], 3)
    """
    size = len(content) if json_bytes is None else json_bytes
    if not 0 < size <= len(content):
        raise DataError(f"{size} bytes of JSON were announced, the body has {len(content)}")
    body = _part(InferenceRequest, _json(content[:size]), "the request")
    parameters = parameters_of(body.parameters or {})
    inputs: dict[str, np.ndarray] = {}
    at = size
    for number, entry in enumerate(body.inputs):
        told = _part(RequestInput, entry, f"input {number}")
        if told.name in inputs:
            raise DataError(f"the input {told.name!r} occurs twice in the request; send each tensor once")
        length = (told.parameters or {}).get(SIZE)
        if length is None:
            if told.data is None:
                raise DataError(f"the input {told.name!r} has neither data nor a {SIZE}")
            inputs[told.name] = from_values(told.data, told.datatype, told.shape, told.name)
            continue
        if not isinstance(length, int) or not 0 <= length <= len(content) - at:
            raise DataError(f"the {SIZE} of {told.name!r} is {length!r}; {len(content) - at} bytes are left")
        inputs[told.name] = from_bytes(content[at : at + length], told.datatype, told.shape, told.name)
        at += length
    if at < len(content):
        raise DataError(f"{len(content) - at} bytes after the JSON belong to no tensor; give each its {SIZE}")
    return Asked(inputs, parameters, _asked_outputs(body, parameters), body.id)


def parameters_of(given: Mapping[str, Any]) -> Parameters:
    """Parameters as JSON has them.

    Raises:
        DataError: an unknown one, or a value of another kind.

    Example:
        >>> parameters_of({"sample": 3})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        spikebayes.errors.DataError: there is no parameter 'sample' (did you mean 'samples'?); known are samples, ...
    """
    known = [each.name for each in fields(Parameters)]
    for name in given:
        if name not in known:
            raise DataError(f"there is no parameter {name!r}{near(name, known)}; known are {', '.join(known)}")
    return _part(Parameters, given, "the parameters")


def _asked_outputs(body: InferenceRequest, parameters: Parameters) -> dict[str, bool] | None:
    """By name, whether in bytes."""
    if not body.outputs:
        return None
    asked = [_part(RequestOutput, entry, f"output {number}") for number, entry in enumerate(body.outputs)]
    return {each.name: (each.parameters or {}).get(BINARY, parameters.binary_data_output) is True for each in asked}


def _json(content: bytes) -> Any:
    try:
        text = content.decode(json.detect_encoding(content))  # strictly, which loads does not
        found = json.loads(text)
        if HALVES.search(text):
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise DataError(f"the body holds {half}, half of a character, which is no text: send whole ones") from error
    except (ValueError, RecursionError) as error:  # also what is no UTF-8
        raise DataError(f"the body is not JSON: {str(error)[:200]}") from error
    return found


def _part(kind: type[Part], given: Any, what: str) -> Part:
    """A part of a request as its class; what the class does not know is left out.

    Raises:
        DataError: something is missing, or of another kind.
    """
    if not isinstance(given, Mapping):
        raise DataError(f"{what} must be a JSON object; got {type(given).__name__}")
    known = {each.name: given[each.name] for each in fields(kind) if each.name in given}  # pyright: ignore[reportArgumentType]
    for each in fields(kind):  # pyright: ignore[reportArgumentType]
        if each.name not in known and each.default is MISSING and each.default_factory is MISSING:
            raise DataError(f"{what} has no {each.name!r}")
    check_fields(kind, known)
    return kind(**known)
