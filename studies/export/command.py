"""The study from data to results/export.json and its page."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikebayes import Alpha, Flat, Hann, SpikingNetwork, Task, Timing, compare, export, predict, simulate
from spikebayes.data import ImageSet, Split, load_images, load_split, split_rows
from studies.export.importers import IMPORTERS, Importer, imported_run, nengo_run
from studies.export.networks import KINDS, PORTABLE, digits, filtered, network, trained, training_rows
from studies.export.page import render
from studies.export.settings import PUBLISHED, Settings
from studies.results import provenance, write_page, write_results

NENGO = "Nengo"
SOFT_LIF = "SoftLIF"  # networks for no profile
WINDOWS = {"Flat": Flat, "Hann": Hann}


def run_export(
    data: Path, results: Path, page: Path, *, settings: Settings = PUBLISHED, seed: int = 0
) -> dict[str, Any]:
    """Train, export and run every network in every simulator that is installed; write the JSON file and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. page: Markdown page to write.
        settings: networks and budgets.
        seed: of training and masks.

    Returns:
        What the JSON file holds.
    """
    origin, started = provenance("python -m studies.export", seed), time.perf_counter()
    splits = {name: load_split(data, name) for name in dict.fromkeys((settings.set, *settings.sets))}
    split, lines, certificates = splits[settings.set], [], {}
    with TemporaryDirectory() as folder:
        for profile in KINDS:
            fitted = trained(split, profile, settings.hidden, settings.epochs, 64, settings, seed)
            made = network(fitted, training_rows(fitted, split, seed), profile, settings)
            x = fitted.scaling.inputs(split.x_test)
            certificates[profile] = _certificate(made, fitted.model, x, profile, Path(folder), settings, seed)
            lines += _imports(made, fitted.model, x, profile, Path(folder), settings, seed)
        lines.append(_nengo(split, settings, seed))
        sets = [_set(splits[name], Path(folder), settings, seed) for name in settings.sets]
        tried = _tried([splits[name] for name in settings.sets], settings, seed)
        images = _images(load_images(data, "mnist"), Path(folder), settings, seed) if settings.images else None
    missing = {name: importer.missing for name, importer in IMPORTERS.items() if importer.missing}
    packages = ["nir", "nirtorch", "nengo", *(i.package for i in IMPORTERS.values() if not i.missing)]
    found = {
        **origin,
        "settings": asdict(settings),
        "packages": {name: version(name) for name in packages if _is_here(name)},
        "missing": missing,
        "certificates": certificates,
        "lines": lines,
        "sets": sets,
        "tried": tried,
        "images": images,
        "seconds": time.perf_counter() - started,
    }
    write_results(found, results)
    write_page(render(found), page)
    return found


def _certificate(
    made: SpikingNetwork,
    model: nn.Module,
    x: Tensor,
    profile: str,
    folder: Path,
    s: Settings,
    seed: int,
    task: Task = Task.REGRESSION,
) -> dict[str, Any]:
    """What the certificate of a profile's network says."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not keep")  # the page says so
        found = export.to_nir(
            made, folder / f"{profile}.nir", profile, seed=seed, overwrite=True,
            model=model, x=x[: s.judge_rows], judge_samples=s.judge_samples, task=task,
        )  # fmt: skip
    verdict = found.verdict
    assert verdict is not None
    assert verdict.paired_rmse is not None
    return {
        "outcome": found.outcome,
        "error": float(np.median(verdict.paired_rmse)),
        "offset": verdict.pooled_mean_difference,
        "ratio": verdict.pooled_spread_ratio,
        "within": verdict.share_within,
        "steps": found.settings["timing"]["steps"],
        "burn_in": found.settings["timing"]["burn_in"],
        "differs": list(found.differs),
    }


# -- in other simulators -----------------------------------------------------------------------------------


