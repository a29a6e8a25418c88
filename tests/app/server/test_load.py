"""Many clients at once, slow ones and broken ones, and an end while all of them are waiting: nothing is mixed up."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests

from problems import table
from served import BRIEF, Server, arrays, running, tensor, wait_until
from spikebayes.app.run_folder import load_run, save_run
from spikebayes.app.table_run import TableRun

Start = Callable[..., Server]
HEAD = "POST {path}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
BROKEN = (
    b"no request\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"GET",
    b"",
)


def asked(which: int) -> tuple[int, int, int]:
    """Rows, samples and seed of a request."""
    return 1 + which % 5, 5 + 3 * (which % 4), which % 3


def answered(server: Server, which: int, url: str | None = None) -> np.ndarray:
    """The samples that a request brings, and none before it is accepted."""
    rows, samples, seed = asked(which)
    frame = table(rows, seed=which)[["a", "b"]]
    body = {"inputs": [tensor(frame)], "outputs": [{"name": "samples"}], "id": str(which)}
    body["parameters"] = {"samples": samples, "seed": seed}
    answer = requests.post(f"{url or server.address}/infer", json=body, timeout=60).json()
    assert answer["id"] == str(which)
    return arrays(answer)["samples"]


def expected(server: Server, which: int) -> np.ndarray:
    rows, samples, seed = asked(which)
    return server.expected(table(rows, seed=which), samples, seed).samples.numpy()


@contextmanager
def troubled(server: Server) -> Iterator[None]:
    """Clients that send a byte now and then, and clients that send nonsense and leave."""
    where, over = urlsplit(server.address), threading.Event()
    chance = random.Random(0)

    def connect() -> socket.socket:
        return socket.create_connection((where.hostname, where.port), timeout=60)

    def slow() -> None:
        with connect() as connection:
            connection.sendall(HEAD.format(path=where.path).encode())
            while not over.wait(0.05):
                connection.sendall(b" ")

    def broken() -> None:
        while not over.wait(0.02):
            with suppress(OSError), connect() as connection:
                connection.sendall(chance.choice(BROKEN) or HEAD.format(path=where.path).encode() + b'{"inputs": ')

    with ThreadPoolExecutor(10) as pool:
        done = [pool.submit(client) for client in [slow] * 8 + [broken] * 2]
        try:
            yield
        finally:
            over.set()
            for each in done:
                each.result()


def test_clients_get_their_own_answers_whoever_else_is_there(runs: dict[str, TableRun]) -> None:
    """The samples of each request are those that predict gives for it alone, and health answers at once."""
    with running(runs["values"]) as server:
        alone = [expected(server, which) for which in range(16)]
        slowest = 0.0
        with troubled(server), ThreadPoolExecutor(16) as clients:
            made = [clients.submit(answered, server, which % 16) for which in range(48)]
            while not all(each.done() for each in made):
                begun = time.perf_counter()
                assert requests.get(f"{server.url}/v2/health/ready", timeout=60).json() == {"ready": True}
                slowest = max(slowest, time.perf_counter() - begun)
                time.sleep(0.1)
        for which, each in enumerate(made):
            np.testing.assert_array_equal(each.result(), alone[which % 16])
        assert slowest < 5
        wait_until(lambda: server.service.running == 0)  # those of clients that have left too


def test_a_server_that_stops_finishes_what_runs_and_refuses_the_rest(runs: dict[str, TableRun]) -> None:
    with running(runs["values"]) as server, ThreadPoolExecutor(4) as clients:
        body = {"inputs": [tensor(table(900, seed=1)[["a", "b"]])], "parameters": {"samples": 100}}
        made = [clients.submit(server.infer, **body) for _ in range(3)]
        wait_until(lambda: server.service.running == 3)
        server.service.stopping = True
        late = requests.post(f"{server.address}/infer", json=body, timeout=60)
        assert late.status_code == 503
        assert "the server is stopping" in late.json()["error"]
        assert requests.get(f"{server.url}/v2/health/ready", timeout=60).status_code == 503
        mean = server.expected(table(900, seed=1), 100).mean.numpy()
        for each in made:
            np.testing.assert_array_equal(arrays(each.result().json())["mean"], mean)


@pytest.mark.slow
def test_a_process_that_is_told_to_stop_while_it_is_busy(runs: dict[str, TableRun], tmp_path: Path) -> None:
    """Every request has its answer, or was never accepted; the exit code is 0, and nobody has seen the token."""
    save_run(runs["values"], tmp_path / "my run")
    command = [sys.executable, "-m", "spikebayes.app.cli", "serve", "my run", "--port", "0", "--samples", "20"]
    command += ["--steps", str(BRIEF["steps"]), "--burn-in", str(BRIEF["burn_in"])]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = os.environ | {"SPIKEBAYES_TOKEN": "sesame"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **streams) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"served at (http://127.0.0.1:\d+/v2/models/my%20run);", said)
        assert found, said + process.stdout.read()
        session = requests.Session()
        session.headers["Authorization"] = "Bearer sesame"
        body = {"inputs": [tensor(table(900, seed=1)[["a", "b"]])], "parameters": {"samples": 100}}

        def ask() -> requests.Response | None:
            with suppress(requests.ConnectionError):
                return session.post(f"{found[1]}/infer", json=body, timeout=60)
            return None

        with ThreadPoolExecutor(8) as clients:
            first = [clients.submit(ask) for _ in range(4)]
            metrics = found[1].split("/v2")[0] + "/metrics"
            wait_until(lambda: "spikebayes_running 4.0" in session.get(metrics, timeout=60).text)
            process.send_signal(signal.SIGTERM)
            second = [clients.submit(ask) for _ in range(8)]
        rest = process.stdout.read()
    assert process.returncode == 0, rest
    assert rest == "stopped; every request that was running was answered\n"
    assert "sesame" not in said + rest
    run = load_run(tmp_path / "my run")
    mean = run.predict(table(900, seed=1), network=run.network(), samples=100, **BRIEF).mean.numpy()
    for each in first:
        response = each.result()
        assert response is not None
        np.testing.assert_array_equal(arrays(response.json())["mean"], mean)
    late = [each.result() for each in second]
    assert {None if each is None else each.status_code for each in late} <= {None, 200, 503}
