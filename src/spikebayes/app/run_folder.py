"""A trained run as a folder: ``run.json`` (what it is) and ``run.safetensors`` (numbers); no code in either."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikebayes.app.table_run import TableRun, build, outputs_of
from spikebayes.app.training_table import places_of_table
from spikebayes.app.unfinished import CHECKPOINTS
from spikebayes.data.columns import listed
from spikebayes.data.schema import TableSchema
from spikebayes.errors import ConfigError, StoreError
from spikebayes.machine.checked_files import format_of, is_ours, read_described, write_described
from spikebayes.machine.fields import check_fields
from spikebayes.machine.files import check_writable, make_folder
from spikebayes.network.synapses import Alpha
from spikebayes.network.timing import Flat, Hann, Timing, Window
from spikebayes.prediction.conformal import Conformal
from spikebayes.prediction.task import Task
from spikebayes.training.ensemble import Ensemble
from spikebayes.training.fitted import Fitted
from spikebayes.training.scaling import Scaling

FORMAT, ENSEMBLE_FORMAT = "spikebayes.run/1", "spikebayes.ensemble-run/1"
NAME, DESCRIPTION, TENSORS = "run", "run.json", "run.safetensors"
SETTINGS, SETTINGS_FORMAT = "fit.json", "spikebayes.fit/1"  # of its training
ENERGY = "energy.json"  # the verb's, unless it is told another place
PARTIAL = re.compile(r"\.\w+\.[0-9a-f]{16}\.partial\.\w+")  # what a killed process was writing
WINDOWS: dict[str, Window] = {"Flat": Flat(), "Hann": Hann()}
SCALING = ("x_mean", "x_std", "y_mean", "y_std")


@dataclass(frozen=True)
class RunDescription:
    """What a run's JSON file must hold."""

    architecture: dict[str, Any]
    schema: dict[str, Any]
    history: dict[str, Any]
    config: dict[str, Any]
    versions: dict[str, str]


@dataclass(frozen=True)
class EnsembleDescription(RunDescription):
    """What that of several networks must hold besides."""

    members: list[dict[str, Any]]
    ensemble: dict[str, Any] | None


def save_run(run: TableRun, folder: Path) -> None:
    """Write a run; one that was there stays whole until the new one is.

    Raises:
        ConfigError: the folder cannot be written.
    """
    make_folder(folder)
    description = {
        "architecture": run.architecture,
        "schema": run.schema.to_dict(),
        "config": run.config,
        "versions": run.versions,
        **_described(run.fitted),
    }
    tensors = _tensors(run.fitted, "")
    if run.ensemble is not None:
        outputs, conformal = len(run.schema.output_names), run.ensemble.conformal
        description["members"] = [
            _described(m) | {"outputs": outputs_of(m, outputs)} for m in run.ensemble.members[1:]
        ]
        description["ensemble"] = None if conformal is None else conformal.to_dict()
        for k, member in enumerate(run.ensemble.members[1:]):
            tensors |= _tensors(member, f"member {k}.")
    write_described(folder, NAME, description, tensors, FORMAT if run.ensemble is None else ENSEMBLE_FORMAT)


def load_run(folder: Path) -> TableRun:
    """Read what :func:`save_run` wrote.

    Raises:
        StoreError: no finished run, a torn or edited file, or one of another version.
    """
    if not folder.is_dir():
        raise StoreError(f"there is no run folder {folder}; give the one that fit wrote")
    if not (folder / DESCRIPTION).exists():
        hint = "; its training is not finished, continue by fit --resume" if (folder / CHECKPOINTS).exists() else ""
        raise StoreError(f"{folder} holds no finished run (no {DESCRIPTION}){hint}")
    several = format_of(folder / DESCRIPTION) == ENSEMBLE_FORMAT
    stored, tensors = read_described(folder, NAME, ENSEMBLE_FORMAT if several else FORMAT)
    check_fields(EnsembleDescription if several else RunDescription, stored)
    try:
        schema, architecture = TableSchema.from_dict(stored["schema"]), stored["architecture"]
        fitted = _fitted(stored, tensors, schema, architecture)
        run = TableRun(fitted, schema, architecture, stored["config"], stored["versions"])
        if not several:
            return run
        others = [
            _fitted(each, _under(f"member {k}.", tensors), schema, architecture | {"outputs": each["outputs"]})
            for k, each in enumerate(stored["members"])
        ]
        conformal = stored["ensemble"] and Conformal.from_dict(stored["ensemble"])
        return replace(run, ensemble=Ensemble((fitted, *others), conformal))
    except KeyError as error:
        raise StoreError(f"{folder} is damaged: {error} is missing") from error
    except (TypeError, ValueError, RuntimeError, ConfigError) as error:
        raise StoreError(f"{folder} is damaged: {str(error).splitlines()[0]}") from error


def _described(fitted: Fitted) -> dict[str, Any]:
    """What JSON says of a network; :func:`_tensors` are its numbers."""
    conformal = None if fitted.conformal is None else fitted.conformal.to_dict()
    return {"history": fitted.history, "timing": _packed(fitted), "conformal": conformal}


def _tensors(fitted: Fitted, prefix: str) -> dict[str, Tensor]:
    numbers = {name: getattr(fitted.scaling, name) for name in SCALING} | {"noise_std": fitted.noise_std}
    found = {f"{prefix}model.{name}": tensor for name, tensor in fitted.model.state_dict().items()}
    return found | {f"{prefix}fitted.{name}": tensor for name, tensor in numbers.items() if tensor is not None}


