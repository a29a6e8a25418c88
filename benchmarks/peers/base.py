"""What a simulator must offer to be compared: a function that runs a workload, and rates to set it by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from benchmarks.workloads import Workload, settle

MATCHED = 4  # rows on which rates are matched
AIM, ACCEPT = 0.05, 0.2  # relative error of a matched rate: sought, and put up with


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one run gave.

    Args:
        output: ``[rows, C]``, read-out averaged over steps burn_in .. T - 1.
        rates: spikes per neuron and step by population, over all rows and steps; a dropped neuron's do not count.
    """

    output: Tensor
    rates: dict[str, float]


class Peer(Protocol):
    """A simulator: it runs the same network on the same inputs in float32, without gradients, with its own neurons.

    Dropout masks, one for each row, are drawn from a fixed seed when a workload is prepared. ``package`` is the
    distribution whose version counts.
    """

    name: str
    package: str

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        """Build the network; the function returned simulates every row for all steps, as often as it is called.

        Args:
            workload: what to run.
            shifts: current added to every neuron of a population, where the threshold current is 1.

        Raises:
            ConfigError: the simulator cannot run this workload; the message says why.
        """
        ...


def match_rates(peer: Peer, workload: Workload, rates: Mapping[str, float] | None = None) -> dict[str, float]:
    """Current shifts by population with which a simulator's rates are the wanted ones, within 20 % (5 % as a rule).

    Simulators differ in refractory time, filters and rounding of spike times, and so in rates; each is to carry the
    same spikes. Measured over all steps of the first ``MATCHED`` rows.

    Args:
        peer: the simulator. workload: what it runs.
        rates: wanted, of each population; by default the workload's own of all of them.

    Raises:
        ConfigError: the simulator cannot run the workload, or no such shifts were found.
    """
    few = workload.take(min(MATCHED, workload.rows))
    none = dict.fromkeys((p.name for p in workload.network.populations), 0.0)
    wanted = workload.rate if rates is None else rates
    return settle(lambda shifts: peer.prepare(few, shifts)().rates, none, wanted, aim=AIM, accept=ACCEPT)
