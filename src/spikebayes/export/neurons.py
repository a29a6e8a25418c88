"""Neurons as nodes of NIR, and such nodes as neurons."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.conversion.obstacles import Blocked, Obstacle
from spikebayes.errors import ConfigError
from spikebayes.export.layers import every_axis, tensor
from spikebayes.network.coded import Coded, Ramp
from spikebayes.network.discrete import IF, Discrete, DiscreteLIF, euler
from spikebayes.network.neurons import LIF, Neuron, Threshold
from spikebayes.network.operators import Shape
from spikebayes.network.synapses import Lowpass, Synapse

Array = NDArray[Any]
FLOOR = "voltages fall below 0, where those of LIF stay at it"
DELAY = "a filter delivers in the same step, not in the next, and biases are filtered too"


# -- to NIR ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A neuron as NIR says it.

    Args:
        neuron: in discrete steps; None of a read-out.
        gain, bias: by what its input is multiplied first, and what is added then.
        differs: from the network's own neurons, in words; nothing where it does the same.
    """

    neuron: Discrete | None = None
    gain: float = 1.0
    bias: float = 0.0
    differs: tuple[str, ...] = ()


def _lif(neuron: LIF, synapse: Synapse | None, dt: float) -> Cell:
    """With a current in the one form that all importers read: both gains, tau/dt, are taken off the input again."""
    if neuron.tau_ref != 0:
        raise _blocked(
            f"its neurons rest {1e3 * neuron.tau_ref:g} ms after a spike (tau_ref)",
            "NIR has no refractory time: train with nn.DiscreteSoftLIF, whose neurons have none",
        )
    tau = euler(neuron.tau_rc, dt)
    if synapse is None:
        return Cell(DiscreteLIF(tau), neuron.gain, neuron.bias, (FLOOR,))
    slow = euler(_tau(synapse), dt)
    scale = dt / tau * dt / slow
    lif = DiscreteLIF(tau, r=tau / dt, tau_syn=slow, w_in=slow / dt)
    return Cell(lif, neuron.gain * scale, neuron.bias * scale, (FLOOR, DELAY))


def _discrete_lif(neuron: DiscreteLIF, synapse: Synapse | None, dt: float) -> Cell:
    if neuron.v_reset is None:
        raise _subtracting()
    if synapse is None:
        return Cell(neuron)
    if neuron.tau_syn is not None:
        raise _blocked("its neurons filter their current, and their input is filtered too", "leave one filter out")
    return Cell(replace(neuron, tau_syn=euler(_tau(synapse), dt)), differs=(DELAY,))


def _if(neuron: IF, synapse: Synapse | None, dt: float) -> Cell:
    if neuron.v_reset is None:
        raise _subtracting()
    return _without_filter(Cell(neuron), synapse)


def _threshold(neuron: Threshold, synapse: Synapse | None, dt: float) -> Cell:
    """It fires at its threshold, and NIR's above it: the largest number of float32 below it is NIR's."""
    below = float(np.nextafter(np.float32(neuron.threshold), np.float32(-math.inf)))
    return _without_filter(Cell(IF(v_threshold=below)), synapse)


def _coded(neuron: Coded, synapse: Synapse | None, dt: float) -> Cell:
    """Of two numbers, 0 and 1, a neuron tells the 1 by a spike in its one tick, from half a step on."""
    code, response = neuron.code, neuron.response
    if code.ticks > 1 or code.highest > 1:
        raise _blocked(
            f"{code} tells {code.highest + 1:,} numbers, and a spike of NIR is worth the same whenever it comes",
            "convert with code=Radix(1), or train threshold units",
        )
    if type(response) is not Ramp or response.signed:
        raise _blocked("its neurons tell negative numbers, or bent ones", "use ReLU, or ReLU6")
    return _threshold(Threshold(0.5), synapse, dt)


#: by profile what it can say, by exact type: from a neuron, the filter of what it takes in, and dt
PROFILES: dict[str, dict[type[Neuron], Callable[[Any, Synapse | None, float], Cell]]] = {
    "portable-lif": {LIF: _lif, DiscreteLIF: _discrete_lif},
    "threshold": {Threshold: _threshold},
    "integrate-and-fire": {IF: _if, Coded: _coded},
}


