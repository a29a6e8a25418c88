"""What simulators are compared on: random networks in which every population fires at one rate.

The amplitude of a spike is set so that filtered outputs have a mean square of about 1 at the given rate. Weights and
biases are normal, such that currents have a standard deviation of about half the threshold, most of it from neuron
to neuron: many are silent, others fire at several times the population's mean rate, and they do not fire in step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from spikebayes import Alpha, ConfigError, Connection, Input, Population, SpikingNetwork, Timing, convert
from spikebayes.engine.contract import Work
from spikebayes.engine.select import select
from spikebayes.network import Chain, Dense, Reshape, Shape, size
from spikebayes.nn import LIFRate, Permadrop, zoo
from spikebayes.noise.keys import Keys

DT, TAU_RC, TAU_REF = 1e-3, 0.02, 0.001  # s
SYNAPSE = Alpha(0.02)
DROPOUT = 0.1
SPREAD, BIAS = 0.4, 0.3  # standard deviation of currents from a layer's input and of biases; the threshold is 1
TOLERANCE = 0.02  # of a population's rate, on the rows it is set with
SPIKES = 300  # of a population in a step, over the rows that rates are set on
FLOOR = 1e-6  # rates below count as this one, spikes per neuron and step


@dataclass(frozen=True, eq=False)
class Workload:
    """One network with inputs to run it on.

    Args:
        name: one of ``NAMES``.
        title: what it is, for a reader.
        network: LIF populations, Alpha(0.02) synapses, dropout 0.1, 1 ms steps.
        inputs: ``[rows, *shape]`` float32 for each argument, constant over a simulation.
        rate: spikes per neuron and step, on average over a population, its rows and all steps; dropped neurons
            count as neurons that never fire.
        steps: T, steps of one simulation.
        burn_in: steps left out of the read-out's average.
    """

    name: str
    title: str
    network: SpikingNetwork
    inputs: tuple[Tensor, ...]
    rate: float
    steps: int = 300
    burn_in: int = 200

    @property
    def rows(self) -> int:
        """How many rows the inputs have."""
        return len(self.inputs[0])

    def take(self, rows: int) -> Workload:
        """The same on the first rows only.

        Raises:
            ConfigError: there are not that many.
        """
        if not 1 <= rows <= self.rows:
            raise ConfigError(f"workload {self.name} has {self.rows} rows; {rows} cannot be taken of them")
        return replace(self, inputs=tuple(x[:rows] for x in self.inputs))


@dataclass(frozen=True)
class _Recipe:
    """How a workload is made: its module, and whether its inputs are images in [0, 1] or standard normal."""

    title: str
    build: Callable[[Callable[[], nn.Module]], nn.Module]
    shapes: tuple[Shape, ...]
    images: bool = False
    most_rows: int = 64  # to set the rates on


def _perceptron(*widths: int, images: bool = False) -> _Recipe:
    first, *hidden, last = widths
    title = "MLP " + "-".join(str(n) for n in widths)
    return _Recipe(title, lambda unit: zoo.mlp(first, last, hidden, DROPOUT, activation=unit), ((first,),), images)


def _convolutional(unit: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), unit(), Permadrop(DROPOUT)),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), unit(), Permadrop(DROPOUT)),
        nn.Flatten(),
        *(nn.Linear(16384, 256), unit(), Permadrop(DROPOUT)),
        nn.Linear(256, 10),
    )


RECIPES = {
    "A": _perceptron(3820, 1000, 1000, 1000, 1),
    "B": _perceptron(784, 300, 300, 300, 10, images=True),
    "C": _Recipe("Conv 3x32x32: 32-64/2-256-10", _convolutional, ((3, 32, 32),), images=True, most_rows=4),
    "D": _Recipe("Combo", lambda unit: zoo.combo(dropout=DROPOUT, activation=unit), ((942,), (3820,), (3820,))),
}
NAMES = tuple(RECIPES)


def workload(name: str, *, rows: int = 64, rate: float = 0.0175, width: int | None = None, seed: int = 0) -> Workload:
    """Make one of the networks and set its rates.

    Args:
        name: ``"A"``: MLP 3820-1000-1000-1000-1; ``"B"``: MLP 784-300-300-300-10; ``"C"``: two convolutions and a
            dense layer on 3 x 32 x 32; ``"D"``: the twin towers of Combo.
        rows: how many rows of inputs.
        rate: spikes per neuron and step that every population is set to, within 5 %.
        width: of the hidden layers, other than 1000; A only.
        seed: of weights and inputs; torch's own generators are left as they are.

    Raises:
        ConfigError: an unknown name, or a setting out of range.

    Example:
        >>> workload("A", rows=2, width=50).title
        'MLP 3820-50-50-50-1'
    """
    if name not in RECIPES:
        raise ConfigError(f"there is no workload {name!r}; there are {', '.join(NAMES)}")
    if width is not None and (name != "A" or width < 1):
        raise ConfigError(f"a width, at least 1, can be given for workload A only; got {width} for {name}")
    if rows < 1 or not 0 < rate <= 0.5:
        raise ConfigError(f"rows must be at least 1 and the rate in (0, 0.5]; got {rows} and {rate}")
    recipe = RECIPES[name] if width is None else _perceptron(3820, width, width, width, 1)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        module = recipe.build(lambda: LIFRate(TAU_RC, TAU_REF, _amplitude(rate), gain=1.0, bias=0.0))
    _draw_weights(module, recipe, generator)
    network = convert(module, [torch.zeros(1, *shape) for shape in recipe.shapes], dt=DT, synapse=SYNAPSE)
    fewest = min(size(p.shape) for p in network.populations) * rate  # spikes in a step
    calibration = min(max(8, math.ceil(SPIKES / fewest)), recipe.most_rows)
    network = at_rate(network, _draw_inputs(recipe, calibration, generator), rate)
    return Workload(name, recipe.title, network, _draw_inputs(recipe, rows, generator), rate)


def _amplitude(rate: float) -> float:
    """Area of one spike, so that an output filtered by ``SYNAPSE`` has a mean square of about 1.

    Its square is amplitude^2 times the mean square of rates over neurons, about 5 times the squared mean, plus what
    single spikes add: the mean rate times the integral of the squared impulse response, 1/(4 tau).
    """
    hertz = rate / DT
    return 1 / math.sqrt(5 * hertz**2 + hertz / (4 * SYNAPSE.tau))


def _draw_weights(module: nn.Module, recipe: _Recipe, generator: torch.Generator) -> None:
    """Normal weights and biases; the mean square of a layer's input is 1/3 for images and about 1 for all else."""
    layers = [m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for i, layer in enumerate(layers):
        power = 1 / 3 if recipe.images and i == 0 else 1.0
        fan_in = layer.weight[0].numel()
        nn.init.normal_(layer.weight, std=SPREAD / math.sqrt(fan_in * power), generator=generator)
        if layer.bias is not None:
            nn.init.normal_(layer.bias, std=BIAS, generator=generator)


def _draw_inputs(recipe: _Recipe, rows: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    draw = torch.rand if recipe.images else torch.randn
    return tuple(draw(rows, *shape, generator=generator) for shape in recipe.shapes)


def at_rate(network: SpikingNetwork, inputs: tuple[Tensor, ...], rate: float, steps: int = 300) -> SpikingNetwork:
    """The network with a constant added to each population's input, so that on these rows it fires at ``rate``."""
    rows = torch.arange(len(inputs[0]))
    shiftable = _shiftable(network)
    work = select("auto", shiftable).prepare(shiftable, torch.float32)
    sizes = {p.name: size(p.shape) for p in network.populations}

    def measure(shifts: Mapping[str, float]) -> dict[str, float]:
        given = tuple(torch.full((len(rows), 1), shifts[name]) for name in sizes)
        result = work(Work((*inputs, *given), rows, Keys(0, torch.zeros_like(rows), rows), Timing(steps)))
        return {name: float(result.counts[name].sum()) / (len(rows) * steps * n) for name, n in sizes.items()}

    one_neuron = 1 + 1 / math.expm1((DT / rate - TAU_REF) / TAU_RC)  # constant current that makes one fire like this
    found = settle(measure, dict.fromkeys(sizes, one_neuron), rate, aim=TOLERANCE, accept=0.05)

    def shifted(p: Population) -> Population:
        constant = torch.zeros(p.shape) if p.constant is None else p.constant
        return replace(p, constant=constant + found[p.name])

    return replace(network, populations=tuple(shifted(p) for p in network.populations))


def _shiftable(network: SpikingNetwork) -> SpikingNetwork:
    """The network with one more argument ``[1]`` for each population, added to the input of all its neurons."""
    arguments = 1 + max(i.argument for i in network.inputs)
    extra, connections = [], []
    for k, p in enumerate(network.populations):
        name = f"shift of {p.name}"
        extra.append(Input(name, (1,), argument=arguments + k))
        connections.append(Connection(name, p.name, Chain((Dense(torch.ones(size(p.shape), 1)), Reshape(p.shape)))))
    return replace(network, inputs=(*network.inputs, *extra), connections=(*network.connections, *connections))


def settle(
    measure: Callable[[Mapping[str, float]], Mapping[str, float]],
    start: Mapping[str, float],
    rate: float | Mapping[str, float],
    *,
    aim: float,
    accept: float = 0.2,
    rounds: int = 24,
) -> dict[str, float]:
    """Shifts of the populations' currents at which each fires at a rate: secant steps in the logarithm of the rate.

    All populations are moved at once. A population depends only on those before it, so errors vanish in order.

    Args:
        measure: from shifts to rates, spikes per neuron and step, by population.
        start: first shifts.
        rate: to reach; of all populations or of each.
        aim, accept: relative error at which to stop, and the largest to put up with after the last round.
        rounds: most measurements.

    Raises:
        ConfigError: some population is still further off than ``accept``.
    """
    wanted = rate if isinstance(rate, Mapping) else dict.fromkeys(start, rate)
    shifts, slopes, best, least = dict(start), dict.fromkeys(start, 2.0), dict(start), math.inf
    before: tuple[dict[str, float], dict[str, float]] | None = None
    for _ in range(rounds):
        rates = measure(shifts)
        errors = {name: math.log(max(rates[name], FLOOR) / max(wanted[name], FLOOR)) for name in shifts}
        worst = max(abs(e) for e in errors.values())
        if worst < least:
            best, least = shifts, worst
        if worst < aim:
            return shifts
        if before:
            for name, slope in slopes.items():
                moved = shifts[name] - before[0][name]
                if abs(moved) > 1e-4:
                    secant = (errors[name] - before[1][name]) / moved
                    slopes[name] = min(max(secant, slope / 3, 0.05), 3 * slope, 30.0)
        before = shifts, errors
        shifts = {name: shifts[name] - min(max(errors[name] / slopes[name], -1.0), 1.0) for name in shifts}
    if least > accept:
        said = ", ".join(f"{rate:.3g}" for rate in dict.fromkeys(wanted.values()))
        raise ConfigError(f"rates of {said} spikes per neuron and step were not reached within {accept:.0%}")
    return best
