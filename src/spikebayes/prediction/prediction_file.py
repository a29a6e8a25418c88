"""A prediction as one safetensors file, settings and a checksum of all in its header."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from spikebayes.errors import ConfigError, DataError, StoreError
from spikebayes.machine.checked_files import read_sealed, write_sealed
from spikebayes.machine.fields import check_fields
from spikebayes.prediction.conformal import Conformal
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.task import Task

if TYPE_CHECKING:
    from spikebayes.prediction.predictive import Predictive

FORMAT = "spikebayes.prediction.predictive.v2"
UNSEALED = "spikebayes.prediction.predictive.v1"  # of files from before there was a checksum
HEADER = "predictive"


def write(p: Predictive, path: Path) -> None:
    """See :meth:`Predictive.save`."""
    tensors = {"samples": p.samples, "rows": p.draw.rows}
    for name in ("noise_std", "noise_samples"):
        if isinstance(noise := getattr(p, name), Tensor):
            tensors[name] = noise
    header = {
        "seed": p.draw.seed,
        "scope": p.draw.scope,
        "task": p.task.value,
        "names": list(p.names),
        "settings": p.settings,
        "conformal": None if p.conformal is None else p.conformal.to_dict(),
    }
    write_sealed(path, HEADER, header, tensors, FORMAT)


def read(kind: type[Predictive], path: Path) -> Predictive:
    """See :meth:`Predictive.load`."""
    header, tensors = read_sealed(path, HEADER, FORMAT, UNSEALED)
    try:
        draw = {"seed": header["seed"], "scope": header["scope"], "rows": tensors["rows"]}
        check_fields(Draw, draw)
        parts = {name: header[name] for name in ("task", "names", "settings")}
        parts |= {name: tensors.get(name) for name in ("samples", "noise_std", "noise_samples")}
        check_fields(kind, parts)
        if header.get("conformal") is not None:  # files of before have none
            parts["conformal"] = Conformal.from_dict(header["conformal"])
        if parts["noise_samples"] is not None:
            parts["noise_std"] = None
        return kind(**parts | {"draw": Draw(**draw), "task": Task(header["task"]), "names": tuple(header["names"])})
    except (KeyError, TypeError, ConfigError, DataError, StoreError) as error:
        raise StoreError(f"{path} holds no complete prediction, or was edited: {error}") from error
