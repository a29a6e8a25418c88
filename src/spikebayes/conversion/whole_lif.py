"""LIF neurons and their filters in fixed point: currents and voltages of 24 bits, factors of 12.

A step adds b J to the voltage, b = 1 - exp(-dt/tau_rc). So the weights of a neuron hold its gain, b, what a spike of
the source is worth, and 1 over what a filter makes of a steady input; then a row of weights w becomes
k = w Theta / 2^s, and k 2^s is what a spike adds (on Loihi, a mantissa and an exponent), where the whole number Theta
is the neuron's threshold, and s as large as the width of states allows, so that what they lose by rounding is little.
Time constants become factors of 12 bits first, and all that hangs on them is worked out from these: for a constant
input no rate and no average changes but by the time constants' rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from spikebayes.conversion.whole_weights import (
    ROUNDED,
    TINY,
    Scales,
    Source,
    TooLarge,
    Whole,
    Wire,
    blanked_wires,
    in_whole_numbers,
    largest_sum,
    largest_weights,
    of_rows,
    rows_of,
    too_fine,
    whole_readout,
    with_whole_inputs,
    without_factor,
)
from spikebayes.errors import ConfigError
from spikebayes.network.fixed_point import ONE, FixedPointAlpha, FixedPointLIF, FixedPointLowpass, largest_response
from spikebayes.network.network import Connection, Population, SpikingNetwork, output_scale
from spikebayes.network.neurons import LIF
from spikebayes.network.noise import Gaussian
from spikebayes.network.synapses import Alpha, Lowpass, Synapse

STATES = (24, 32)  # bits of currents and voltages, the first that holds them
WHOLE_STEPS = 1e-6  # by which a refractory time may miss a whole number of steps


def whole_lif(
    network: SpikingNetwork, bits: int, top: int, inputs: dict[str, Source], state_bits: int | None
) -> Whole:
    """A network of LIF neurons.

    Args:
        network: of LIF neurons, behind Lowpass or Alpha filters or none.
        bits, top: of weights, and the largest.
        inputs: what the inputs give.
        state_bits: of currents and voltages; None takes the first of 24 and 32 that holds them.

    Raises:
        ConfigError: other neurons or filters, times that 12 bits or whole steps do not hold, or sums beyond
            ``state_bits``.
    """
    for c in network.connections:
        if c.blank_out is not None and isinstance(c.blank_out.sampling, Gaussian):
            raise ConfigError(
                f"the connection {c.source!r} to {c.target!r} draws sums of its synapses as real numbers; convert "
                "with sampling=Exact(), which draws every synapse"
            )
    *narrow, widest = STATES if state_bits is None else (state_bits,)
    for width in narrow:
        try:
            return _Maker(network, bits, top, inputs, width).made()
        except TooLarge:
            continue
    return _Maker(network, bits, top, inputs, widest).made()


@dataclass(frozen=True, eq=False)
class _Maker:
    """The arithmetic of :func:`whole_lif` for one width of states."""

    network: SpikingNetwork
    bits: int
    top: int
    inputs: dict[str, Source]
    width: int

    def made(self) -> Whole:
        net, most = self.network, 2 ** (self.width - 1)
        cells = {p.name: _cell(p, net.dt, self.width) for p in net.populations}
        populations, connections, scales, largest, shifts = [], [], {}, {}, {}
        for p in net.populations:
            wires = self._wires(p.name, cells, cells[p.name].leak / ONE * _lif(p).gain)
            found, into, units, largest[p.name] = self._population(p, cells[p.name], wires)
            scales[p.name], shifts[p.name] = units.scale, units.shift.long()
            populations.append(found)
            connections += into
        wires = self._wires(net.readout.name, cells, 1.0)
        shift = self._readout_shift(wires)
        shifts[net.readout.name] = torch.tensor(shift)
        readout, made, largest[net.readout.name], unit = whole_readout(net, wires, self.top, most, shift)
        if readout.constant is not None:
            readout = replace(readout, constant=readout.constant.double())
        whole = replace(
            net,
            inputs=with_whole_inputs(net),
            populations=tuple(populations),
            connections=(*connections, *made),
            readout=readout,
        )
        widths = {"weight": self.bits, "current": self.width, "voltage": self.width, "factor": ONE.bit_length() - 1}
        return Whole(whole, scales, {}, largest, unit, widths, shifts)

    def _population(
        self, p: Population, cell: FixedPointLIF, wires: list[Wire]
    ) -> tuple[Population, list[Connection], Scales, int]:
        """In whole numbers, with the connections into it, the scales of its rows and its largest state."""
        lif, share = _lif(p), cell.leak / ONE
        count, rows = rows_of(wires, p.shape)
        weights = largest_weights(wires, count, rows)
        current = torch.zeros(p.shape) if p.constant is None else p.constant
        drive = (lif.gain * current.double() + lif.bias) * share  # of a threshold, in a step
        reach = sum((w.reach() for w in wires), 1 + drive.abs())
        room = 2 ** (self.width - 1) / of_rows(torch.as_tensor(reach), count, rows)  # for a threshold, [O]
        shift = torch.floor(torch.log2(room * ROUNDED * weights.clamp(min=TINY) / self.top))
        if bool(too_fine(weights, torch.exp2(shift)).any()) or float((room * ROUNDED).min()) < 1:
            raise TooLarge(self._too_large(p.name))
        shift = shift.clamp(0, self.width)
        theta = torch.floor(torch.minimum(self.top * 2**shift / weights.clamp(min=TINY), room * ROUNDED))
        units = Scales(2**shift / theta, rows, shift)
        made, bound = in_whole_numbers(wires, units, p.shape)
        constant = torch.round(drive * theta[rows])
        largest = largest_sum(p.name, bound + constant.abs() + theta[rows], 2 ** (self.width - 1))
        neuron = replace(cell, threshold=theta[rows].clone())
        return replace(without_factor(p), neuron=neuron, constant=constant), made, units, largest

    def _readout_shift(self, wires: list[Wire]) -> int:
        """By how many bits the weights onto the read-out may be shifted left."""
        constant = self.network.readout.constant
        reach = sum((w.reach() for w in wires), torch.zeros(self.network.readout.shape, dtype=torch.float64))
        reach = torch.as_tensor(reach) + (0 if constant is None else constant.double().abs())
        heaviest = max(float(w.weight.abs().max()) for w in wires)
        if heaviest == 0:
            return 0
        room = 2 ** (self.width - 1) * heaviest / self.top / float(reach.max())
        if room < 1:
            raise TooLarge(self._too_large(self.network.readout.name))
        return max(0, math.floor(math.log2(room * ROUNDED)))

    def _too_large(self, target: str) -> str:
        return (
            f"sums into {target!r} of weights of {self.bits} bits may leave {self.width} bits; use fewer bits, or "
            "more state_bits, or a smaller largest_input"
        )

    def _wires(self, target: str, cells: dict[str, FixedPointLIF], factor: float) -> list[Wire]:
        """Weights that hold what a spike is worth, what a filter makes of it, and what the target does."""
        found = []
        for c in self.network.into(target):
            synapse, gain = _filter(c, self.network.dt, self.width)
            spiking = c.source in cells
            every = cells[c.source].refractory + 1 if spiking else 1
            source = self._source(c.source) if spiking else self.inputs[c.source]
            source = replace(source, most=source.most * largest_response(synapse, every))
            found += blanked_wires(self.network, replace(c, synapse=synapse), source, factor / gain)
        return found

    def _source(self, name: str) -> Source:
        node = next(p for p in self.network.populations if p.name == name)
        return Source(1, output_scale(node, self.network.dt))


def _lif(population: Population) -> LIF:
    if type(population.neuron) is not LIF:
        raise ConfigError(
            f"population {population.name!r} has {type(population.neuron).__name__} neurons beside LIF; whole "
            "numbers are for networks of one kind: threshold and sign neurons, LIF, or those of a code in windows"
        )
    return population.neuron


def _cell(population: Population, dt: float, width: int) -> FixedPointLIF:
    """A population's neuron but for its threshold."""
    lif = _lif(population)
    rest = lif.tau_ref / dt
    if abs(rest - round(rest)) > WHOLE_STEPS * max(1.0, rest):
        raise ConfigError(
            f"population {population.name!r} has a refractory time of {1e3 * lif.tau_ref:g} ms, {rest:g} steps of "
            f"{1e3 * dt:g} ms; fixed point counts whole steps: convert with a dt of which it is a multiple"
        )
    leak = _leak(lif.tau_rc, dt, f"population {population.name!r} has a membrane")
    return FixedPointLIF(torch.ones(()), leak, round(rest), width)


