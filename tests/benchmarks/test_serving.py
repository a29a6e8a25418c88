"""The measurement of a server, on one that answers at once: what it counts as right, wrong, refused and lost."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import numpy as np

from benchmarks.serving import Asked, Served
from problems import table
from served import running, tensor, untrained


def requested(frame: Any, means: np.ndarray, **parameters: Any) -> Asked:
    body = {"inputs": [tensor(frame[["a", "b"]])], "parameters": parameters}
    return Asked(json.dumps(body).encode(), means)


def test_answers_are_held_against_those_of_predict() -> None:
    frame = table(3, seed=1)
    with running(untrained(table()[["a", "b", "y"]], "y")) as server:
        means = server.expected(frame).mean.numpy()[:, 0]
        given = [requested(frame, means), requested(frame, means, seed=1), requested(frame, means, samples=0)]
        served = Served(None, int(server.url.rpartition(":")[2]))  # pyright: ignore[reportArgumentType]
        found = served.measured(given, 3, 0.5)
    assert set(found) == {"right", "wrong", "refused with 400", "p50 ms", "p99 ms", "requests / s"}
    assert 0 < found["p50 ms"] <= found["p99 ms"]


def test_what_was_sent_and_not_answered_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def leave() -> None:
            connection, _ = silent.accept()
            got = b""
            while not got.endswith(b"{}"):  # all of it, or what is still being sent was not accepted
                got += connection.recv(1000)
            silent.close()
            connection.close()

        thread = threading.Thread(target=leave)
        thread.start()
        served = Served(None, silent.getsockname()[1])  # pyright: ignore[reportArgumentType]
        found = served.measured([Asked(b"{}", np.zeros(1))] * 2, 1, 0.2)
        thread.join()
    assert found.pop("lost") == 1
    assert list(found) == ["not accepted"]
