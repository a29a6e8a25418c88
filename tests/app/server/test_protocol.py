"""The server as the protocol describes it: what it says of itself, and how it refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from served import Server, running, tensor, wait_until
from spikebayes.app.server.service import Limits
from spikebayes.app.table_run import TableRun

Start = Callable[..., Server]
ROW = tensor([[1.0, 2.0]])


def test_what_the_server_says_of_itself(start: Start) -> None:
    server = start()
    told = requests.get(f"{server.url}/v2", timeout=60).json()
    assert told["name"] == "spikebayes"
    assert told["extensions"] == ["binary_tensor_data"]
    assert requests.get(f"{server.url}/v2/health/live", timeout=60).json() == {"live": True}
    assert requests.get(f"{server.url}/v2/health/ready", timeout=60).json() == {"ready": True}
    for address in (server.address, f"{server.address}/versions/1"):
        assert requests.get(f"{address}/ready", timeout=60).json() == {"name": "run", "ready": True}
        assert requests.get(address, timeout=60).json() == server.model.metadata()


def test_metadata_of_values(start: Start) -> None:
    told = start().model.metadata()
    assert told["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 2]}]
    assert told["parameters"] == {"features": ["a", "b"], "targets": ["y"]}
    shapes = {o["name"]: (o["datatype"], o["shape"]) for o in told["outputs"]}
    assert shapes == {
        **dict.fromkeys(["mean", "model_std", "noise_std", "std", "lower", "upper"], ("FP32", [-1, 1])),
        "samples": ("FP32", [-1, -1, 1]),
        "outside": ("BYTES", [-1]),
    }


def test_metadata_of_labels_and_of_classes(start: Start) -> None:
    mixed = start("mixed").model.metadata()
    assert [(i["name"], i["datatype"], i["shape"]) for i in mixed["inputs"]] == [
        ("a", "FP32", [-1]),
        ("color", "BYTES", [-1]),
    ]
    classes = start("classes").model.metadata()
    assert classes["parameters"] == {"features": ["a", "b"], "classes": ["down", "up"]}
    shapes = {o["name"]: (o["datatype"], o["shape"]) for o in classes["outputs"]}
    assert shapes["class"] == shapes["set"] == ("BYTES", [-1])
    assert shapes["p_up"] == ("FP32", [-1])
    assert shapes["samples"] == ("FP32", [-1, -1, 2])


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("values", {"inputs": []}, "no inputs; send 'input' [B, 2]"),
        ("values", {"inputs": [ROW, ROW]}, "'input' occurs twice"),
        ("values", {"inputs": [tensor([[1.0, 2, 3]])]}, "'input' must be [B, 2], the columns 'a', 'b'"),
        ("values", {"inputs": [tensor([1.0, 2])]}, "'input' must be [B, 2]"),
        ("values", {"inputs": [tensor([[float("1e300"), 1]])]}, "infinite"),
        ("values", {"inputs": [tensor([1.0], "a"), tensor([1.0, 2], "b")]}, "equally many rows; got 'a' 1, 'b' 2"),
        ("values", {"inputs": [tensor([1.0], "a"), tensor([1.0], "B")]}, "did you mean 'B'?"),
        ("values", {"inputs": [tensor([[1.0, 2]], "a"), tensor([1.0], "b")]}, "'a' must be [B] or [B, 1]"),
        ("values", {"inputs": [ROW | {"data": [], "shape": [0, 2]}]}, "no rows"),
        ("values", {"inputs": [ROW | {"shape": "2"}]}, "'shape' of RequestInput must be a list"),
        ("values", {"inputs": [{"name": "input", "shape": [1, 2]}]}, "input 0 has no 'datatype'"),
        ("values", {"inputs": "x"}, "'inputs' of InferenceRequest must be a list"),
        ("values", {"inputs": [ROW], "outputs": [{"name": "meen"}]}, "no output 'meen' (did you mean 'mean'?)"),
        ("values", {"inputs": [ROW], "parameters": {"sample": 2}}, "did you mean 'samples'?"),
        ("values", {"inputs": [ROW], "parameters": {"samples": 0}}, "samples must be a whole number, at least 1"),
        ("values", {"inputs": [ROW], "parameters": {"samples": 2000}}, "samples must be at most 1,000; got 2,000"),
        (
            "values",
            {"inputs": [ROW], "parameters": {"samples": "9"}},
            "'samples' of Parameters must be a whole number",
        ),
        ("values", {"inputs": [ROW], "parameters": {"seed": -1}}, "seed"),
        ("values", {"inputs": [ROW], "parameters": {"coverage": 90}}, "coverage must lie in (0, 1)"),
        ("values", {"inputs": [tensor([[0.0, 1]] * 4097)]}, "at most 4096 rows; got 4097"),
        ("far", {"inputs": [ROW | {"datatype": "FP32"}]}, "column 'a' lies so far from 0 that FP32 does not tell"),
        ("mixed", {"inputs": [ROW]}, "column 'color' holds labels, dates or percent signs, and numbers came"),
        ("mixed", {"inputs": [tensor([1.0], "a"), tensor([1.0], "color")]}, "column 'color' holds labels"),
    ],
)
def test_a_bad_request_is_refused_in_one_sentence(start: Start, name: str, change: dict[str, Any], says: str) -> None:
    response = start(name).infer(**change)
    assert response.status_code == 400
    assert list(response.json()) == ["error"]
    assert says in response.json()["error"]
    assert "\n" not in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"", {}, 400, "0 bytes of JSON were announced"),
        (b'{"inputs": [', {}, 400, "not JSON"),
        (b"\xff\xfe", {}, 400, "not JSON"),
        (b'{"inputs": "\xed\xa0\x80"}', {}, 400, "not JSON"),
        (b'{"inputs": ["\\uD800"]}', {}, 400, "the body holds '\\ud800', half of a character, which is no text"),
        (b'{"inputs": {"\\ud83d\\ude00": 1}}', {}, 400, "'inputs' of InferenceRequest must be a list"),
        (b"[]", {}, 400, "the request must be a JSON object; got list"),
        (b"{}", {"Inference-Header-Content-Length": "3"}, 400, "3 bytes of JSON were announced, the body has 2"),
        (b"{}", {"Inference-Header-Content-Length": "-1"}, 400, "must be a number of bytes; got '-1'"),
        (
            b'{"inputs":[]}\0\0',
            {"Inference-Header-Content-Length": "13"},
            400,
            "2 bytes after the JSON belong to no",
        ),
        (b"1234567", {"Inference-Header-Content-Length": "0"}, 400, "2 features, FP32, 8 bytes each; got 7 bytes"),
        (b"x", {"Content-Encoding": "gzip"}, 415, "compressed by gzip"),
        (b" " * 2000, {}, 413, "at most 1000 bytes"),
        (b"{}", {"Authorization": "Bearer wrong"}, 401, "Authorization: Bearer TOKEN"),
        (b"{}", {"Authorization": ""}, 401, "Authorization: Bearer TOKEN"),
    ],
)
def test_a_bad_body_is_refused_in_one_sentence(
    start: Start, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    server = start(limits=Limits(body=1000 / 2**20), token="sesame")
    given = {"Authorization": "Bearer sesame"} | headers
    response = requests.post(f"{server.address}/infer", data=body, headers=given, timeout=60)
    assert response.status_code == status, response.text
    assert says in response.json()["error"]


def test_brackets_without_end_are_refused(start: Start) -> None:
    response = requests.post(f"{start().address}/infer", data=b"[" * 100_000, timeout=60)
    assert (response.status_code, response.json()["error"][:20]) == (400, "the body is not JSON")


def test_a_token_opens_everything_and_health_needs_none(start: Start) -> None:
    server = start(limits=Limits(body=1000 / 2**20), token="sesame")
    bearing = {"Authorization": "Bearer sesame"}
    for path in ("/v2", "/v2/models/run", "/v2/models/run/ready", "/metrics"):
        refused = requests.get(server.url + path, timeout=60)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert "sesame" not in refused.text
        assert requests.get(server.url + path, headers=bearing, timeout=60).status_code == 200
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert requests.get(server.url + path, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/v2/models/other", 404, "no model 'other', version 1; there is 'run', version 1"),
        ("POST", "/v2/models/run/versions/2/infer", 404, "no model 'run', version 2"),
        ("GET", "/", 404, "GET / is not a request of the protocol; its paths are /v2"),
        ("GET", "/v2/models/run/infer", 405, "GET /v2/models/run/infer is not a request"),
    ],
)
def test_what_is_not_there(start: Start, method: str, path: str, status: int, says: str) -> None:
    response = requests.request(method, start().url + path, timeout=60)
    assert response.status_code == status
    assert says in response.json()["error"]


def test_a_body_that_waits_for_a_word_is_refused_before_it_is_sent(start: Start) -> None:
    """As curl sends what is large."""
    server = start(limits=Limits(body=1000 / 2**20), token="sesame")
    where = urlsplit(server.address)
    head = f"POST {where.path}/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sesame\r\n"
    head += "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_request_that_takes_too_long_is_let_go(runs: dict[str, TableRun]) -> None:
    """Whether it sends slowly or asks for much; the others go on."""
    with running(runs["values"], Limits(seconds=1)) as server:
        where = urlsplit(server.address)
        with socket.create_connection((where.hostname, where.port), timeout=60) as slow:
            slow.sendall(f"POST {where.path}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
            many = server.infer(inputs=[tensor([[0.0, 1]] * 4000)], parameters={"samples": 1000})
            assert server.infer(inputs=[ROW]).status_code == 200
            said = b"".join(iter(lambda: slow.recv(1000), b""))  # until it is closed
        for status, text in ((many.status_code, many.text), (int(said.split()[1]), said.decode())):
            assert status == 408
            assert "took longer than the 1 s" in text
        assert server.service.running == 0


def test_more_requests_than_may_be_at_work_are_refused(runs: dict[str, TableRun]) -> None:
    with running(runs["values"], Limits(requests=1)) as server:
        where = urlsplit(server.address)
        with socket.create_connection((where.hostname, where.port), timeout=60) as busy:
            head = f"POST {where.path}/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{{"
            busy.sendall(head.encode())
            wait_until(lambda: server.service.running == 1)
            refused = server.infer(inputs=[ROW])
            assert (refused.status_code, refused.json()["error"][:29]) == (429, "1 requests are being answered")
            busy.sendall(b'"a": 1 }')
            assert b'{"error":"the request has no \'inputs\'"}' in b"".join(iter(lambda: busy.recv(1000), b""))
        assert server.infer(inputs=[ROW]).status_code == 200


def test_what_prometheus_reads(runs: dict[str, TableRun]) -> None:
    with running(runs["values"]) as server:
        server.infer(inputs=[tensor([[0.0, 1]] * 3)], parameters={"samples": 5})
        server.infer(inputs=[])
        told = requests.get(f"{server.url}/metrics", timeout=60)
        assert told.headers["Content-Type"].startswith("text/plain")
        lines = dict(line.rsplit(" ", 1) for line in told.text.splitlines() if line[:1] != "#")
        assert float(lines['spikebayes_requests_total{status="200"}']) == 1
        assert float(lines['spikebayes_requests_total{status="400"}']) == 1
        assert float(lines["spikebayes_rows_total"]) == 3
        assert float(lines["spikebayes_samples_total"]) == 15
        assert float(lines["spikebayes_request_seconds_count"]) == 1
        assert float(lines["spikebayes_running"]) == 0


def test_a_fault_of_the_server_is_no_secret_of_its_code(runs: dict[str, TableRun], caplog: Any) -> None:
    with running(runs["values"]) as server:
        object.__setattr__(server.model, "predict", lambda *_: 1 / 0)
        response = server.infer(inputs=[ROW])
        assert response.status_code == 500
        assert json.loads(response.text) == {"error": "the server failed on this request; its log says how"}
    assert "ZeroDivisionError" in caplog.text
