"""to_nir(): a network's posterior as graphs under fixed masks, with a certificate beside them."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.evaluate.margins import Outcome
from spikebayes.export.certificate import NOT_JUDGED, Certificate, judged
from spikebayes.export.flattening import flattened
from spikebayes.export.graphs import Graph, graph_of
from spikebayes.export.masks import check_keys, factors, keeps, masked
from spikebayes.export.neurons import PROFILES
from spikebayes.export.packages import nir_package
from spikebayes.machine.arguments import checked
from spikebayes.machine.checked_files import is_ours, read_json, write_json, write_tensors
from spikebayes.machine.choices import unknown
from spikebayes.machine.files import atomic, check_writable
from spikebayes.machine.numbers import check_count
from spikebayes.network.network import SpikingNetwork
from spikebayes.prediction.sampling import MOST_SAMPLES, Values, timing_of
from spikebayes.prediction.task import Task

FORMAT = "spikebayes.masks/1"
MANIFEST, MASKS = "manifest.json", "masks.safetensors"


@checked
def to_nir(
    network: SpikingNetwork,
    path: str | Path,
    profile: str = "portable-lif",
    samples: int = 1,
    seed: int = 0,
    row: int = 0,
    *,
    sample: int = 0,
    dt: float | None = None,
    flat: bool = False,
    model: nn.Module | None = None,
    x: Values | None = None,
    task: Task | str = Task.REGRESSION,
    judge_samples: int = 100,
    overwrite: bool = False,
) -> Certificate:
    """Write a network as NIR, for the simulators and chips that read it: a graph for each sample, under its mask.

    Masks are folded into the weights, so that a reader of the graph needs nothing else; where units under different
    masks share weights (a convolution after a mask on single units) a Scale node holds the mask. Spikes are worth 1,
    inputs are constant over the steps, and the read-out is what arrives at the Output, to be averaged over the steps
    after the burn-in; the graph's metadata states dt, steps and burn-in, for which NIR has no fields.

    Profiles:
        - ``portable-lif``: LIF neurons without refractory time, a Lowpass as their synaptic current: LIF and CubaLIF,
          reset to 0, with time constants for which an Euler step gives the exact leak.
        - ``threshold``: threshold units as IF with r = 1, for one step of dt = 1.
        - ``integrate-and-fire``: neurons without a leak, and codes of two numbers in one tick (``Radix(1)``).

    Norse and SpikingJelly read these alike, and snnTorch ``portable-lif``. Sinabs 3.1 requires nir 1.0.4, which has
    no voltage after a spike and refuses the files; installed beside a newer one it reads the other two profiles alike
    once every layer's ``spike_fn`` is its ``SingleSpike``, but treats leaky neurons differently.

    Args:
        network: the network to write.
        path: if it ends in ``.nir``, a file with the graph of one sample; any other is a folder, with a graph for
            each sample, ``masks.safetensors`` and ``manifest.json``.
        profile: form of the graph, see above.
        samples: S, graphs; 1 for a file.
        seed, row: keys of the masks, those with which ``predict`` simulates this row.
        sample: the first of them.
        dt: the step that importers will take, s; by default the network's. snnTorch 1.0 always takes 1e-4: with
            ``dt=1e-4`` its steps are those of the network. Graphs of one step have no time.
        flat: put all units in a line and write every connection as its matrix. Then operators without a node in NIR
            can be expressed, importers that fail on Flatten (Norse 1.1, snnTorch 1.0) can read the graph, and it
            takes flat rows.
        model: the module that the network was made of: the certificate judges the graphs against it.
        x: ``[B, *shape]``, the rows for that.
        task: of the module, see ``predict``.
        judge_samples: samples of each row in the judgement.
        overwrite: replace what :func:`to_nir` wrote there before.

    Returns:
        The certificate, which lies beside the export as ``NAME.certificate.json``.

    Raises:
        ConversionError: parts that NIR or the profile cannot express, all named, with what to use instead.
        ConfigError: nir is not installed; a setting out of range; the path is taken or cannot be written.

    Warns:
        UserWarning: the certificate says *not kept*.

    Reference:
        Pedersen et al. 2024, Nat. Commun. 15:8122.
    """
    path = Path(path)
    if profile not in PROFILES:
        raise ConfigError(unknown("profile", profile, PROFILES))
    single = path.suffix == ".nir"
    if not path.name:
        raise ConfigError(f"a path needs a name; got {str(path)!r}: give a file that ends in .nir, or a folder")
    check_count("samples", samples, 1, MOST_SAMPLES, "write some at a time, with sample=")
    if single and samples > 1:
        raise ConfigError(f"{path} is one graph, under one mask; for {samples} samples give a folder")
    check_keys(sample, row, seed)
    if dt is not None and not 0 < dt < float("inf"):
        raise ConfigError(f"dt must be a positive number of seconds; got {dt}")
    if (model is None) != (x is None):
        raise ConfigError("a certificate needs the module and rows: give both model= and x=, or neither")
    beside = path.with_name(f"{path.stem if single else path.name}.certificate.json")
    _check_place(path, beside, overwrite)

    timing, said = timing_of(network), flattened(network) if flat else network
    whole = graph_of(said, profile, timing, dt, {})
    verdict = None
    if model is not None and x is not None:
        verdict = judged(network, whole, model, x, judge_samples, seed, Task(task))
    settings: dict[str, Any] = {"profile": profile, "flat": flat, "dt": whole.dt, "seed": int(seed), "row": int(row)}
    settings |= {"samples": [int(sample), int(sample + samples)], "judge_samples": judge_samples if verdict else None}
    settings |= {"timing": {**asdict(timing), "window": type(timing.window).__name__}}
    outcome = NOT_JUDGED if verdict is None else verdict.outcome.value
    certificate = Certificate(outcome, verdict, whole.differs, settings)

    def made(keep: dict[str, Tensor]) -> Graph:
        return graph_of(said, profile, timing, dt, factors(said, keep)) if keep else whole

    if single:
        with atomic(path) as partial:
            sha256 = {path.name: _write(partial, made(keeps(said, sample, row, seed)))}
    else:
        with _folder(path) as folder:
            numbers = range(sample, sample + samples)
            kept = {s: keeps(said, s, row, seed) for s in numbers}
            sha256 = _write_all(folder, said, kept, made, settings)
    certificate.write(beside, sha256)
    if verdict is not None and verdict.outcome is Outcome.NOT_KEPT:
        warnings.warn(
            f"{path} does not keep the predictive distribution: {'; '.join(verdict.reasons)}. Train for the neuron "
            "that is exported, or take more steps or a smaller dt; the certificate beside it has the figures",
            stacklevel=3,
        )
    return certificate


def _write_all(
    folder: Path,
    network: SpikingNetwork,
    kept: dict[int, dict[str, Tensor]],
    made: Callable[[dict[str, Tensor]], Graph],
    settings: dict[str, Any],
) -> dict[str, str]:
    """Graphs, masks and manifest; SHA-256 of each file by its name."""
    names = {sample: f"sample-{sample:03d}.nir" for sample in kept}
    sha256 = {names[sample]: _write(folder / names[sample], made(keep)) for sample, keep in kept.items()}
    nodes = {node.name: node.dropout for node in masked(network)}
    masks = {name: torch.stack([keep[name] for keep in kept.values()]) for name in nodes}  # [S, *shape]
    sha256[MASKS] = write_tensors(folder / MASKS, masks)
    manifest = {
        "seed": settings["seed"],
        "row": settings["row"],
        "samples": list(names),
        "graphs": list(names.values()),
        "sites": {name: {**asdict(noise), "shape": masks[name].shape[1:]} for name, noise in nodes.items() if noise},
        "sha256": sha256,
        "settings": settings,
    }
    write_json(folder / MANIFEST, manifest, FORMAT)
    return sha256


def _write(path: Path, graph: Graph) -> str:
    """Write a graph; SHA-256 of the file."""
    nir_package("to_nir").write(path, graph.graph)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_place(path: Path, beside: Path, overwrite: bool) -> None:
    """Refuse a place where something would be lost, or nothing can be written."""
    for place in (path, beside):
        if place.exists() and not overwrite:
            raise ConfigError(f"{place} is there already; give another path, or overwrite=True to replace it")
    if beside.exists() and not is_ours(beside):
        raise ConfigError(f"{beside} is not a certificate written by to_nir; give another path, or move it away")
    if path.suffix == ".nir":
        check_writable(path)
    elif path.exists():
        ours = is_ours(path / MANIFEST) and {MANIFEST, *read_json(path / MANIFEST, FORMAT)["sha256"]}
        if not ours or {place.name for place in path.iterdir()} - ours:
            raise ConfigError(f"{path} holds files that to_nir did not write; give another path, or move them away")
    check_writable(beside)


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """A folder that takes its place whole when the block ends without an error."""
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as around:
        made, before = Path(around) / "made", Path(around) / "before"
        made.mkdir()
        yield made
        there = path.exists()
        if there:
            os.replace(path, before)
        try:
            os.replace(made, path)
        except BaseException:
            if there:
                os.replace(before, path)
            raise
