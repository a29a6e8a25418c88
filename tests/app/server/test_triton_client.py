"""The client that others use for this protocol."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from problems import table
from served import Server

Start = Callable[..., Server]
ROWS = table(6, seed=4)


@pytest.fixture(scope="module")
def triton() -> ModuleType:
    return pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")


def test_it_finds_the_model_and_its_metadata(triton: ModuleType, start: Start) -> None:
    server = start()
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("run")
    assert client.is_model_ready("run", "1")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.get_model_metadata("run") == server.model.metadata()


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_it_reads_what_predict_says(triton: ModuleType, start: Start, datatype: str, binary: bool) -> None:
    server = start()
    x = ROWS[["a", "b"]].to_numpy({"FP32": np.float32, "FP64": np.float64}[datatype])
    tensor = triton.InferInput("input", list(x.shape), datatype)
    tensor.set_data_from_numpy(x, binary_data=binary)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("samples", "upper")]
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    settings = {"request_id": "9", "parameters": {"samples": 12, "seed": 8}}
    answer = client.infer("run", [tensor], outputs=outputs, **settings)
    assert answer.get_response()["id"] == "9"
    p = server.expected(ROWS.assign(a=x[:, 0], b=x[:, 1]), samples=12, seed=8)
    np.testing.assert_array_equal(answer.as_numpy("samples"), p.samples.numpy())
    np.testing.assert_array_equal(answer.as_numpy("upper"), p.upper.numpy())


def test_it_sends_labels(triton: ModuleType, start: Start) -> None:
    server = start("mixed")
    labels = triton.InferInput("color", [6, 1], "BYTES")
    labels.set_data_from_numpy(ROWS[["color"]].to_numpy(object))
    numbers = triton.InferInput("a", [6], "FP64")
    numbers.set_data_from_numpy(ROWS["a"].to_numpy())
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    answer = client.infer("run", [labels, numbers])  # all outputs, in bytes
    np.testing.assert_array_equal(answer.as_numpy("mean"), server.expected(ROWS).mean.numpy())


def test_it_reads_labels_and_refusals(triton: ModuleType, start: Start) -> None:
    server = start("classes")
    tensor = triton.InferInput("input", [6, 2], "FP64")
    tensor.set_data_from_numpy(ROWS[["a", "b"]].to_numpy())
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    expected = server.expected(ROWS).to_pandas()
    answer = client.infer("run", [tensor])
    assert [text.decode() for text in answer.as_numpy("class")] == list(expected["class"])
    with pytest.raises(triton.InferenceServerException, match="there is no parameter 'temperature'"):
        client.infer("run", [tensor], parameters={"temperature": 2})
