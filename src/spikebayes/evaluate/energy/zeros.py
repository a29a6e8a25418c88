"""Which values of the classical passes are 0, so that a pass that skips zeros does not multiply them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spikebayes.evaluate.energy.classical_counts import moves_values
from spikebayes.evaluate.energy.random_bits import kept, masked
from spikebayes.network.coded import FUNCTIONS, Coded, Function, Ramp
from spikebayes.network.network import Population, Readout, SpikingNetwork
from spikebayes.network.whole_ramp import WholeRamp
from spikebayes.noise.keys import Keys
from spikebayes.noise.one_pass import Passed, one_pass


class Zeros:
    """Of a coded network, seen through its rounding: a ReLU is 0 up to an input of 0, not up to half a step.

    What an activation takes in is the run's own, made of numbers. Of a curve that is known by its thresholds alone
    (``Table``) whatever rounds to 0 counts as 0.

    Args:
        network: a coded one.
    """

    def __init__(self, network: SpikingNetwork) -> None:
        exact = (replace(c, operator=copy.deepcopy(c.operator).double()) for c in network.connections)
        self.network: SpikingNetwork = replace(network, connections=tuple(exact))

    @torch.no_grad()
    def nonzero(self, inputs: Sequence[Tensor], keys: Keys) -> dict[str, Tensor]:
        """By population ``[R, N]`` bool: values that are not 0, nor dropped; inputs ``[R, *shape]``."""
        found: dict[str, Tensor] = {}  # [R, *shape]
        for passed in one_pass(self.network, [x.double() for x in inputs], keys):
            node = passed.node
            if isinstance(node, Readout):
                break
            found[node.name] = there = self._there(passed, found)
            if masked(node):
                found[node.name] = there & kept(node, keys).reshape(there.shape)
        return {p.name: found[p.name].flatten(1) for p in self.network.populations}

    def _there(self, passed: Passed, found: dict[str, Tensor]) -> Tensor:
        """Whether values are not 0, before the node's mask."""
        node, drive = passed.node, passed.drive
        if not isinstance(node, Population) or drive is None:
            return passed.output != 0
        if moves_values(node):
            arriving = sum(c.operator(found[c.source].double()) for c in self.network.into(node.name))
            there = torch.as_tensor(arriving) != 0
            if node.neuron.pools:  # a 0 is the largest of values below it
                return there.all(-1) | (there & (drive >= 0)).any(-1)
            return there | (drive != 0)  # by its constant alone, too
        response = node.neuron.response if isinstance(node.neuron, Coded) else None
        if isinstance(response, Function):
            return FUNCTIONS[response.name](drive) != 0
        if isinstance(response, Ramp):
            below = torch.zeros(()) if response.below is None else response.below
            return (drive > 0) | ((drive < 0) & (below != 0))
        if isinstance(response, WholeRamp):
            return drive != 0 if response.signed else drive > 0
        return passed.output != 0
