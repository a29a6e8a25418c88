"""Answers of a server: those of predict on the same rows, to the bit, whatever form the tensors have."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

from problems import table
from served import Server, arrays, tensor

Start = Callable[..., Server]
ROWS = table(7, seed=1)
X = ROWS[["a", "b"]].to_numpy()
RAW = {"Inference-Header-Content-Length": "0"}


def packed(server: Server, told: dict[str, Any], behind: bytes) -> requests.Response:
    """Ask with bytes behind the JSON."""
    text = json.dumps(told).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    return requests.post(f"{server.address}/infer", data=text + behind, headers=headers, timeout=60)


def unpacked(response: requests.Response) -> dict[str, np.ndarray]:
    """The outputs of an answer in bytes."""
    at = int(response.headers["Inference-Header-Content-Length"])
    found = {}
    for entry in json.loads(response.content[:at])["outputs"]:
        size = entry["parameters"]["binary_data_size"]
        dtype = {"FP32": np.float32, "FP64": np.float64}[entry["datatype"]]
        found[entry["name"]] = np.frombuffer(response.content[at : at + size], dtype).reshape(entry["shape"])
        at += size
    assert at == len(response.content)
    return found


# -- values ------------------------------------------------------------------------------------------------


def test_answers_are_predictions_to_the_bit(start: Start) -> None:
    server = start()
    p = server.expected(ROWS, samples=30, seed=5)
    parameters = {"samples": 30, "seed": 5, "coverage": 0.5}
    answer = server.infer(id="seven", inputs=[tensor(X)], parameters=parameters).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("run", "1", "seven")
    assert answer["parameters"] == parameters
    found = arrays(answer)
    assert list(found) == ["mean", "std", "lower", "upper"]
    lower, upper = p.interval(0.5)
    for name, expected in {"mean": p.mean, "std": p.std, "lower": lower, "upper": upper}.items():
        assert found[name].shape == (7, 1)
        np.testing.assert_array_equal(found[name], expected.numpy())


def test_outputs_are_those_asked_for_in_their_order(start: Start) -> None:
    server = start()
    names = ["samples", "noise_std", "model_std", "outside", "mean"]
    wide = ROWS.assign(a=[99.0, *ROWS["a"][1:]])
    asked = [{"name": name} for name in names]
    found = arrays(server.infer(inputs=[tensor(wide[["a", "b"]])], outputs=asked).json())
    p = server.expected(wide)
    assert list(found) == names
    np.testing.assert_array_equal(found["samples"], p.samples.numpy())
    np.testing.assert_array_equal(found["model_std"], p.model_std.numpy())
    assert (found["noise_std"] == 0.5).all()
    assert found["outside"][:2].tolist() == ["a", ""]


def test_one_sample_has_no_spread(start: Start) -> None:
    answer = start().infer(inputs=[tensor(X)], parameters={"samples": 1}).json()
    told = {o["name"]: o["data"] for o in answer["outputs"]}
    assert told["std"] == told["lower"] == [None] * 7
    assert None not in told["mean"]


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_bytes_in_and_out(start: Start, datatype: str) -> None:
    server = start()
    x = X.astype({"FP32": np.float32, "FP64": np.float64}[datatype])
    entry = {"name": "input", "datatype": datatype, "shape": [7, 2], "parameters": {"binary_data_size": x.nbytes}}
    asked = {"inputs": [entry], "parameters": {"binary_data_output": True, "seed": 3}}
    found = unpacked(packed(server, asked, x.tobytes()))
    p = server.expected(pd.DataFrame(x, columns=["a", "b"]), seed=3)
    np.testing.assert_array_equal(found["mean"], p.mean.numpy())
    np.testing.assert_array_equal(found["upper"], p.upper.numpy())


def test_an_output_says_itself_whether_it_comes_in_bytes(start: Start) -> None:
    outputs = [{"name": "mean", "parameters": {"binary_data": True}}, {"name": "std"}]
    response = start().infer(inputs=[tensor(X)], outputs=outputs)
    text = json.loads(response.content[: int(response.headers["Inference-Header-Content-Length"])])
    assert [("data" in o, (o.get("parameters") or {}).get("binary_data_size")) for o in text["outputs"]] == [
        (False, 28),
        (True, None),
    ]


@pytest.mark.parametrize("header", [RAW, {"Content-Type": "application/octet-stream"}])
def test_a_raw_body_is_the_input_alone(start: Start, header: dict[str, str]) -> None:
    server = start()
    x = X.astype(np.float32)
    given = {"params": {"seed": 3, "samples": 9}, "headers": header, "timeout": 60}
    found = unpacked(requests.post(f"{server.address}/infer", data=x.tobytes(), **given))
    p = server.expected(pd.DataFrame(x, columns=["a", "b"]), samples=9, seed=3)
    np.testing.assert_array_equal(found["lower"], p.lower.numpy())


def test_numbers_that_float32_merges_are_taken_in_float64(start: Start) -> None:
    """Far from 0 the metadata ask for FP64, and so does a raw body."""
    server = start("far")
    frame = table(5, seed=2)[["a", "b"]] + [1e9, 0]
    told = requests.get(server.address, timeout=60).json()
    assert told["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 2]}]
    assert {"name": "mean", "datatype": "FP64", "shape": [-1, 1]} in told["outputs"]
    response = requests.post(f"{server.address}/infer", data=frame.to_numpy().tobytes(), headers=RAW, timeout=60)
    mean = unpacked(response)["mean"]
    assert mean.dtype == np.float64
    np.testing.assert_array_equal(mean, server.expected(frame).mean.numpy())
    assert len(np.unique(mean)) == 5


# -- columns and classes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["columns", "one of width 1", "text"])
def test_labels_are_columns_of_their_own(start: Start, form: str) -> None:
    server = start("mixed")
    colors = ["red", "green", None, "blue", "pink", "red", "red"]
    frame = ROWS[["a", "color"]].assign(color=colors)
    labels = {"name": "color", "datatype": "BYTES", "shape": [7], "data": colors}
    numbers = tensor(frame["a"], "a")
    inputs = [labels, numbers]
    if form == "one of width 1":
        inputs = [numbers | {"shape": [7, 1]}, labels | {"shape": [7, 1]}]
    if form == "text":
        cells = [[str(a), color or ""] for a, color in zip(frame["a"], colors, strict=True)]
        inputs = [{"name": "input", "datatype": "BYTES", "shape": [7, 2], "data": cells}]
    found = arrays(server.infer(inputs=inputs, outputs=[{"name": "samples"}, {"name": "outside"}]).json())
    np.testing.assert_array_equal(found["samples"], server.expected(frame).samples.numpy())
    assert found["outside"].tolist() == ["", "", "color", "", "color", "", ""]


def test_classes_are_answered_as_in_a_table_of_predictions(start: Start) -> None:
    server = start("classes")
    expected = server.expected(ROWS).to_pandas((), 0.7)
    found = arrays(server.infer(inputs=[tensor(X)], parameters={"coverage": 0.7}).json())
    assert list(found) == ["class", "p_down", "p_up", "entropy", "mutual_information", "set", "outside"]
    for name, column in expected.items():
        np.testing.assert_array_equal(found[str(name)], column)
    asked = [{"name": "samples"}, {"name": "mean"}]
    more = arrays(server.infer(inputs=[tensor(X)], outputs=asked).json())
    assert more["samples"].shape == (20, 7, 2)
    np.testing.assert_array_equal(more["mean"][:, 1], expected["p_up"])


# -- parts -------------------------------------------------------------------------------------------------


def test_a_long_request_is_done_in_parts_and_nothing_of_it_shows(start: Start) -> None:
    """450 rows with 20 samples are 3 parts; and whatever is warned of is told once."""
    server = start()
    frame = table(450, seed=3).assign(a=[1e4] * 300 + [0.0] * 150)  # other shares of it in each part
    answer = server.infer(inputs=[tensor(frame[["a", "b"]])]).json()
    p = server.expected(frame)
    np.testing.assert_array_equal(arrays(answer)["mean"], p.mean.numpy())
    np.testing.assert_array_equal(arrays(answer)["upper"], p.upper.numpy())
    assert answer["parameters"]["warning"].count("trained on standardised inputs") == 1


def test_noise_that_is_told_row_by_row_is_put_together_too(start: Start) -> None:
    server = start("noisy")
    frame = table(450, seed=3)
    found = arrays(server.infer(inputs=[tensor(frame[["a", "b"]])], outputs=[{"name": "noise_std"}]).json())
    np.testing.assert_array_equal(found["noise_std"], server.expected(frame).noise_std)
    assert len(np.unique(found["noise_std"])) > 400
