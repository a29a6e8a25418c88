"""The study from data to results/export.json and its page."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes import Alpha, SpikingNetwork, export, predict, simulate
from studies.export.importers import IMPORTERS, Importer, imported_run, nengo_run
from studies.export.networks import PUBLISHED, UNITS, Case, Settings, case, filtered
from studies.export.page import render
from studies.results import provenance, write_page, write_results

NENGO = "Nengo"


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
    lines, certificates = [], {}
    with TemporaryDirectory() as folder:
        for profile in UNITS:
            made = case(data, profile, settings, seed)
            certificates[profile] = _certificate(made, profile, Path(folder), settings, seed)
            lines += _lines(made, profile, Path(folder), settings, seed)
    missing = {name: importer.missing for name, importer in IMPORTERS.items() if importer.missing}
    packages = ["nir", "nirtorch", "nengo", *(i.package for i in IMPORTERS.values() if not i.missing)]
    found = {
        **origin,
        "settings": asdict(settings),
        "packages": {name: version(name) for name in packages if _is_here(name)},
        "missing": missing,
        "certificates": certificates,
        "lines": lines,
        "seconds": time.perf_counter() - started,
    }
    write_results(found, results)
    write_page(render(found), page)
    return found


def _certificate(made: Case, profile: str, folder: Path, s: Settings, seed: int) -> dict[str, Any]:
    """What the certificate of a profile's network says."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not keep")  # the page says so
        found = export.to_nir(
            made.network, folder / f"{profile}.nir", profile, seed=seed,
            model=made.model, x=made.x[: s.judge_rows], judge_samples=s.judge_samples,
        )  # fmt: skip
    assert found.verdict is not None
    assert found.verdict.paired_rmse is not None
    error = float(np.median(found.verdict.paired_rmse))
    return {"outcome": found.outcome, "error": error, "differs": list(found.differs)}


def _lines(made: Case, profile: str, folder: Path, s: Settings, seed: int) -> Iterator[dict[str, Any]]:
    """A line for each importer: graphs under several masks, each shown all rows."""
    x, std = made.x[: s.rows], float(predict(made.model, made.x[: s.rows], seed=seed).model_std.mean())
    for name, importer in IMPORTERS.items():
        if not importer.missing:
            figures = _imported(made, profile, importer, x, std, folder, s, seed)
            yield {"importer": name, "profile": profile, **figures}
    if profile == "portable-lif":
        network = filtered(made.model, x, Alpha(s.tau))
        yield {"importer": NENGO, "profile": "to_nengo, as converted", **_nengo(network, x, std, s, seed)}


def _imported(
    made: Case, profile: str, importer: Importer, x: Tensor, std: float, folder: Path, s: Settings, seed: int
) -> dict[str, Any]:
    equal, apart, theirs, ours = [], [], 0.0, 0.0
    for sample in range(s.masks):
        path = folder / f"{profile}-{importer.package}-{sample}.nir"
        written = export.to_nir(made.network, path, profile, seed=seed, sample=sample, dt=importer.dt)
        back, dt = export.from_nir(path), written.settings["dt"]
        steps, left_out = (1, 0) if back.is_memoryless else (s.steps, s.burn_in)
        started = time.perf_counter()
        run = simulate(back, x, steps=steps, burn_in=left_out, probe=["spikes"])
        ours += time.perf_counter() - started
        started = time.perf_counter()
        try:
            trace, spikes = imported_run(importer, path, x, steps, dt, list(run.spikes))
        except Exception as error:
            return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"}
        theirs += time.perf_counter() - started
        equal += [float((run.spikes[name][0] == seen).double().mean()) for name, seen in spikes.items()]
        apart.append(trace[:, left_out:].mean(1) - run.mean[0])
    return {"equal": min(equal), "std": _rms(apart, std), "seconds": theirs, "ours": ours}


def _nengo(network: SpikingNetwork, x: Tensor, std: float, s: Settings, seed: int) -> dict[str, Any]:
    """Nengo runs one row at a time: as many rows as there are masks."""
    started, equal, apart, theirs = time.perf_counter(), [], [], 0.0
    options: dict[str, Any] = {"steps": s.steps, "burn_in": s.burn_in, "probe": ["spikes"], "dtype": torch.float64}
    run = simulate(network, x[: s.masks], seed=seed, engine="reference", **options)
    ours = time.perf_counter() - started
    for row in range(s.masks):
        started = time.perf_counter()
        made = export.to_nengo(network, 0, row, seed, x=x[row])
        trace, spikes = nengo_run(made, network.dt, s.steps)
        theirs += time.perf_counter() - started
        for name, seen in spikes.items():
            mine = run.spikes[name][0, row]
            kept = mine.any(0)  # those that a mask drops fire unheard
            equal.append(float((mine[:, kept] == seen[:, kept]).double().mean()))
        apart.append(trace[s.burn_in :].mean(0) - run.mean[0, row])
    return {"equal": min(equal), "std": _rms(apart, std), "seconds": theirs, "ours": ours}


def _rms(parts: list[Tensor], std: float) -> float:
    return float(torch.stack(parts).double().square().mean().sqrt()) / std


def _is_here(package: str) -> bool:
    """Importers bring packages of their own, which are not there without them."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
