"""How far a coded network strays from the module's posterior: both on some calibration rows, under the same masks."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from spikebayes.conversion.calibration import Calibration
from spikebayes.machine.evenly import evenly
from spikebayes.network.coded import Coded
from spikebayes.network.network import Population, Readout, SpikingNetwork

ROWS, SAMPLES = 20, 10  # that a conversion is checked on
MOST = 0.3  # standard deviations of the module's posterior, from which a network is said to stray
KNOWN = 1e-6  # of an output's largest value: a smaller spread is rounding


def warn_of_error(network: SpikingNetwork, coded: SpikingNetwork, calibration: Calibration) -> None:
    """Measure a conversion on a few rows and samples, and say it if the code is too coarse for the network.

    Args:
        network: of ``Rate`` units.
        coded: the same under a code.
        calibration: rows, of which some are taken.

    Warns:
        UserWarning: the error is above ``MOST``.
    """
    rows = some_rows(calibration, ROWS, SAMPLES)
    expected, given = (outputs(each, rows)[0] for each in (network, coded))
    _, known = spreads(expected)
    error = relative_error(expected, given)
    if not bool(known.any()) or error <= MOST:
        return
    warnings.warn(
        f"under {coded.code} the network strays from the module: it is off by {error:.2g} standard deviations "
        f"of the posterior under the same masks, the median over {len(rows.rows[0])} of the calibration rows; take a "
        'code of more levels, or code="auto", which measures codes, or less headroom, or calibrate with rows like '
        "those of the training",
        stacklevel=4,
    )


def relative_error(expected: Tensor, given: Tensor) -> float:
    """Median over rows of the paired rms difference over the predictive standard deviation, of all outputs together.

    Args:
        expected, given: ``[S, B, C]`` samples under the same masks. Where the expected ones have no spread, that over
            rows stands in. An output that is always the same does not count while others are not.

    Example:
        >>> a = torch.randn(100, 5, 1, generator=torch.Generator().manual_seed(0))
        >>> round(relative_error(a, a + 0.1 * a.std(0)), 6)
        0.1
    """
    (spread, known), rms = spreads(expected), (given - expected).pow(2).mean(0).sqrt()
    return float((rms[known] / spread[known]).median()) if bool(known.any()) else float(rms.max())


def spreads(samples: Tensor) -> tuple[Tensor, Tensor]:
    """``[B, C]`` standard deviation over samples, or where there is none at all over rows; whether it is known."""
    spread = samples.std(0)
    if not bool((spread > 0).any()):
        spread = samples.mean(0).std(0).expand(spread.shape)
    return spread, spread > KNOWN * samples.abs().amax((0, 1))


def some_rows(calibration: Calibration, rows: int, samples: int) -> Calibration:
    """So many of the rows, evenly spread, with so many masks each."""
    chosen = evenly(len(calibration.rows[0]), rows)
    return Calibration([part[chosen] for part in calibration.rows], samples)


@torch.no_grad()
def outputs(network: SpikingNetwork, calibration: Calibration) -> tuple[Tensor, dict[str, float]]:
    """``[S, B, C]`` of the read-out, and spikes per sample by population of a coded network."""
    rows, samples = len(calibration.rows[0]), calibration.samples
    if network.code is not None:  # whose weights are float32
        calibration = Calibration([part.float() for part in calibration.rows], samples)
    found, events = list[Tensor](), dict[str, float]()
    for nodes in calibration.passes(network):
        spikes, lines = dict[str, float](), 1
        for passed in nodes:
            node, value = passed.node, passed.value
            if isinstance(node, Population) and isinstance(node.neuron, Coded):
                spikes[node.name] = float(node.neuron.code.spikes(value).sum()) / len(value)
            elif isinstance(node, Readout):
                found.append(value.double().reshape(len(value), -1))
                lines = len(value)
        for name, of_a_line in spikes.items():
            events[name] = events.get(name, 0.0) + of_a_line * lines
    whole = torch.cat(found)
    whole = whole.reshape(rows, len(whole) // rows, -1).expand(-1, samples, -1)
    return whole.transpose(0, 1), {name: total / len(whole) for name, total in events.items()}