def _imports(
    made: SpikingNetwork, model: nn.Module, x: Tensor, profile: str, folder: Path, s: Settings, seed: int
) -> Iterator[dict[str, Any]]:
    """A line for each importer: graphs under several masks, each shown all rows."""
    x = x[: s.rows]
    std = float(predict(model, x, seed=seed).model_std.mean())
    for name, importer in IMPORTERS.items():
        if not importer.missing:
            figures = _imported(made, profile, importer, x, std, folder, s, seed)
            yield {"importer": name, "profile": profile, **figures}


def _imported(
    made: SpikingNetwork,
    profile: str,
    importer: Importer,
    x: Tensor,
    std: float,
    folder: Path,
    s: Settings,
    seed: int,
) -> dict[str, Any]:
    equal, apart, theirs, ours = [], [], 0.0, 0.0
    for sample in range(s.masks):
        path = folder / f"{profile}-{importer.package}-{sample}.nir"
        written = export.to_nir(made, path, profile, seed=seed, sample=sample, dt=importer.dt)
        back, dt = export.from_nir(path), written.settings["dt"]
        timing = back.timing or Timing(1)
        started = time.perf_counter()
        run = simulate(back, x, probe=["spikes"])
        ours += time.perf_counter() - started
        started = time.perf_counter()
        try:
            trace, spikes = imported_run(importer, path, x, timing.steps, dt, list(run.spikes))
        except Exception as error:
            return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"}
        theirs += time.perf_counter() - started
        equal += [float((run.spikes[name][0] == seen).double().mean()) for name, seen in spikes.items()]
        apart.append(torch.einsum("btc,t->bc", trace.double(), timing.weights()) - run.mean[0])
    return {"equal": min(equal), "std": _rms(apart, std), "seconds": theirs, "ours": ours}


def _nengo(split: Split, s: Settings, seed: int) -> dict[str, Any]:
    """Nengo runs one row at a time, of LIF neurons as they are: as many rows as there are masks."""
    fitted = trained(split, SOFT_LIF, s.hidden, s.epochs, 64, s, seed)
    x = fitted.scaling.inputs(split.x_test)[: s.rows]
    std = float(predict(fitted.model, x, seed=seed).model_std.mean())
    made, equal, apart, theirs = filtered(fitted.model, x, Alpha(s.tau)), [], [], 0.0
    started = time.perf_counter()
    options: dict[str, Any] = {"steps": s.steps, "burn_in": s.burn_in, "probe": ["spikes"], "dtype": torch.float64}
    run = simulate(made, x[: s.masks], seed=seed, engine="reference", **options)
    ours = time.perf_counter() - started
    for row in range(s.masks):
        started = time.perf_counter()
        trace, spikes = nengo_run(export.to_nengo(made, 0, row, seed, x=x[row]), made.dt, s.steps)
        theirs += time.perf_counter() - started
        for name, seen in spikes.items():
            mine = run.spikes[name][0, row]
            kept = mine.any(0)  # those that a mask drops fire unheard
            equal.append(float((mine[:, kept] == seen[:, kept]).double().mean()))
        apart.append(trace[s.burn_in :].mean(0) - run.mean[0, row])
    figures = {"equal": min(equal), "std": _rms(apart, std), "seconds": theirs, "ours": ours}
    return {"importer": NENGO, "profile": "to_nengo, as converted", **figures}


# -- whether posteriors are kept -----------------------------------------------------------------------------


