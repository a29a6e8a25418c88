"""distribute(): a prediction by many processes or machines."""

from __future__ import annotations

from typing import Any

from torch import nn

from spikebayes.machine.arguments import checked
from spikebayes.network.network import SpikingNetwork
from spikebayes.prediction.cluster import Workers
from spikebayes.prediction.predict import predict
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.sampling import Values


@checked
def distribute(
    model: SpikingNetwork | nn.Module, x: Values, *, cluster: str | Workers, **settings: Any
) -> Predictive:
    """What :func:`spikebayes.predict` gives, bit for bit, with the rows shared out among the workers of a cluster.

    If a worker dies, its rows are computed by others (and it is replaced, where the cluster does so); rows that kill
    every worker end in an error. The model is sent to each worker once. Needs Dask (``pip install
    'spikebayes[cluster]'``).

    Args:
        model: a spiking network, or a torch module with dropout, whose class workers can import or which the main
            script defines.
        x: as for :func:`spikebayes.predict`, batches too.
        cluster: ``"local:4"`` starts four processes here (a script that does so needs ``if __name__ ==
            "__main__":``); ``"tcp://host:8786"`` is the address of a Dask scheduler, whose workers have the same
            versions of spikebayes and of its dependencies.
        settings: as for :func:`spikebayes.predict`.

    Returns:
        A :class:`Predictive` with samples ``[S, B, C]``.

    Raises:
        ConfigError: Dask is missing, there is no such cluster, all workers failed, or ``predict`` refuses.
        DataError: as ``predict``.

    Example:
        >>> import torch
        >>> distribute(nn.Dropout(0.5), torch.ones(3, 2), cluster="locall:2")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        spikebayes.errors.ConfigError: cluster must be local:N for N processes here, or the address of ...
    """
    return predict(model, x, cluster=cluster, **settings)
