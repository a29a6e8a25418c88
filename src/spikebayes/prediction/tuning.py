"""tune(): the filters and the fewest steps with which a network of spiking neurons samples as its module does.

For every length of the filters the read-out is recorded once, for long; whatever burn-in, number of steps and window
are to be tried is an average over that one record. Filters are tried from the shortest, whose runs are the shortest;
each next one is run for fewer steps than the best so far has.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from spikebayes.conversion.paired_error import relative_error
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.evenly import evenly
from spikebayes.machine.numbers import check_count
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.network.synapses import Alpha, Lowpass, Synapse
from spikebayes.network.timing import Flat, Hann, Timing
from spikebayes.prediction.heads import Head, class_probabilities, softmax_on_one_side
from spikebayes.prediction.inputs import as_inputs
from spikebayes.prediction.predict import predict
from spikebayes.prediction.sampling import AVERAGED, SamplingPlan, Values, default_timing
from spikebayes.prediction.simulate import argument_shapes, simulate
from spikebayes.prediction.task import Task

TAUS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02)  # s
LEAST_ROWS, MOST_ROWS, SAMPLES = 10, 100, 20
WORK = 10_000_000  # neurons times samples and rows
LONGEST = 100_000  # steps
SHORTER = 0.92  # of the steps: what is tried next
LEFT_OUT = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # shares of the steps that are tried as burn-in
AS_GOOD = 1.1  # times the lowest error
SURE = 0.9  # times the error asked for: on other rows it is larger than where it was chosen
ITS_OWN = "give the module that the network was made of"
UNLIKE = 0.3  # correlation under the same masks, below which a network is another module's


@dataclass(frozen=True, eq=False)
class Tuned:
    """What was found on the calibration rows.

    Args:
        network: carries its timing.
        error: under the same masks as the module.
        alike: correlation of its samples, less their row's mean, with the module's.
        hints: why the error may be what it is.
    """

    network: SpikingNetwork
    error: float
    alike: float
    hints: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Of a sample."""
        assert self.network.timing is not None
        return self.network.timing.steps

    def __str__(self) -> str:
        taus = sorted({1e3 * s.tau for s in _filters(self.network)})
        filters = f"filters of {', '.join(f'{tau:g}' for tau in taus)} ms, " if taus else ""
        return f"{filters}{self.network.timing}: error {self.error:.2g} of the predictive standard deviation"


@checked
def tune(
    network: SpikingNetwork,
    model: nn.Module,
    rows: Values,
    *,
    error: float = 0.03,
    task: Task | str = Task.REGRESSION,
    taus: Sequence[float] = TAUS,
    samples: int = SAMPLES,
    seed: int = 0,
    engine: str = "auto",
) -> SpikingNetwork:
    """The network with the filters, burn-in and window that need the fewest steps for an error on calibration rows.

    The error is the median over rows of the paired rms difference between network and module under the same masks,
    over the predictive standard deviation. :func:`spikebayes.predict` then takes these steps unless told otherwise,
    and a stored network keeps them.

    Args:
        network: what ``convert`` made of the module, of LIF or other neurons with a memory.
        model: the module.
        rows: ``[B, *shape]``, or one for each argument, 10 or more, like those to be predicted; at most 100 (fewer
            for a network with thousands of neurons), evenly spread, are used.
        error: largest error allowed.
        task: for classification, probabilities are compared.
        taus: time constants of the slowest filter to try, s; the others are scaled in proportion (Alpha and Lowpass;
            other filters, and the neurons' own in discrete steps, are unchanged).
        samples: S of each row. seed: of the masks.
        engine: as for ``predict``.

    Returns:
        The network, with its filters and ``timing`` replaced.

    Warns:
        UserWarning: no setting tried reaches the error; the result is the one with the fewest steps whose error is
            within a tenth of the lowest.

    Raises:
        ConfigError: a setting out of range; a network that sends numbers in windows or has no memory, and so needs no
            timing; or one that was not made of the module.
        DataError: rows that are too few, or do not fit.

    Example:
        >>> from spikebayes import convert
        >>> from spikebayes.nn import Permadrop, SoftLIF
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(2, 50), SoftLIF(1e-3), Permadrop(0.5), nn.Linear(50, 1))
        >>> x = torch.randn(20, 2)
        >>> tuned = tune(convert(model, x), model, x, error=0.1)
        >>> tuned.timing.steps < 100, predict(tuned, x).settings["steps"] == tuned.timing.steps
        (True, True)
    """
    found = find_timing(network, model, rows, error, Task(task), taus, samples, seed, engine)
    if found.error > error and found.alike < UNLIKE:
        raise ConfigError(
            f"under the same masks the network's samples do not move with the module's (correlation "
            f"{found.alike:.2f}): {ITS_OWN}"
        )
    if found.error > error:
        warnings.warn(
            f"no timing that was tried reaches an error of {error:g}; the best has {found}. "
            + (
                "; ".join(found.hints)
                or "Ask for no less, or train with SoftLIF's gamma down to 0.001, in wider layers"
            ),
            stacklevel=3,
        )
    return found.network


