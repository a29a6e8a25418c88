"""Ways to run the trained network as a spiking one, and the rows that it is judged on."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import r2_score
from torch import Tensor, nn

from spikebayes import (
    LIF,
    Alpha,
    Code,
    Connection,
    Flat,
    Predictive,
    Redraw,
    SpikingNetwork,
    Window,
    convert,
    predict,
)
from spikebayes.network import Synapse
from spikebayes.nn import LIFRate, SoftLIF
from studies.wycoff2019.learning import DT, Task

UNIT = 1e-2  # s: time constant for which the library's own burn-in is asked
SHOWN = 400  # training rows that show a code how large values become


@dataclass(frozen=True)
class Method:
    """How a sample is simulated.

    Args:
        name: in tables.
        synapse: filter between layers. readout: filter into the read-out; None reads the spikes themselves.
        speed: all time constants of the neurons and their amplitude are divided by it, which leaves the rate curve
            as it is and multiplies the rates.
        steps: T. burn_in: of them left out.
        window: weights of the averaged steps.
        redraw: samples out of one run, in place of steps and burn_in.
        gains: by population, what its amplitude is multiplied by.
        code: windows of ticks in place of all of the above. headroom: of its tops.
    """

    name: str
    synapse: Synapse = field(default_factory=lambda: Alpha(0.02))
    readout: Synapse | None = field(default_factory=lambda: Alpha(0.02))
    speed: float = 1.0
    steps: int = 300
    burn_in: int = 200
    window: Window = field(default_factory=Flat)
    redraw: Redraw | None = None
    gains: tuple[tuple[str, float], ...] = ()
    code: Code | None = None
    headroom: float = 1.0

    def network(self, net: nn.Module, rows: tuple[Tensor, ...]) -> SpikingNetwork:
        """The spiking network; ``rows`` of the training show a code how large values become."""
        if self.code is not None:
            return convert(net, rows, code=self.code, headroom=self.headroom)
        made, gains = convert(net, rows, dt=DT, synapse=self.synapse), dict(self.gains)
        return replace(
            made,
            connections=tuple(self._connection(c, made.readout.name) for c in made.connections),
            populations=tuple(
                replace(p, neuron=faster(p.neuron, self.speed, gains.get(p.name, 1.0))) for p in made.populations
            ),
        )

    def sampling(self) -> dict[str, Any]:
        """Arguments of ``predict``."""
        if self.code is not None:
            return {}
        return {"steps": self.steps, "burn_in": self.burn_in, "window": self.window, "redraw": self.redraw}

    def describe(self) -> dict[str, Any]:
        """For the JSON file."""
        settings = asdict(self) | {"synapse": repr(self.synapse), "readout": repr(self.readout)}
        code = None if self.code is None else repr(self.code)
        return settings | {"window": type(self.window).__name__, "code": code}

    def _connection(self, connection: Connection, readout: str) -> Connection:
        if connection.synapse is None or connection.target != readout:
            return connection
        return replace(connection, synapse=self.readout)


def faster(neuron: Any, speed: float, gain: float = 1.0) -> Any:
    """A LIF neuron with the same output, but for a gain, at ``speed`` times the rate."""
    assert isinstance(neuron, LIF)
    amplitude = gain * neuron.amplitude / speed
    return replace(neuron, tau_rc=neuron.tau_rc / speed, tau_ref=neuron.tau_ref / speed, amplitude=amplitude)


def with_gamma(net: nn.Module, gamma: float) -> nn.Module:
    """A copy with another width of every threshold."""
    other = copy.deepcopy(net)
    for module in other.modules():
        if isinstance(module, SoftLIF):
            module.gamma.fill_(gamma)
    return other


def hardened(net: nn.Module) -> nn.Module:
    """A copy with the LIF rate curve itself in place of every SoftLIF."""
    hard = copy.deepcopy(net)
    for parent in list(hard.modules()):
        for name, child in parent.named_children():
            if isinstance(child, SoftLIF):
                n = child.neuron
                setattr(parent, name, LIFRate(n.tau_rc, n.tau_ref, n.amplitude, n.gain, n.bias))
    return hard


@dataclass(frozen=True, eq=False)
class Bench:
    """The trained network and the rows that it is judged on.

    Args:
        task: the data.
        net: trained.
        seed: of the first of three mask seeds: reference, control, and the spiking network's own.
        progress: show progress bars.
    """

    task: Task
    net: nn.Module
    seed: int
    progress: bool = False
    _latest: dict[Method, SpikingNetwork] = field(default_factory=dict, init=False, repr=False)

    def rows(self, count: int) -> Tensor:
        """The first test rows: what is told of a method is told of these."""
        return self.task.split.test[:count]

    def search_rows(self, count: int) -> Tensor:
        """The last validation rows: methods are chosen on these."""
        return self.task.split.validation[-count:]

    def inputs(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Their features."""
        return self.task.tables.inputs(rows)

    def network(self, method: Method) -> SpikingNetwork:
        """The spiking network of a method; the latest is kept."""
        if method not in self._latest:
            count = 1 if method.code is None else SHOWN
            made = method.network(self.net, self.inputs(self.task.split.train[:count]))
            self._latest.clear()
            self._latest[method] = made
        return self._latest[method]

    def classical(self, rows: Tensor, samples: int, shift: int = 0, net: nn.Module | None = None) -> Predictive:
        """Samples of the torch network, in scaled units."""
        return predict(net or self.net, self.inputs(rows), **self._settings(rows, samples, shift))

    def spiking(self, method: Method, rows: Tensor, samples: int, shift: int = 0) -> Predictive:
        """Samples of the spiking network; without a shift under the masks of the classical ones."""
        return predict(
            self.network(method), self.inputs(rows), **self._settings(rows, samples, shift), **method.sampling()
        )

    def _settings(self, rows: Tensor, samples: int, shift: int) -> dict[str, Any]:
        return {"samples": samples, "seed": self.seed + shift, "rows": rows, "progress": self.progress}

    def r2(self, rows: Tensor, made: Predictive) -> float:
        """Of the averaged prediction."""
        return float(r2_score(self.task.data.target[rows, 0].numpy(), self.in_units(made)))

    def in_units(self, made: Predictive) -> NDArray[np.float32]:
        """``[B]``: the averaged prediction in the target's units."""
        return self.task.scaling.outputs(made.mean[:, 0]).numpy()


def fitting_filters(bench: Bench) -> Method:
    """The paper's steps under filters whose start is over when its burn-in is.

    The start of L filters in a row dies like the tail of a Gamma distribution of shape 2 L: its 99 % quantile in
    units of their time constant is what the burn-in has room for.
    """
    paper = Method("")
    plain = replace(bench.network(replace(paper, synapse=Alpha(UNIT), readout=Alpha(UNIT))), timing=None)
    made = predict(plain, bench.inputs(bench.rows(1)), samples=2, seed=bench.seed)
    tau = paper.burn_in / made.settings["burn_in"] * UNIT
    return Method(f"200 steps left out, Alpha {1000 * tau:.1f} ms", Alpha(tau), Alpha(tau))


def row_steps(method: Method, made: Predictive) -> int:
    """Steps, or ticks, that a prediction took, over all rows and samples."""
    samples, rows = made.samples.shape[:2]
    if method.code is not None:
        return rows * samples * made.settings["ticks_per_sample"]
    return rows * (samples * method.steps if method.redraw is None else method.redraw.steps(samples))


def as_list(values: Any) -> list[float]:
    """Numbers for the JSON file, six digits each."""
    return [float(f"{value:.6g}") for value in torch.as_tensor(values).flatten().tolist()]
