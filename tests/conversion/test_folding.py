"""Folding: batch norms go into weights, all sums become exact, and the module that was given stays."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from spikebayes import ConversionError, convert, folded, integers, simulate
from spikebayes.nn import PopulationDecode, Sharpened, Step, few_bits
from spikebayes.nn.few_bits import settle_bits, whole_weights
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


def test_a_bias_is_rounded_down_so_that_no_sum_below_the_threshold_reaches_it() -> None:
    """The grid of weights 1 and 1/2 has steps of 2^-22; the bias lies a quarter of one below a point of it."""
    net = nn.Sequential(nn.Linear(2, 1), Step(0.5), nn.Linear(1, 1))
    for above in (-(2.0**-24), 0.0, 2.0**-24):
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[1.0, 0.5]]))
            net[0].bias.fill_(-0.5 + above)
            x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
            fires, made = net[:2](x), folded(net)
            assert made[0].bias.item() <= net[0].bias.item()  # pyright: ignore[reportIndexIssue]
            assert made[0].bias.item() > net[0].bias.item() - 2.0**-22  # pyright: ignore[reportIndexIssue]
            assert torch.equal(made[:2](x), fires)  # pyright: ignore[reportIndexIssue]
            assert fires.flatten().tolist() == [float(above >= 0), 0.0, 1.0]


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


# -- which norms fold ----------------------------------------------------------------------------------------


def seen(norm: Any) -> Any:
    """A norm whose numbers all differ."""
    with torch.no_grad():
        norm.running_mean.copy_(torch.linspace(-1, 1, norm.num_features))
        norm.running_var.copy_(torch.linspace(0.3, 3, norm.num_features))
        if norm.affine:
            norm.weight.copy_(torch.linspace(0.5, 2, norm.num_features))
            norm.bias.copy_(torch.linspace(2, -1, norm.num_features))
    return norm


def kinds(model: nn.Module) -> list[str]:
    return [type(m).__name__ for m in model.children()]


def test_a_norm_over_another_axis_than_the_layers_units_stays() -> None:
    torch.manual_seed(0)
    square, other = torch.randn(5, 4, 3), torch.randn(5, 2, 3)
    cases: list[tuple[nn.Module, torch.Tensor, Any]] = [
        (nn.Sequential(nn.Linear(3, 4), seen(nn.BatchNorm1d(4))), square, square),
        (nn.Sequential(nn.Linear(3, 4), seen(nn.BatchNorm1d(2))), other, 1),
        (nn.Sequential(nn.Linear(3, 4), seen(nn.BatchNorm1d(2))), other, [other]),
        (nn.Sequential(nn.Linear(3, 4), seen(nn.BatchNorm2d(4))), torch.randn(5, 4, 2, 3), 1),
        (nn.Sequential(nn.Linear(3, 1), seen(nn.BatchNorm1d(1))), torch.randn(5, 1, 3), torch.zeros(1, 1, 3)),
        (nn.Sequential(nn.Linear(3, 4), seen(nn.BatchNorm1d(1))), torch.randn(5, 1, 3), 1),
    ]
    for net, x, arguments in cases:
        made = folded(net, arguments)
        assert kinds(made) == kinds(net)
        with torch.no_grad():
            torch.testing.assert_close(made(x), net.eval()(x), rtol=0, atol=1e-5)


def test_without_examples_other_values_than_vectors_are_refused_where_a_norm_was_folded() -> None:
    net = nn.Sequential(nn.Linear(4, 4), seen(nn.BatchNorm1d(4)), Sharpened("brelu", 1.0), nn.Linear(4, 2))
    made, square = folded(net), torch.randn(5, 4, 4)
    with pytest.raises(ConversionError, match="values have 3 axes; give folded"):
        made(square)
    with pytest.raises(ConversionError, match="values have 3 axes; give folded"):
        convert(made, square)
    assert kinds(folded(net, torch.zeros(1, 4))) == kinds(made) == ["Linear", "Folded", "Sharpened", "Linear"]


def test_norms_without_weights_or_biases_fold_too() -> None:
    torch.manual_seed(0)
    for norm in (nn.BatchNorm1d(4, affine=False), nn.BatchNorm1d(4, bias=False)):
        net, x = nn.Sequential(nn.Linear(3, 4), norm).eval(), torch.randn(5, 3)
        norm.running_mean, norm.running_var = torch.randn(4), torch.rand(4) + 0.5
        made = folded(net)
        assert kinds(made) == ["Linear", "Folded"]
        with torch.no_grad():
            torch.testing.assert_close(made(x), net(x), rtol=0, atol=1e-5)


def test_norms_without_statistics_are_left_to_convert() -> None:
    x = torch.randn(5, 4)
    for net, row in (
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)), x),
        (nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2, track_running_stats=False)), torch.randn(5, 1, 3, 3)),
    ):
        for arguments in (1, row):
            made = folded(net, arguments)
            assert kinds(made) == kinds(net)
            with pytest.raises(ConversionError, match="batch norm without running statistics"):
                convert(made, row)


def test_examples_are_as_many_as_the_inputs_and_draw_nothing() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(3, 4), nn.Linear(2, 4)
            self.norm = seen(nn.BatchNorm1d(4))

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return self.norm(self.left(a)) + self.right(nn.functional.dropout(b, 0.5))

    net, x = Two(), (torch.randn(5, 4, 3), torch.randn(5, 4, 2))
    state = torch.random.get_rng_state()
    assert isinstance(folded(net, x).norm, nn.BatchNorm1d)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not isinstance(folded(net, 2).norm, nn.BatchNorm1d)
    with pytest.raises(ConversionError, match=r"Two does not take inputs like \[\[5, 4, 3\], \[5, 4, 3\]\]"):
        folded(net, (x[0], x[0]))


# -- weights of few bits in front of a step --------------------------------------------------------------------


def test_weights_of_few_bits_are_not_rounded_so_every_form_decides_as_the_trained_module() -> None:
    x = (torch.rand(400, 1, 9, 9, generator=torch.Generator().manual_seed(2)) > 0.6).float()
    net = stepped(x, 4, convolutions=[(5, 3, True)], hidden=(11,), width=12, bits=8)
    with torch.no_grad():
        net[1].weight[0] *= -1  # pyright: ignore[reportIndexIssue]
    made = folded(net)
    trained = copy.deepcopy(net)
    settle_bits(trained)  # in float64 the whole numbers could be others
    trained.double()
    with torch.no_grad():
        exact, found = (
            outputs_of([m for m in module.modules() if isinstance(m, Sharpened)], module, rows)
            for module, rows in ((trained, x.double()), (made, x))
        )
    network = convert(made, x)
    whole = integers(network, levels=1)
    for a, b in zip(exact, found, strict=True):
        assert torch.equal(a.float(), b)
        assert 0 < float(a.mean()) < 1
    reads = [simulate(n, x, samples=1, steps=1).mean[0].argmax(1) for n in (network, whole.network)]
    assert torch.equal(reads[0], reads[1])


def test_weights_of_few_bits_become_whole_numbers_times_a_power_of_two() -> None:
    net = few_bits(nn.Sequential(nn.Linear(7, 3), seen(nn.BatchNorm1d(3)), nn.Identity(), Step(0.25)), 4).eval()
    with torch.no_grad():
        net[0].weight = torch.cat([torch.linspace(-1, 1, 14).reshape(2, 7), torch.zeros(1, 7)])  # pyright: ignore
    whole = whole_weights(net)["0"]
    made = folded(net)[0]  # pyright: ignore[reportIndexIssue]
    factors = (made.weight[:2] / whole[:2]).nanmean(1)
    assert torch.equal(torch.log2(factors), torch.log2(factors).round())
    assert torch.equal(made.weight, torch.cat([factors, torch.zeros(1)])[:, None] * whole)
    assert made.bias.isfinite().all()


def test_a_unit_whose_values_are_read_by_more_than_a_step_keeps_its_scale() -> None:
    class Read(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.step = few_bits(nn.Linear(3, 4), 8), Step(0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            u = self.linear(x)
            return u + self.step(u)

    torch.manual_seed(0)
    x = torch.randn(6, 3)
    blunt = few_bits(nn.Sequential(nn.Linear(3, 4), seen(nn.BatchNorm1d(4)), Sharpened("brelu", 0.9)), 8)
    last = few_bits(nn.Sequential(nn.Linear(3, 4), seen(nn.BatchNorm1d(4))), 8)
    for net in (Read().eval(), blunt.eval(), last.eval()):
        with torch.no_grad():
            torch.testing.assert_close(folded(net)(x), net(x), rtol=0, atol=1e-4)


def test_a_layer_without_a_bias_gets_the_one_that_its_threshold_asks_for() -> None:
    torch.manual_seed(0)
    net = few_bits(nn.Sequential(nn.Linear(6, 40, bias=False), Step(0.3)), 8).eval()
    x = torch.randint(0, 2, (200, 6)).float()
    with torch.no_grad():
        assert torch.equal(folded(net)(x), net(x))
