"""Folding: batch norms go into weights, all sums become exact, and the module that was given stays."""

from __future__ import annotations

import copy

import torch
from torch import nn

from spikebayes import convert, folded, simulate
from spikebayes.nn import PopulationDecode, Sharpened, Step, few_bits
from stepped import stepped


def sharp(bits: int | None) -> tuple[nn.Sequential, torch.Tensor]:
    x = torch.rand(64, 1, 9, 9, generator=torch.Generator().manual_seed(1))
    return stepped(x, 4, convolutions=[(5, 3, True)], hidden=(11,), width=12, bits=bits), x


def outputs_of(units: list[Sharpened], net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    hooks = [unit.register_forward_hook(lambda _m, _x, y: seen.append(y)) for unit in units]
    net(x)
    for hook in hooks:
        hook.remove()
    return seen


def test_no_batch_norm_is_left_and_the_outputs_are_nearly_the_same() -> None:
    net, x = sharp(None)
    for made in (folded(net), folded(few_bits(copy.deepcopy(net), 16))):
        assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in made.modules())
        with torch.no_grad():
            assert (made(x).argmax(1) == net(x).argmax(1)).double().mean() > 0.9


def test_the_network_decides_as_the_folded_module_does_at_every_unit() -> None:
    for bits in (None, 8):
        net, x = sharp(bits)
        made = folded(net)
        spikes = (x > 0.5).float()  # inputs whose sums are exact too
        run = simulate(convert(nn.Sequential(Step(0.5), made), x), spikes, samples=1, steps=1, probe=["spikes"])
        with torch.no_grad():
            assert torch.equal(run.mean[0], made(spikes))
            units = [m for m in made if isinstance(m, Sharpened)]
            seen = outputs_of(units, made, spikes)
        of_units = [s for name, s in run.spikes.items() if s.shape[-1] in {y[0].numel() for y in seen}]
        by_size = {y[0].numel(): y.flatten(1).bool() for y in seen}
        assert sum(torch.equal(s[0, :, 0], by_size[s.shape[-1]]) for s in of_units) >= len(seen)


def test_a_module_with_weights_of_few_bits_stays_usable() -> None:
    net = few_bits(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), Sharpened("brelu", 1.0), nn.Linear(4, 2))).eval()
    x = torch.randn(5, 3)
    with torch.no_grad():
        before = net(x)
        made = folded(net)
        assert torch.equal(net(x), before)
        assert type(made[0]) is nn.Linear  # pyright: ignore[reportIndexIssue]
        assert made(x).shape == before.shape


def test_a_norm_that_follows_no_layer_or_one_that_others_read_too_stays() -> None:
    class Branched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
            self.unit, self.decode = Sharpened("brelu", 1.0), PopulationDecode(2, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.linear(x)
            return self.decode(self.unit(self.norm(h))) + self.decode(self.unit(h))

    made = folded(Branched())
    assert isinstance(made.norm, nn.BatchNorm1d)
    alone = folded(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)))
    assert isinstance(alone[0], nn.BatchNorm1d)  # pyright: ignore[reportIndexIssue]
