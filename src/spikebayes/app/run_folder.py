"""A trained run as a folder: ``run.json`` (what it is) and ``run.safetensors`` (numbers); no code in either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikebayes.app.table_run import TableRun, build
from spikebayes.data.schema import TableSchema
from spikebayes.errors import ConfigError, StoreError
from spikebayes.machine.checked_files import read_json, read_tensors, write_json, write_tensors
from spikebayes.machine.files import make_folder
from spikebayes.prediction.predictive import Task
from spikebayes.training.fitted import Fitted
from spikebayes.training.scaling import Scaling

FORMAT = "spikebayes.run/1"
DESCRIPTION, TENSORS = "run.json", "run.safetensors"
SCALING = ("x_mean", "x_std", "y_mean", "y_std")


def save_run(run: TableRun, folder: Path) -> None:
    """Write a run; the description comes last, so that a folder with one is whole.

    Raises:
        ConfigError: the folder cannot be written.
    """
    make_folder(folder)
    fitted = run.fitted
    tensors = {f"model.{name}": tensor for name, tensor in fitted.model.state_dict().items()}
    numbers = {name: getattr(fitted.scaling, name) for name in SCALING} | {"noise_std": fitted.noise_std}
    tensors |= {f"fitted.{name}": tensor for name, tensor in numbers.items() if tensor is not None}
    checksum = write_tensors(folder / TENSORS, tensors)
    description = {
        "architecture": run.architecture,
        "schema": run.schema.to_dict(),
        "history": fitted.history,
        "config": run.config,
        "versions": run.versions,
        "tensors_sha256": checksum,
    }
    write_json(folder / DESCRIPTION, description, FORMAT)


def load_run(folder: Path) -> TableRun:
    """Read what :func:`save_run` wrote.

    Raises:
        StoreError: no finished run, a torn or edited file, or one of another version.
    """
    if not folder.is_dir():
        raise StoreError(f"there is no run folder {folder}")
    if not (folder / DESCRIPTION).exists():
        hint = "; its training was not finished, go on with fit --resume" if (folder / "checkpoints").exists() else ""
        raise StoreError(f"{folder} holds no finished run (no {DESCRIPTION}){hint}")
    stored = read_json(folder / DESCRIPTION, FORMAT)
    try:
        tensors = read_tensors(folder / TENSORS, stored["tensors_sha256"])
        schema = TableSchema.from_dict(stored["schema"])
        model = build(stored["architecture"])
        model.load_state_dict(_under("model.", tensors))
        numbers = _numbers(_under("fitted.", tensors), schema, stored["architecture"])
        scaling = Scaling(**{name: numbers.get(name) for name in SCALING})  # pyright: ignore[reportArgumentType]
        noise_std = numbers.get("noise_std")
        fitted = Fitted(model.eval(), scaling, schema.task, noise_std, schema.output_names, stored["history"])
        return TableRun(fitted, schema, stored["architecture"], stored["config"], stored["versions"])
    except KeyError as error:
        raise StoreError(f"{folder} is damaged: {error} is missing") from error
    except (TypeError, ValueError, RuntimeError, ConfigError) as error:
        raise StoreError(f"{folder} is damaged: {str(error).splitlines()[0]}") from error


def _numbers(found: dict[str, Tensor], schema: TableSchema, architecture: dict[str, Any]) -> dict[str, Tensor]:
    """Scaling and residual noise, once they, the columns and the network fit together (else ValueError)."""
    inputs, outputs = len(schema.input_names), len(schema.output_names)
    if (architecture["inputs"], architecture["outputs"]) != (inputs, outputs):
        raise ValueError(f"the network does not fit a table of {inputs} inputs and {outputs} outputs")
    expected = {"x_mean": [inputs], "x_std": [inputs]}
    if schema.task is Task.REGRESSION:
        expected |= {"y_mean": [outputs], "y_std": [outputs], "noise_std": [outputs]}
    shapes = {name: list(tensor.shape) for name, tensor in found.items()}
    if shapes != expected:
        raise ValueError(f"expected the numbers {expected}; found {shapes}")
    return found


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
