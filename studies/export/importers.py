"""Simulators that read NIR, as they are on PyPI, run step by step on inputs that are constant."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def _norse(graph: Any, dt: float) -> nn.Module:
    from norse.torch import from_nir  # pyright: ignore[reportMissingImports]

    return from_nir(graph, ignore_warnings=True, dt=dt)


def _snntorch(graph: Any, dt: float) -> nn.Module:
    from snntorch.import_nir import import_from_nir  # pyright: ignore[reportMissingImports]

    return import_from_nir(graph)


def _spikingjelly(graph: Any, dt: float) -> nn.Module:
    from spikingjelly.activation_based.nir_exchange import import_from_nir  # pyright: ignore[reportMissingImports]

    return import_from_nir(graph, dt=dt)


def _sinabs(graph: Any, dt: float) -> nn.Module:
    from sinabs.activation import SingleSpike  # pyright: ignore[reportMissingImports]
    from sinabs.nir import from_nir  # pyright: ignore[reportMissingImports]

    made = from_nir(graph, num_timesteps=1)
    for layer in made.modules():
        if hasattr(layer, "spike_fn"):  # by default a neuron fires as often in a step as its voltage allows
            layer.spike_fn = SingleSpike
    return made


@dataclass(frozen=True)
class Importer:
    """A simulator.

    Args:
        package: in which it is.
        read: from a graph and dt to a module that takes inputs and a state, and gives outputs and the next one.
        dt: the step that it takes whatever the file says, s; None where it is told.
        leaks, one_step: it reads leaky neurons, and the profiles of one step, as the file means them.
    """

    package: str
    read: Callable[[Any, float], nn.Module]
    dt: float | None = None
    leaks: bool = True
    one_step: bool = True

    @property
    def missing(self) -> list[str]:
        """Packages that it would need, and that are not installed."""
        return [name for name in ("nir", "nirtorch", self.package) if find_spec(name) is None]


IMPORTERS = {
    "Norse": Importer("norse", _norse),
    "snnTorch": Importer("snntorch", _snntorch, dt=1e-4, one_step=False),  # its IF gives what the next cannot take
    "SpikingJelly": Importer("spikingjelly", _spikingjelly),
    "sinabs": Importer("sinabs", _sinabs, leaks=False),  # tau in steps, no filter, the threshold taken off
}


@torch.no_grad()
def imported_run(
    importer: Importer, path: Path, x: Tensor, steps: int, dt: float, populations: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """What an importer makes of a file.

    Args:
        path: of a graph.
        x: ``[B, *shape]``, shown in every step.
        steps: T. dt: of a step, s.
        populations: names of neuron nodes to watch.

    Returns:
        (read-out ``[B, T, C]``, spikes ``[B, T, N]`` by population).
    """
    import nir  # pyright: ignore[reportMissingImports]

    outputs, spikes = [], {name: [] for name in populations}
    with quiet():
        module = importer.read(nir.read(path), dt)
        parts = dict(module.named_modules())
        for name in populations:
            parts[name].register_forward_hook(_watch(spikes[name]))
        state = None
        for _ in range(steps):
            given = module(x) if state is None else module(x, state)
            output, state = given if isinstance(given, tuple) else (given, None)
            outputs.append(output.flatten(1))
    return torch.stack(outputs, 1), {name: torch.stack(seen, 1) for name, seen in spikes.items()}


def _watch(seen: list[Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, given: Any, output: Any) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output).flatten(1) > 0)

    return hook


@contextmanager
def quiet() -> Iterator[None]:
    """Importers talk, and use what is deprecated."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def nengo_run(made: Any, dt: float, steps: int) -> tuple[Tensor, dict[str, Tensor]]:
    """What Nengo makes of a network of ``to_nengo``: (read-out ``[T, C]``, spikes ``[T, N]`` by population)."""
    with quiet():
        import nengo

        with made:
            probes = {ensemble.label: nengo.Probe(ensemble.neurons) for ensemble in made.ensembles}
        with nengo.Simulator(made, dt=dt, progress_bar=False) as simulator:
            simulator.run_steps(steps, progress_bar=False)
            spikes = {name: torch.tensor(simulator.data[probe]) > 0 for name, probe in probes.items()}
            return torch.tensor(simulator.data[made.probes[0]]), spikes