def find_timing(
    network: SpikingNetwork,
    model: nn.Module,
    rows: Values,
    error: float,
    task: Task = Task.REGRESSION,
    taus: Sequence[float] = TAUS,
    samples: int = SAMPLES,
    seed: int = 0,
    engine: str = "auto",
) -> Tuned:
    """What :func:`tune` finds, and its error, without a warning."""
    check_error(error)
    if not taus:
        raise ConfigError("taus must name at least one time constant, in seconds, as 0.02")
    plan = SamplingPlan(samples, seed, engine=engine, least=2)
    _refuse_timed(network)
    inputs = as_inputs(rows, argument_shapes(network), torch.float64, "rows")
    count = len(inputs[0])
    if count < LEAST_ROWS:
        raise DataError(
            f"tune needs {LEAST_ROWS} rows or more, like those to be predicted; got {count}: give more, or leave the "
            "network as it is: its burn-in is worked out from its filters"
        )
    most = min(MOST_ROWS, max(LEAST_ROWS, WORK // (plan.samples * max(1, network.neurons))))
    chosen = evenly(count, most)
    plan = replace(plan, rows=chosen)
    bench = _Bench.of(model, network, tuple(part[chosen] for part in inputs), plan, task)
    best: Tuned | None = None
    lowest: Tuned | None = None
    for scaled in _scaled(network, sorted(taus)):
        tried = bench.walk(scaled, SURE * error, None if best is None else best.steps - 1)
        best = tried if tried.error <= SURE * error else best
        lowest = tried if lowest is None or tried.error < lowest.error else lowest
    assert lowest is not None
    if best is not None:
        return best
    shorter = bench.walk(lowest.network, max(error, AS_GOOD * lowest.error))
    return replace(shorter, alike=lowest.alike)  # in many steps: a few of them say little of whose network it is


def check_error(error: float) -> None:
    """Refuse what is no error that could be reached (ConfigError)."""
    if not (error > 0 and math.isfinite(error)):
        raise ConfigError(f"error must be a positive number of standard deviations, as 0.03; got {error}")


@dataclass(frozen=True, eq=False)
class _Bench:
    """Rows and masks under which a network is held against its module.

    Args:
        rows: ``[B, *shape]`` of each argument.
        plan: samples and masks. task: what is compared.
        expected: ``[S, B, C]`` of the module.
    """

    rows: tuple[Tensor, ...]
    plan: SamplingPlan
    task: Task
    expected: Tensor

    @classmethod
    def of(
        cls, model: nn.Module, network: SpikingNetwork, rows: tuple[Tensor, ...], plan: SamplingPlan, task: Task
    ) -> _Bench:
        expected = predict(model, rows, samples=plan.samples, seed=plan.seed, rows=plan.rows, task=task).samples
        outputs = size(network.readout.shape)
        outputs = 2 if task is Task.CLASSIFICATION and outputs == 1 else outputs
        if expected.shape[2] != outputs:
            raise ConfigError(f"the module gives {expected.shape[2]} outputs, the network {outputs}: {ITS_OWN}")
        return cls(rows, plan, task, expected.double())

    def walk(self, network: SpikingNetwork, error: float, most: int | None = None) -> Tuned:
        """The fewest steps from which on the error is at most as given; the most steps, if it never is.

        Args:
            most: steps to try; by default twice as many are averaged as is usual.
        """
        network = replace(network, timing=None)
        total = default_timing(network).steps + AVERAGED
        check_count("steps", total, 1, LONGEST, "time constants are in seconds, 0.02 is 20 ms; or take a larger dt")
        total = total if most is None else max(1, min(total, most))
        trace, kept = self._trace(network, total), None
        while total >= 1:
            tried = self._best(trace, total)
            if kept is not None and tried[0] > error:
                break
            kept = tried
            if tried[0] > error:
                break
            total = int(SHORTER * total)
        assert kept is not None
        found = self._read(trace, kept[1])
        hints = softmax_on_one_side(self.expected, found) if self.task is Task.REGRESSION else ()
        return Tuned(replace(network, timing=kept[1]), kept[0], self.alike(found), hints)

    def alike(self, given: Tensor) -> float:
        """How far samples ``[S, B, C]`` move with the module's about their rows' means: a correlation."""
        first, second = (side - side.mean(0) for side in (self.expected, given))
        size = first.norm() * second.norm()
        return float((first * second).sum() / size) if size > 0 else float(first.norm() == 0)  # silence is not alike

    def _best(self, trace: Tensor, total: int) -> tuple[float, Timing]:
        """The lowest error in so many steps, and what gives it."""
        burn_ins = sorted({int(share * total) for share in LEFT_OUT})
        timings = [Timing(total, burn_in, window) for burn_in in burn_ins for window in (Flat(), Hann())]
        return min(((relative_error(self.expected, self._read(trace, t)), t) for t in timings), key=lambda e: e[0])

    def _trace(self, network: SpikingNetwork, steps: int) -> Tensor:
        """``[S, B, T, C]`` float64, the read-out in every step."""
        plan = self.plan
        settings = {"samples": plan.samples, "seed": plan.seed, "rows": plan.rows, "engine": plan.engine}
        trace = simulate(network, self.rows, steps=steps, probe=["trace"], **settings).trace
        assert trace is not None
        return trace.double()

    def _read(self, trace: Tensor, timing: Timing) -> Tensor:
        """``[S, B, C]`` out of the record."""
        output = torch.einsum("sbtc,t->sbc", trace[:, :, : timing.steps], timing.weights())
        if self.task is not Task.CLASSIFICATION:
            return output
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the module's outputs are was said
            return class_probabilities(output, Head(tuple(output.shape[2:])))[0]


def _scaled(network: SpikingNetwork, taus: Sequence[float]) -> Iterator[SpikingNetwork]:
    """The network with its slowest filter as slow as each of the time constants, the others in proportion."""
    longest = max((s.tau for s in _filters(network)), default=None)
    if longest is None:
        yield network
        return

    for tau in taus:

        def scaled(synapse: Synapse | None, tau: float = tau) -> Synapse | None:
            if not isinstance(synapse, Alpha | Lowpass):
                return synapse
            return replace(synapse, tau=tau * (synapse.tau / longest))

        connections = tuple(replace(c, synapse=scaled(c.synapse)) for c in network.connections)
        yield replace(network, connections=connections, timing=None)


def _filters(network: SpikingNetwork) -> list[Alpha | Lowpass]:
    return [c.synapse for c in network.connections if isinstance(c.synapse, Alpha | Lowpass)]


def _refuse_timed(network: SpikingNetwork) -> None:
    """Networks that know their timing."""
    if network.code is not None:
        raise ConfigError(
            f"codes know their ticks: this network tells numbers by {network.code}, a sample in {network.code.ticks} "
            "ticks; tune is for spiking rates. convert(code='auto', error=...) chooses a code"
        )
    if network.is_memoryless:
        raise ConfigError(
            "a step of a network without memory is a sample: there is nothing to tune: predict it as it is"
        )