def _set(split: Split, folder: Path, s: Settings, seed: int) -> dict[str, Any]:
    """Portable networks on a UCI set: the worst of several trainings, and their accuracy beside that of SoftLIF."""
    epochs, batch = _budget(split, s)
    x, y = split.x_test[: s.judge_rows], split.y_test[: s.judge_rows]
    rmse: dict[str, list[float]] = {SOFT_LIF: [], PORTABLE: []}
    verdicts = []
    for one in range(seed, seed + s.trainings):
        for name, errors in rmse.items():
            fitted = trained(split, name, s.wide, epochs, batch, s, one)
            errors.append(float((fitted.predict(x, seed=one).mean - y).square().mean().sqrt()))
            if name == PORTABLE:
                made = network(fitted, training_rows(fitted, split, one), PORTABLE, s)
                rows_in = fitted.scaling.inputs(x)
                verdicts.append(_certificate(made, fitted.model, rows_in, PORTABLE, folder, s, one))
    return {
        "set": split.name,
        "kept": sum(v["outcome"] == "kept" for v in verdicts),
        "steps": s.steps,
        "burn_in": s.burn_in,
        "error": max(v["error"] for v in verdicts),
        "offset": max((v["offset"] for v in verdicts), key=abs),
        "ratio": max((v["ratio"] for v in verdicts), key=lambda ratio: abs(math.log(ratio))),
        "within": min(v["within"] for v in verdicts),
        "rmse": rmse[PORTABLE],
        "rmse_soft_lif": rmse[SOFT_LIF],
    }


def _tried(splits: list[Split], s: Settings, seed: int) -> list[dict[str, Any]]:
    """Errors of portable networks of other settings, on the rows that chose their weights: no test row is seen."""
    defaults, lines = Timing(s.steps, s.burn_in, Hann()), []
    readings = {"as they are": defaults}
    for left, window in s.readings:
        readings[f"{left} steps left out, {window} window"] = Timing(s.steps, left, WINDOWS[window]())
    for unit, ways in [({}, readings), *(({name: value}, None) for name, value in s.units)]:
        given = ways or {" ".join(f"{name} {value}" for name, value in unit.items()): defaults}
        found = {split.name: _held_out(split, unit, given, s, seed) for split in splits}
        lines += [{"setting": way, "errors": {name: errors[way] for name, errors in found.items()}} for way in given]
    return lines


def _held_out(
    split: Split, unit: dict[str, Any], readings: dict[str, Timing], s: Settings, seed: int
) -> dict[str, float]:
    """Errors of one network, read in several ways."""
    epochs, batch = _budget(split, s)
    fitted = trained(split, PORTABLE, s.wide, epochs, batch, s, seed, **unit)
    made = network(fitted, training_rows(fitted, split, seed), PORTABLE, s)
    _, held = split_rows(len(split.x_train), 0.1, seed)
    x = fitted.scaling.inputs(split.x_train[held][: s.judge_rows])
    options: dict[str, Any] = {"samples": s.judge_samples, "seed": seed}
    classical, errors = predict(fitted.model, x, **options), {}
    for name, timing in readings.items():
        verdict = compare(classical, predict(replace(made, timing=timing), x, **options))
        assert verdict.paired_rmse is not None
        errors[name] = float(np.median(verdict.paired_rmse))
    return errors


def _images(images: ImageSet, folder: Path, s: Settings, seed: int) -> dict[str, Any]:
    """A wide portable network on digits."""
    fitted = digits(images, s, seed)
    x, y = images.x_test.flatten(1)[: s.judge_rows], images.y_test
    made = network(fitted, images.x_train.flatten(1)[:500], PORTABLE, s)
    wrong = fitted.predict(images.x_test.flatten(1)[:2000], samples=20, seed=seed).mean.argmax(1) != y[:2000]
    fewer = replace(s, judge_samples=s.images_samples)
    said = _certificate(made, fitted.model, x, PORTABLE, folder, fewer, seed, Task.CLASSIFICATION)
    return said | {"error_rate": float(wrong.double().mean()), "neurons": made.neurons}


def _budget(split: Split, s: Settings) -> tuple[int, int]:
    """Epochs and batch size of a training on a UCI set."""
    rows = len(split.x_train)
    batch = 64 if rows < 5000 else 256
    return min(200, max(20, s.optimiser_steps * batch // rows)), batch


def _rms(parts: list[Tensor], std: float) -> float:
    return float(torch.stack(parts).double().square().mean().sqrt()) / std


def _is_here(package: str) -> bool:
    """Importers bring packages of their own, which are not there without them."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
