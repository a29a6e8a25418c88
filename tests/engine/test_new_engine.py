"""An engine that the library does not have, added as CONTRIBUTING.md says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from spikebayes import Connection, Dropout, Input, Population, Readout, SpikingNetwork, Threshold, predict
from spikebayes.engine import select
from spikebayes.engine.contract import Abilities, Result, Work
from spikebayes.errors import ConfigError
from spikebayes.network.neurons import Sign
from spikebayes.network.operators import Dense
from spikebayes.noise.bits import dropout_keep


class OneByOne:
    """Threshold units behind dense layers, one simulation after another."""

    name = "one by one"
    over_time = False
    abilities = Abilities((Threshold,), (), (Dropout,))

    def refusal(self, network: SpikingNetwork) -> str | None:
        return self.abilities.refusal(network)

    def prepare(self, network: SpikingNetwork, dtype: torch.dtype) -> Callable[[Work], Result]:
        def run(work: Work) -> Result:
            mean = torch.zeros(len(work), *network.readout.shape, dtype=dtype)
            counts = {p.name: torch.zeros(len(work), dtype=torch.int64) for p in network.populations}
            for r in range(len(work)):
                one = replace(work, position=work.position[r : r + 1], keys=work.keys.at(slice(r, r + 1)))
                values = {i.name: x[one.position].to(dtype) for i, x in zip(network.inputs, one.inputs, strict=True)}
                for node in (*network.populations, network.readout):
                    total = torch.zeros(1, *node.shape, dtype=dtype)
                    for c in network.into(node.name):
                        total = total + c.operator.to(dtype)(values[c.source])
                    if not isinstance(node, Population):
                        mean[r] = total[0]
                        continue
                    _, output, _ = node.neuron.step(total, (), network.dt)
                    if node.dropout is not None:
                        keep = dropout_keep(node.dropout, one.keys, node.shape[0])
                        output = output * keep / (1 - node.dropout.p)
                    values[node.name] = output
                    counts[node.name][r] = work.steps * int((output > 0).sum())
            return Result(mean, counts)

        return run

    def block(self, network: SpikingNetwork, steps: int, probes: frozenset[str]) -> int:
        return 7


def network(neuron: Threshold | Sign) -> SpikingNetwork:
    torch.manual_seed(0)
    wires = (Connection("x", "a", Dense(torch.randn(30, 4))), Connection("a", "readout", Dense(torch.randn(2, 30))))
    populations = (Population("a", (30,), neuron, Dropout(0.5)),)
    return SpikingNetwork((Input("x", (4,)),), populations, wires, Readout((2,)))


def test_it_runs_what_it_says_and_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "ENGINES", (OneByOne(), *select.ENGINES))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    made = network(Threshold(0.2))
    found, expected = predict(made, x, samples=20), predict(made, x, samples=20, engine="reference")
    assert found.settings["engine"] == "one by one"
    torch.testing.assert_close(found.samples, expected.samples)
    lasting = predict(made, x[:, None].expand(-1, 3, -1), samples=2)
    assert lasting.settings["engine"] == "cpu"
    signs = network(Sign())
    assert predict(signs, x, samples=2).settings["engine"] == "cpu"
    with pytest.raises(ConfigError, match="the one by one engine cannot run this network: Sign neurons, as in"):
        predict(signs, x, samples=2, engine="one by one")
