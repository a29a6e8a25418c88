"""``python -m benchmarks.serving``: what a server adds to predict, and whether it loses anything under load.

The command line is run as a user runs it. Every answer is held against the one that predict gives in process: under
one client and many, beside clients that are slow or send nonsense, when the server is told to stop while all of them
wait, and when it is killed and started again.
"""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from spikebayes import SpikebayesError
from spikebayes.app.run_folder import load_run
from studies import command_line
from studies.command_line import OUT

FEATURES, TRAINING = 10, 2000
DISTINCT = 32  # requests, each with rows and a seed of its own
SLOW, BROKEN = 8, 4  # clients that are in the way
PATIENCE = 120  # seconds, of a client
NONSENSE = (b"GET\r\n\r\n", b"\x16\x03\x01", b"POST /v2 HTTP/1.1\r\nContent-Length: x\r\n\r\n", b'{"inputs": [')


def serving(
    *,
    clients: int = 64,
    seconds: float = 20.0,
    rows: int = 1,
    samples: int = 100,
    epochs: int = 20,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Serve a 10-100-100-1 network on a table of numbers.

    Args:
        clients: at a time.
        seconds: of each measurement.
        rows: of a request.
        samples: of a row.
        epochs: of the training.
        seed: of everything.
        out: JSON file for the figures.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _table(TRAINING, seed).to_csv(folder / "t.csv", index=False)
        fit = ["fit", "t.csv", "--target", "y", "--hidden", "100", "100", "--epochs", str(epochs), "--out", "run"]
        subprocess.run(_command(fit), cwd=folder, check=True, stdout=subprocess.DEVNULL)
        asked, found = _in_process(folder / "run", rows, samples, seed, seconds)
        found |= {"clients": clients, "rows": rows, "samples": samples}
        with _served(folder) as server:
            found["one client"] = server.measured(asked, 1, seconds)
            found["many clients"] = server.measured(asked, clients, seconds)
            with _troubled(server.port):
                found["beside slow and broken ones"] = server.measured(asked, clients, seconds)
            stop = partial(server.process.send_signal, signal.SIGTERM)
            found["told to stop"] = server.measured(asked, clients, seconds, after=stop)
            found["told to stop"]["exit code"] = server.process.wait(PATIENCE)
        with _served(folder) as server:
            found["killed"] = server.measured(asked, clients, seconds, after=server.process.kill)
        with _served(folder) as server:
            found["started again"] = server.measured(asked, clients, seconds)
    text = json.dumps(found, indent=1)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    OUT.print(text, markup=False)


@dataclass(frozen=True)
class Asked:
    """A request, and the means that it must bring."""

    body: bytes
    means: np.ndarray


@dataclass(frozen=True)
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    def measured(
        self, asked: Sequence[Asked], clients: int, seconds: float, after: Callable[[], Any] | None = None
    ) -> dict[str, Any]:
        """What becomes of requests: by outcome how many; and how long those that were answered took.

        Args:
            asked: what is requested, over and over.
            clients: at a time, each on a connection of its own.
            seconds: for how long.
            after: what is done to the server halfway; clients end when they are refused then.
        """
        until, times, outcomes = time.perf_counter() + seconds, list[float](), Counter[str]()

        def client(number: int) -> None:
            with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
                for turn in range(number, sys.maxsize, clients):
                    begun = time.perf_counter()
                    if begun > until:
                        return
                    outcome = _outcome(connection, asked[turn % len(asked)])
                    outcomes[outcome] += 1
                    if outcome == "right":
                        times.append(time.perf_counter() - begun)
                    elif after is not None:
                        return

        begun = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            done = [pool.submit(client, number) for number in range(clients)]
            if after is not None:
                time.sleep(seconds / 2)
                after()
            for each in done:
                each.result()
        return dict(outcomes) | _speed(times, time.perf_counter() - begun)


def _outcome(connection: HTTPConnection, asked: Asked) -> str:
    """What becomes of a request; lost is one that was sent and not answered."""
    try:
        connection.request("POST", "/v2/models/run/infer", asked.body)
    except OSError:
        connection.close()
        return "not accepted"
    try:
        response = connection.getresponse()
        told = json.loads(response.read())
    except (OSError, HTTPException, ValueError):
        connection.close()
        return "lost"
    if response.status != 200:
        return f"refused with {response.status}"
    means = np.array(told["outputs"][0]["data"], np.float32)
    return "right" if np.array_equal(means, asked.means) else "wrong"


def _in_process(
    folder: Path, rows: int, samples: int, seed: int, seconds: float
) -> tuple[list[Asked], dict[str, Any]]:
    """Requests with their answers, and what predict takes for them."""
    run = load_run(folder)
    network, asked, times = run.network(), list[Asked](), list[float]()
    tables = [_table(rows, seed + 1 + each).drop(columns="y") for each in range(DISTINCT)]
    begun = time.perf_counter()
    for turn in range(sys.maxsize):
        at = turn % DISTINCT
        started = time.perf_counter()
        made = run.predict(tables[at], network=network, samples=samples, seed=at, rows=np.arange(rows))
        means = made.to_pandas()["mean"].to_numpy(np.float32)
        times.append(time.perf_counter() - started)
        if turn < DISTINCT:
            x = tables[at].to_numpy()
            entry = {"name": "input", "datatype": "FP64", "shape": list(x.shape), "data": x.ravel().tolist()}
            body = {"inputs": [entry], "parameters": {"samples": samples, "seed": at}}
            asked.append(Asked(json.dumps(body).encode(), means))
        elif time.perf_counter() - begun > seconds:
            break
    return asked, {"in process": _speed(times[1:], sum(times[1:]))}


def _speed(times: Sequence[float], seconds: float) -> dict[str, float]:
    if not times:
        return {}
    half, most = np.quantile(times, [0.5, 0.99]) * 1e3
    return {"p50 ms": round(half, 1), "p99 ms": round(most, 1), "requests / s": round(len(times) / seconds, 1)}


@contextmanager
def _served(folder: Path) -> Iterator[Served]:
    """The run in a folder, served."""
    serve = _command(["serve", "run", "--port", "0"])
    with subprocess.Popen(serve, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"http://\S+", said)
            if found is None:
                raise SpikebayesError(f"the server did not start; it said {said!r}")
            port = urlsplit(found[0]).port
            assert port is not None
            yield Served(process, port)
        finally:
            process.kill()


@contextmanager
def _troubled(port: int) -> Iterator[None]:
    """Clients that send a byte now and then, and clients that send nonsense and leave."""
    over = threading.Event()
    head = b"POST /v2/models/run/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"

    def connected() -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), PATIENCE)

    def slow() -> None:
        while not over.is_set():
            with suppress(OSError), connected() as connection:
                connection.sendall(head)
                while not over.wait(0.1):
                    connection.sendall(b" ")

    def broken(chance: random.Random) -> None:
        while not over.wait(0.01):
            with suppress(OSError), connected() as connection:
                connection.sendall(chance.choice([b"", head]) + chance.choice(NONSENSE))

    with ThreadPoolExecutor(SLOW + BROKEN) as pool:
        for number in range(SLOW + BROKEN):
            pool.submit(slow) if number < SLOW else pool.submit(broken, random.Random(number))
        try:
            yield
        finally:
            over.set()


def _table(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, FEATURES))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(FEATURES)])
    return frame.assign(y=np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=rows))


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "spikebayes.app.cli", *arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(serving, "benchmarks.serving", arguments)


if __name__ == "__main__":
    sys.exit(main())
