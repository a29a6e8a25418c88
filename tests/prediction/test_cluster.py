"""Many processes give the bits of one, whichever of them dies, or say in one line why they cannot."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import spikebayes as sb
from problems import table
from spikebayes.app.cli import main
from spikebayes.nn import zoo
from spikebayes.prediction import batches, cluster

DASK = "Dask is not installed (pip install 'spikebayes[cluster]')"
torch.manual_seed(0)
X = torch.randn(40, 3)
MODEL = zoo.mlp(3, 2, [20], 0.3).eval()
NETWORK = sb.convert(MODEL, X)
QUICK: dict[str, Any] = {"samples": 5, "seed": 3}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Any]:
    """Two processes, which are replaced when they die."""
    distributed = pytest.importorskip("distributed", reason=DASK)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
    ) as made:
        yield made


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PAIRS", 7 * QUICK["samples"])


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one(scheduler: Any) -> None:
    ordinary = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)).eval()
    coded = sb.convert(ordinary, X, code=sb.Digits(4, 2), calibrate=torch.randn(100, 3))
    for model in (MODEL, NETWORK, coded):
        for settings in ({}, {"task": "classification"}, {"mask_scope": "pass"}, {"rows": torch.arange(40) * 3}):
            one = sb.predict(model, X, **QUICK, **settings)
            two = sb.distribute(model, X, cluster=scheduler.scheduler_address, **QUICK, **settings)
            assert torch.equal(two.samples, one.samples)
            assert two.draw.same_masks(one.draw)
            assert two.settings == one.settings
    by_batch = DataLoader(TensorDataset(X, X), batch_size=3)
    two = sb.distribute(NETWORK, by_batch, cluster=scheduler.scheduler_address, **QUICK)
    assert torch.equal(two.samples, sb.predict(NETWORK, X, **QUICK).samples)


class Slow(nn.Module):
    """So slow that it can be killed, or so vicious that it kills whoever works on a large number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(3, 1), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        if bool((x > 1e6).any().item()):
            os._exit(1)
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.05)
        return self.layer(self.drop(x))


@pytest.fixture
def slow() -> Iterator[nn.Module]:
    """A module that workers, who cannot import this file, are sent whole."""
    cloudpickle = pytest.importorskip("cloudpickle", reason=DASK)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield Slow().eval()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
def test_what_a_killed_worker_had_is_done_again(scheduler: Any, slow: nn.Module) -> None:
    one = sb.predict(slow, X, **QUICK)
    distributed = sys.modules["distributed"]
    killed: list[int] = []

    def kill(client: Any) -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            busy = [worker for worker, tasks in client.processing().items() if any("_work" in str(t) for t in tasks)]
            if busy:
                killed.append(next(iter(client.run(os.getpid, workers=busy[:1]).values())))
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.01)

    with distributed.Client(scheduler, set_as_default=False) as client:
        killer = threading.Thread(target=kill, args=(client,))
        killer.start()
        two = sb.distribute(slow, X, cluster=scheduler.scheduler_address, **QUICK)
        killer.join()
        assert killed
        assert torch.equal(two.samples, one.samples)
        client.wait_for_workers(2, timeout=60)  # another has taken its place


@pytest.mark.slow
def test_rows_that_kill_every_worker_end_in_one_line(scheduler: Any, slow: nn.Module) -> None:
    deadly = X.clone()
    deadly[30] = 1e7
    with pytest.raises(sb.ConfigError, match=r"every worker that was given rows 28 to 34 died at it") as refused:
        sb.distribute(slow, deadly, cluster=scheduler.scheduler_address, **QUICK)
    assert "\n" not in str(refused.value)


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        if bool((x > 1e6).any().item()):
            raise ValueError("no such\nnumber")
        return self.drop(x)


@pytest.mark.slow
def test_an_error_of_a_worker_is_one_line(scheduler: Any, slow: nn.Module) -> None:
    bad = X.clone()
    bad[30] = 1e7
    with pytest.raises(sb.ConfigError, match=r"rows 28 to 34 failed on a worker: ValueError: no such number"):
        sb.distribute(Failing().eval(), bad, cluster=scheduler.scheduler_address, **QUICK)
    with pytest.raises(sb.DataError, match="NaN or infinite"):
        sb.distribute(MODEL, bad / 0, cluster=scheduler.scheduler_address, **QUICK)


def test_a_model_is_sent_once(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster.connected(scheduler.scheduler_address) as workers:
        submitted, submit = [], workers.client.submit

        def counting(function: Any, *arguments: Any, **settings: Any) -> Any:
            submitted.append(function)
            return submit(function, *arguments, **settings)

        monkeypatch.setattr(workers.client, "submit", counting)
        for first in (0, 20):
            sb.distribute(
                NETWORK, X[first : first + 20], cluster=workers, rows=torch.arange(first, first + 20), **QUICK
            )
    assert submitted.count(bytes) == 1
    assert submitted.count(cluster._work) == 2 * 3


@pytest.mark.slow
def test_the_command_line_takes_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason=DASK)
    monkeypatch.chdir(tmp_path)
    table(60).drop(columns=["kind", "color"]).to_csv("t.csv", index=False)
    assert main(["fit", "--data", "t.csv", "--out", "run", "--target", "y", "--epochs", "2", "--hidden", "[8]"]) == 0
    given = ["predict", "run", "--data", "t.csv", "--samples", "4", "--steps", "30", "--burn_in", "10"]
    assert main([*given, "--out", "one.csv"]) == 0
    assert main([*given, "--out", "two.csv", "--cluster", "local:2"]) == 0
    assert Path("two.csv").read_bytes() == Path("one.csv").read_bytes()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("locall:2", "cluster must be local:N .* or the address of a Dask scheduler, .*; got 'locall:2'"),
        ("local:-1", "cluster must be local:N"),
        ("local", "cluster must be local:N"),
        ("", "cluster must be local:N"),
        ("local:0", "N in local:N must be a whole number, at least 1; got 0"),
        ("local:5000", "N in local:N must be at most 1,024"),
    ],
)
def test_what_is_no_cluster_is_refused(where: str, says: str) -> None:
    with pytest.raises(sb.ConfigError, match=says):
        sb.distribute(MODEL, X, cluster=where, **QUICK)


def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason=DASK)
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(sb.ConfigError, match=r"no Dask scheduler with a worker answers at tcp://127\.0"):
        sb.distribute(MODEL, X, cluster="tcp://127.0.0.1:9", **QUICK)


def test_without_dask_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(sb.ConfigError, match=r"pip install 'spikebayes\[cluster\]'"):
        sb.distribute(MODEL, X, cluster="local:2", **QUICK)


def test_workers_of_other_versions_are_refused(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = cluster.versions
    monkeypatch.setattr(cluster, "versions", lambda: here() | {"torch": "0.1"})

    class Client:
        def run(self, _: Any) -> dict[str, dict[str, str]]:
            return {"tcp://w": here()}

    with pytest.raises(sb.ConfigError, match=r"worker tcp://w has other versions: torch .*, here 0\.1; install"):
        cluster._refuse_other_versions(Client())