def node_of(nir: Any, neuron: Discrete, shape: Shape, dtype: torch.dtype | None, unit: float) -> Any:
    """The node of neurons ``[*shape]``.

    Args:
        dtype: of the arrays; None takes for each the one that changes no bit.
        unit: what a second is in the file.
    """

    def full(value: float | Tensor | None, factor: float = 1.0) -> Array:
        assert value is not None
        exact = torch.as_tensor(value, dtype=torch.float64) * factor
        found = dtype or (torch.float32 if torch.equal(exact.float().double(), exact) else torch.float64)
        return exact.expand(shape).to(found).contiguous().numpy()

    fires = {"v_threshold": full(neuron.v_threshold), "v_reset": full(neuron.v_reset)}
    if isinstance(neuron, IF):
        return nir.IF(r=full(neuron.r, 1 / unit), **fires)
    assert isinstance(neuron, DiscreteLIF)
    fires |= {"r": full(neuron.r), "v_leak": full(neuron.v_leak)}
    if neuron.tau_syn is None:
        return nir.LIF(tau=full(neuron.tau_mem, unit), **fires)
    slow = full(neuron.tau_syn, unit)
    return nir.CubaLIF(tau_syn=slow, tau_mem=full(neuron.tau_mem, unit), w_in=full(neuron.w_in), **fires)


def _without_filter(cell: Cell, synapse: Synapse | None) -> Cell:
    if synapse is not None:
        raise _blocked(f"its input is filtered ({synapse.words})", "only LIF neurons of NIR have a current")
    return cell


def _tau(synapse: Synapse) -> float:
    assert isinstance(synapse, Lowpass)
    return synapse.tau


def _subtracting() -> Blocked:
    """sinabs takes the threshold off whatever a file says, and those that read v_reset never do: none is told to."""
    return _blocked(
        "its neurons subtract the threshold after a spike, and those of NIR are reset to a voltage (v_reset)",
        "give v_reset, or train with nn.DiscreteSoftLIF(reset='zero')",
    )


def _blocked(reason: str, cure: str) -> Blocked:
    return Blocked(Obstacle("", reason, cure))


# -- from NIR ----------------------------------------------------------------------------------------------


def neurons_of(nir: Any) -> dict[type, Callable[[Any, Shape, float], Neuron]]:
    """By NIR's exact type: from a node, the shape of its neurons and dt to what they do."""
    return {nir.IF: _from_if, nir.LIF: _from_lif, nir.CubaLIF: _from_lif, nir.Threshold: _from_threshold}


def one_step(neuron: Neuron) -> Threshold:
    """The threshold unit that an integrate-and-fire neuron is for a single step from 0."""
    assert isinstance(neuron, IF)
    return _above(neuron.v_threshold)


def _from_if(node: Any, shape: Shape, dt: float) -> IF:
    return IF(**{name: parameter(getattr(node, name), shape) for name in ("r", "v_threshold", "v_reset")})


def _from_lif(node: Any, shape: Shape, dt: float) -> DiscreteLIF:
    given = {name: getattr(node, name) for name in ("r", "v_leak", "v_threshold", "v_reset")}
    if hasattr(node, "tau_syn"):
        given |= {name: getattr(node, name) for name in ("tau_mem", "tau_syn", "w_in")}
    else:
        given["tau_mem"] = node.tau
    numbers: dict[str, Any] = {name: parameter(values, shape) for name, values in given.items()}
    found = DiscreteLIF(**numbers)
    for name in ("tau_mem", "tau_syn"):
        value = getattr(found, name)
        if value is not None and float(torch.as_tensor(value).min()) < dt * (1 - 1e-6):
            raise ConfigError(f"a {name} below the step of {dt:g} s leaks more than the whole; give a smaller dt")
    return found


def _from_threshold(node: Any, shape: Shape, dt: float) -> Threshold:
    return _above(parameter(node.threshold, shape))


def _above(threshold: float | Tensor) -> Threshold:
    if isinstance(threshold, Tensor):
        raise ConfigError("thresholds of a population must be alike; put the differences into its biases")
    return Threshold(float(np.nextafter(np.float32(threshold), np.float32(math.inf))))


def parameter(values: Any, shape: Shape) -> float | Tensor:
    """One number where all are alike, else ``[*shape]``.

    Raises:
        ConfigError: they are not of that shape.
    """
    array = np.asarray(values)
    if array.size == 1 or bool((array == array.flat[0]).all()):
        return float(array.flat[0])
    every_axis(array, shape)
    return tensor(np.broadcast_to(array, shape))