def _leak(tau: float, dt: float, whose: str) -> int:
    """1 - exp(-dt/tau) of 4096."""
    leak = round(-math.expm1(-dt / tau) * ONE)
    if leak < 1:
        raise ConfigError(
            f"{whose} time constant of {1e3 * tau:g} ms, {tau / dt:.0f} steps: a step takes less than half of "
            f"1/{ONE} off, which a factor of 12 bits cannot say; use a larger dt"
        )
    return leak


def _filter(c: Connection, dt: float, width: int) -> tuple[Synapse | None, float]:
    """A connection's filter in fixed point, and what it makes of a steady input."""
    if c.synapse is None:
        return None, 1.0
    where = f"the connection {c.source!r} to {c.target!r} has a filter"
    if type(c.synapse) not in (Lowpass, Alpha):
        raise ConfigError(
            f"{where} of its own kind ({type(c.synapse).__name__}); fixed point has Lowpass and Alpha: convert with "
            "one of these"
        )
    made = fixed_filter(c.synapse, dt, width, f"{where} whose")  # pyright: ignore[reportArgumentType]
    return made, made.gain


def fixed_filter(
    synapse: Lowpass | Alpha, dt: float, width: int, whose: str = "a filter has a"
) -> FixedPointLowpass | FixedPointAlpha:
    """A filter in fixed point.

    The second state of Alpha is y = d Y, where x = b X:  Y <- a Y + (r a b / d) X_old + u, d = 1 - a - r a.
    """
    leak = _leak(synapse.tau, dt, whose)
    if isinstance(synapse, Lowpass):
        return FixedPointLowpass(leak, width)
    _, b, ra, d = synapse.coefficients(dt)
    return FixedPointAlpha(leak, round(ra * b / d * ONE), width)
