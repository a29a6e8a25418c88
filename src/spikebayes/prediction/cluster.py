"""Pieces of a prediction on other processes and machines, by Dask: the same bits, and what a worker loses is redone.

A task is a piece of the rows. Its sampler is sent to each worker once; should all who have it die, the scheduler has
it still. A worker does one piece at a time, and the first on a machine compiles what the others then read from disk.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor

from spikebayes.errors import ConfigError, SpikebayesError
from spikebayes.machine.extras import needed
from spikebayes.machine.files import locked
from spikebayes.machine.kernel_cache import kernels_folder
from spikebayes.machine.numbers import check_count
from spikebayes.machine.versions import versions
from spikebayes.prediction.sampling import Piece, Sampler

LOCAL = re.compile(r"local:(\d{1,9})")
FORM = "cluster must be local:N for N processes here, or the address of a Dask scheduler, as tcp://host:8786"
AHEAD = 2  # pieces under way for each worker
AGAIN = 2  # times that a piece is tried after an error; Dask's allowed-failures bounds how many workers it may cost
PATIENCE = 60  # seconds until a scheduler answers, or has a worker
MOST = 1024  # processes of a local cluster
LARGE = "1 GB"  # of a sampler: what Dask warns of

_ready: dict[str, Sampler] = {}  # of this process
_at_work = threading.Lock()


class Workers:
    """The processes that a client of Dask reaches."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._sent: dict[str, Any] = {}

    def each(self, sampler: Sampler, pieces: Iterable[tuple[tuple[Tensor, ...], Tensor]]) -> Iterator[Piece]:
        """The sampler's answers to pieces of the rows, in their order; few of them are under way at a time.

        Raises:
            ConfigError: a piece failed on every worker that tried it, or cost each its life.
        """
        name, sampler_there = self._send(sampler)
        under_way: deque[tuple[Tensor, Any]] = deque()
        try:
            for inputs, rows in pieces:
                if len(under_way) >= AHEAD * max(1, len(self.client.ncores())):
                    yield _result(*under_way.popleft())
                task = self.client.submit(_work, name, sampler_there, inputs, rows, retries=AGAIN, pure=False)
                under_way.append((rows, task))
            while under_way:
                yield _result(*under_way.popleft())
        finally:
            self.client.cancel([task for _, task in under_way])

    def _send(self, sampler: Sampler) -> tuple[str, Any]:
        """The sampler's name, and what stands for it in tasks; another piece of the same sampler finds it there."""
        import cloudpickle
        import dask.config  # pyright: ignore[reportMissingImports]

        packed = cloudpickle.dumps(sampler)
        name = f"spikebayes-{hashlib.sha256(packed).hexdigest()}"
        if name not in self._sent:
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": LARGE}):
                self._sent = {name: self.client.submit(bytes, packed, key=name)}
        return name, self._sent[name]


@contextmanager
def connected(cluster: str | Workers) -> Iterator[Workers]:
    """Workers at an address, or so many new processes here; those that are connected already are taken as they are.

    Raises:
        ConfigError: Dask is not installed; no such address, or nobody there; workers with other versions.
    """
    if isinstance(cluster, Workers):
        yield cluster
        return
    local = LOCAL.fullmatch(cluster)
    if local is None and (cluster.startswith("local") or ":" not in cluster):
        raise ConfigError(f"{FORM}; got {cluster!r}")
    if local is not None:
        check_count("N in local:N", int(local[1]), 1, MOST, "more than there are processors bring no speed")
    dask = needed("distributed", "a cluster")
    Client, LocalCluster = dask.Client, dask.LocalCluster
    with ExitStack() as stack:
        address: Any = cluster
        if local is not None:
            own = {"n_workers": int(local[1]), "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
            address = stack.enter_context(LocalCluster(**own, silence_logs=logging.CRITICAL))
        try:
            client = stack.enter_context(Client(address, timeout=PATIENCE, set_as_default=False))
            client.wait_for_workers(1, timeout=PATIENCE)
        except (OSError, ValueError, TimeoutError) as error:
            cure = "start one by `dask scheduler`, and `dask worker ADDRESS` on every machine"
            raise ConfigError(f"no Dask scheduler with a worker answers at {cluster}; {cure}") from error
        _refuse_other_versions(client)
        yield Workers(client)


def _refuse_other_versions(client: Any) -> None:
    """Workers must compute what this process would."""
    own = versions()
    try:
        there = client.run(versions)
    except Exception as error:  # whatever a worker says that has no spikebayes
        raise ConfigError(f"a worker cannot use spikebayes: {_in_one_line(error)}; install it there") from error
    for worker, found in there.items():
        differ = [f"{name} {found.get(name)}, here {own[name]}" for name in own if found.get(name) != own[name]]
        if differ:
            raise ConfigError(f"worker {worker} has other versions: {', '.join(differ)}; install the same everywhere")


def _work(name: str, packed: bytes, inputs: tuple[Tensor, ...], rows: Tensor) -> Piece:
    """A piece, on a worker."""
    with _at_work:
        if name not in _ready:
            _ready.clear()
            sampler: Sampler = pickle.loads(packed)
            with _alone_on_this_machine():
                sampler(tuple(part[:1] for part in inputs), rows[:1])
            _ready[name] = sampler
        return _ready[name](inputs, rows)


@contextmanager
def _alone_on_this_machine() -> Iterator[None]:
    """While kernels are compiled, which the next process then finds on disk."""
    with ExitStack() as stack:
        try:
            folder = kernels_folder()
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder, "compilation", wait=True))
        except (OSError, ConfigError):  # where no kernels can be kept, each process compiles its own
            pass
        yield


def _result(rows: Tensor, task: Any) -> Piece:
    from distributed import KilledWorker  # pyright: ignore[reportMissingImports]

    which = f"rows {int(rows[0])} to {int(rows[-1])}"
    try:
        return task.result()
    except SpikebayesError:
        raise
    except KilledWorker as error:
        raise ConfigError(
            f"every worker that was given {which} died at it, the last at {error.last_worker.address}: it may lack "
            "memory (give workers more, or take fewer samples), or the model ends its process; see the worker's log"
        ) from error
    except Exception as error:  # of a module, or of Dask
        raise ConfigError(f"{which} failed on a worker: {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