def _fitted(
    stored: dict[str, Any], tensors: dict[str, Tensor], schema: TableSchema, architecture: dict[str, Any]
) -> Fitted:
    """The way back; raises what :func:`load_run` says better."""
    model = build(architecture)
    model.load_state_dict(_under("model.", tensors))
    numbers = _numbers(_under("fitted.", tensors), schema, architecture)
    conformal = stored.get("conformal")  # runs of before have none
    return Fitted(
        model.eval(),
        Scaling(**{name: numbers.get(name) for name in SCALING}),  # pyright: ignore[reportArgumentType]
        schema.task,
        numbers.get("noise_std"),
        schema.output_names,
        stored["history"],
        noise="row" if _told(schema, architecture) else "constant",
        conformal=conformal and Conformal.from_dict(conformal),
        **_timed(stored.get("timing")),
    )


def own_files(folder: Path) -> list[Path]:
    """What a run and its training are made of, and no output of a verb may replace."""
    return [folder / name for name in (DESCRIPTION, TENSORS, SETTINGS, CHECKPOINTS)]


def read_by(folder: Path) -> list[Path]:
    """The files of a run, and the table that it was trained on: no output of a verb may replace one."""
    try:
        return own_files(folder) + places_of_table(json.loads((folder / DESCRIPTION).read_text("utf-8"))["config"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # a torn run is told of when it is read
        return own_files(folder)


def check_run_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder for a new run in which something would be lost, or nothing can be resumed (ConfigError)."""
    if resume and not (folder / CHECKPOINTS).is_dir():
        raise ConfigError(f"there is no interrupted training to resume in {folder}; leave --resume out to begin one")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"cannot write {folder}: it is a file; give a folder")
    if (folder / DESCRIPTION).exists() and not overwrite and not resume:
        raise ConfigError(f"{folder} already holds a run; give another --out, or --overwrite to replace it")
    if (folder / CHECKPOINTS).exists() and not overwrite and not resume:
        raise ConfigError(f"{folder} holds an interrupted training; --resume continues it, --overwrite starts afresh")
    written = {file.name for file in own_files(folder)}
    foreign = [name for name in foreign_files(folder) if overwrite or name in written]
    if foreign:
        raise ConfigError(
            f"{folder} holds files that no fit wrote: {listed(map(repr, foreign))}; give another --out, or "
            "move them away"
        )


def check_replaceable(folder: Path) -> None:
    """Refuse a run folder whose files may only be read: now, not when the training is done.

    Raises:
        ConfigError: a file of a run in it, or one beside it, cannot be written.
    """
    for file in own_files(folder):
        if file.is_file():
            check_writable(file)


def foreign_files(folder: Path, also: Sequence[str] = ()) -> list[str]:
    """The names in a folder that a run and its training do not account for; nor, where a run is, ``also``."""
    ours = {name for name in (DESCRIPTION, SETTINGS, ENERGY) if is_ours(folder / name)}
    if ours & {DESCRIPTION, SETTINGS}:
        ours |= {TENSORS, f"{NAME}.next.safetensors", *also}
    checkpoints = (p for p in (folder / CHECKPOINTS).rglob("*") if p.is_symlink() or not p.is_dir())
    if SETTINGS in ours and all(p.suffix == ".ckpt" and p.is_file() and not p.is_symlink() for p in checkpoints):
        ours.add(CHECKPOINTS)
    found = sorted(folder.iterdir())
    return [p.name for p in found if p.is_symlink() or not (p.name in ours or PARTIAL.fullmatch(p.name))]


def _numbers(found: dict[str, Tensor], schema: TableSchema, architecture: dict[str, Any]) -> dict[str, Tensor]:
    """Scaling and residual noise, once they, the columns and the network fit together (else ValueError)."""
    inputs, outputs = len(schema.input_names), len(schema.output_names)
    told = outputs * (2 if _told(schema, architecture) else 1)
    if (architecture["inputs"], architecture["outputs"]) != (inputs, told):
        raise ValueError(f"the network does not fit a table of {inputs} inputs and {outputs} outputs")
    expected = {"x_mean": [inputs], "x_std": [inputs]}
    if schema.task is Task.REGRESSION:
        expected |= {"y_mean": [outputs], "y_std": [outputs], "noise_std": [outputs]}
    others = [name for name, tensor in found.items() if not tensor.is_floating_point()]
    if others:
        raise ValueError(f"{others[0]} must hold floating-point numbers; it holds {found[others[0]].dtype}")
    shapes = {name: list(tensor.shape) for name, tensor in found.items()}
    if shapes != expected:
        raise ValueError(f"expected the numbers {expected}; found {shapes}")
    return found


def _told(schema: TableSchema, architecture: dict[str, Any]) -> bool:
    """Whether the network tells the noise of each row, behind its means."""
    return schema.task is Task.REGRESSION and architecture["outputs"] == 2 * len(schema.output_names)


def _packed(fitted: Fitted) -> dict[str, Any] | None:
    """Filter and timing that fit chose, as JSON."""
    if fitted.timing is None or not isinstance(fitted.synapse, Alpha):
        return None
    timing = fitted.timing
    return {"tau": fitted.synapse.tau} | asdict(timing) | {"window": type(timing.window).__name__}


def _timed(packed: dict[str, Any] | None) -> dict[str, Any]:
    """The way back; runs of before have none."""
    if packed is None:
        return {}
    filters = {"tau": packed["tau"]}
    timing = {"steps": packed["steps"], "burn_in": packed["burn_in"], "window": WINDOWS[packed["window"]]}
    check_fields(Alpha, filters)
    check_fields(Timing, timing)
    return {"synapse": Alpha(**filters), "timing": Timing(**timing)}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
