"""Predictions as labelled arrays, for tools that read posterior samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikebayes.machine.extras import needed
from spikebayes.prediction.task import Task

if TYPE_CHECKING:
    import xarray

    from spikebayes.prediction.predictive import Predictive


def as_datatree(p: Predictive) -> xarray.DataTree:
    """See :meth:`Predictive.to_xarray`."""
    xarray = needed("xarray", "to_xarray")
    settings: dict[str, Any] = {k: v if isinstance(v, str | int | float) else str(v) for k, v in p.settings.items()}
    attributes = settings | {"seed": str(p.draw.seed), "mask_scope": p.draw.scope}
    classes = p.task is Task.CLASSIFICATION
    dims = ("chain", "draw", "row", "class" if classes else "output")
    variables: dict[str, Any] = {"probability" if classes else "prediction": (dims, p.samples.numpy()[None])}
    if p.noise_samples is not None:
        variables["noise_std"] = (dims, p.noise_samples.numpy()[None])
    coordinates = {"chain": [0], "row": p.draw.rows.numpy(), dims[3]: list(p.names)}
    group = xarray.Dataset(variables, {k: (k, v) for k, v in coordinates.items()}, attributes)
    return xarray.DataTree.from_dict({"posterior": group})
