"""Servers of trained runs in tests: runs that are untrained, so that they are ready at once; tensors in JSON."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pandas as pd
import requests
import torch

from spikebayes.app.server.listening import listening, serve_until_stopped, url_of
from spikebayes.app.server.served_model import ServedModel
from spikebayes.app.server.service import Limits, Service
from spikebayes.app.table_run import TableRun, build
from spikebayes.app.table_task import prepare_table
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task
from spikebayes.training.fitted import Fitted
from spikebayes.training.scaling import Scaling

BRIEF: dict[str, Any] = {"steps": 30, "burn_in": 10}


def untrained(frame: pd.DataFrame, target: str, noise: Literal["constant", "row"] = "constant") -> TableRun:
    """A run whose weights are as they were drawn, of a network of 8 neurons."""
    task = prepare_table(frame, target, hidden=(8,))
    values, outputs = task.schema.task is Task.REGRESSION, len(task.schema.output_names)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(task.architecture | {"outputs": outputs * (2 if noise == "row" else 1)}).eval()
    scaling = Scaling.learn(task.x, task.y if values else None)
    std = torch.full((outputs,), 0.5) if values else None
    fitted = Fitted(model, scaling, task.schema.task, std, task.schema.output_names, noise=noise)
    return TableRun(fitted, task.schema, task.architecture)


class Server:
    """A served run, and the client of it."""

    def __init__(self, service: Service, url: str) -> None:
        self.service, self.url, self.model = service, url, service.model
        self.address = f"{url}/v2/models/{self.model.name}"

    def infer(self, **body: Any) -> requests.Response:
        return requests.post(f"{self.address}/infer", json=body, timeout=60)

    def expected(self, frame: pd.DataFrame, samples: int = 20, seed: int = 0) -> Predictive:
        """What ``predict`` says of the rows, in process."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.model.run.predict(frame, network=self.model.network, samples=samples, seed=seed, **BRIEF)


@contextmanager
def running(
    run: TableRun, limits: Limits | None = None, token: str | None = None, **settings: Any
) -> Iterator[Server]:
    given = {"samples": 20, "settings": BRIEF} | settings
    service = Service(ServedModel("run", run, run.network(), **given), limits or Limits())
    with listening("127.0.0.1", 0, guarded=token is not None) as listener:
        thread = threading.Thread(target=serve_until_stopped, args=(service, listener, token))
        thread.start()
        try:
            # until it answers: how the thread and a test filter warnings meanwhile would get mixed up
            requests.get(f"{url_of(listener)}/v2/health/live", timeout=60)
            yield Server(service, url_of(listener))
        finally:
            service.stopping = True
            thread.join(90)
            assert not thread.is_alive()


def wait_until(condition: Callable[[], bool]) -> None:
    """What does not happen within a minute fails."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def tensor(values: Any, name: str = "input", datatype: str = "FP64") -> dict[str, Any]:
    """A tensor in JSON."""
    array = np.array(values)
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": array.ravel().tolist()}


def arrays(answer: dict[str, Any]) -> dict[str, np.ndarray]:
    """The outputs of an answer in JSON."""
    types = {"FP32": np.float32, "FP64": np.float64, "BYTES": object}
    return {o["name"]: np.array(o["data"], types[o["datatype"]]).reshape(o["shape"]) for o in answer["outputs"]}
