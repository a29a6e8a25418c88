"""A converted network computes the same function as its module, judged as ``rate_form.py`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from modules import GAMMA, Net, Net2, act, conv_stack, dense
from rate_form import PAIRS, ROWS, SAMPLES, check, rates, settle
from spikebayes.conversion.convert import convert
from spikebayes.network.synapses import Alpha, Lowpass
from spikebayes.nn import LIFRate, Permadrop, SoftLIF
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks, evaluating

# -- the same function -------------------------------------------------------------------------------------

LINEAR = {
    "one layer": lambda: nn.Sequential(dense(4, 6), nn.Linear(6, 2)),
    "three layers": lambda: nn.Sequential(dense(4, 6, 5, 7), nn.Linear(7, 1)),
    "no bias": lambda: nn.Sequential(nn.Linear(4, 6, bias=False), act(), nn.Linear(6, 2, bias=False)),
    "two layers without an activation between": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.Linear(6, 5), act(), nn.Linear(5, 3), nn.Linear(3, 2)
    ),
    "activation last": lambda: dense(4, 6, 3),
    "activation first": lambda: nn.Sequential(act(), nn.Linear(4, 2)),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Sequential(dense(4, 6)), nn.Identity()), nn.Linear(6, 2)),
    "batch norm after linear, folded": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), act(), nn.Linear(6, 2), nn.BatchNorm1d(2)
    ),
    "batch norm twice": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.BatchNorm1d(6), act(), nn.Linear(6, 2)
    ),
    "batch norm before linear": lambda: nn.Sequential(
        nn.BatchNorm1d(4), nn.Linear(4, 6), act(), nn.BatchNorm1d(6), nn.Linear(6, 2)
    ),
    "batch norm without weights": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False), act(), nn.Linear(6, 2)
    ),
    "batch norm straight before the activation": lambda: nn.Sequential(nn.BatchNorm1d(4), act(), nn.Linear(4, 2)),
    "other neurons": lambda: nn.Sequential(
        nn.Linear(4, 6), SoftLIF(GAMMA, 0.01, 0.004, 0.02, -3.0, 2.0), nn.Linear(6, 2)
    ),
    "dropout on the input": lambda: nn.Sequential(nn.Dropout(0.3), dense(4, 6), nn.Linear(6, 2)),
    "dropout after an activation": lambda: nn.Sequential(
        dense(4, 6), Permadrop(0.5), dense(6, 5), nn.Dropout(0.1), nn.Linear(5, 2)
    ),
    "dropout last": lambda: nn.Sequential(dense(4, 6), nn.Dropout(0.5)),
    "dropout of probability zero keeps its number": lambda: nn.Sequential(
        dense(4, 6), nn.Dropout(0.0), dense(6, 5), nn.Dropout(0.5), nn.Linear(5, 2)
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_stacks_of_linear_layers(name: str) -> None:
    torch.manual_seed(0)
    check(settle(LINEAR[name]()), (4,))


CONVOLUTIONAL_2D = {
    "stride and padding": lambda: conv_stack(nn.Flatten(), nn.Linear(64, 2)),
    "groups, dilation and same padding": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3, padding="same", dilation=2, groups=3), act(), nn.Flatten(), nn.Linear(384, 2)
    ),
    "a read-out of feature maps": lambda: conv_stack(nn.Conv2d(4, 2, (3, 1), bias=False)),
    "batch norm after, folded": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), act(), nn.Conv2d(4, 2, 3, bias=False), nn.BatchNorm2d(2)
    ),
    "batch norm before": lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1), act()),
    "batch norm of several processes": lambda: conv_stack(nn.SyncBatchNorm(4), act()),
    "batch norm after pooling": lambda: conv_stack(nn.AvgPool2d(2), nn.BatchNorm2d(4), act()),
    "average pooling": lambda: conv_stack(
        nn.AvgPool2d(3, 2, padding=1, count_include_pad=False, ceil_mode=True), nn.Flatten(), nn.LazyLinear(2)
    ),
    "adaptive pooling": lambda: conv_stack(nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten(), nn.Linear(8, 2)),
    "adaptive pooling that keeps an axis": lambda: conv_stack(nn.AdaptiveAvgPool2d((None, 2))),
    "unflatten": lambda: conv_stack(nn.Flatten(), nn.Unflatten(1, (2, 32)), nn.Linear(32, 2)),
    "dropout of units": lambda: conv_stack(nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 2)),
    "dropout of feature maps": lambda: conv_stack(nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(64, 2)),
    "dropout of input maps": lambda: nn.Sequential(nn.Dropout2d(0.5), conv_stack(), nn.Flatten(), nn.Linear(64, 2)),
    "dropout after flatten": lambda: conv_stack(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 2)),
}


@pytest.mark.parametrize("name", CONVOLUTIONAL_2D)
def test_images(name: str) -> None:
    torch.manual_seed(0)
    model = CONVOLUTIONAL_2D[name]()
    model(torch.zeros(2, 3, 8, 8))  # gives lazy layers their shapes
    check(settle(model), (3, 8, 8))


CONVOLUTIONAL_1D = {
    "conv": lambda: nn.Sequential(nn.Conv1d(3, 4, 3, 2, 1), act(), nn.Conv1d(4, 2, 2)),
    "batch norm": lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), act(), nn.BatchNorm1d(4)),
    "linear on the last axis, batch norm on the channels": lambda: nn.Sequential(
        nn.Linear(9, 5), nn.BatchNorm1d(3), act(), nn.Linear(5, 2)
    ),
    "pooling": lambda: nn.Sequential(
        nn.Conv1d(3, 4, 2), act(), nn.AvgPool1d(2), nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(8, 2)
    ),
    "dropout of channels": lambda: nn.Sequential(
        nn.Conv1d(3, 4, 2), act(), nn.Dropout1d(0.5), nn.Flatten(), nn.Linear(32, 2)
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONAL_1D)
def test_sequences(name: str) -> None:
    torch.manual_seed(0)
    check(settle(CONVOLUTIONAL_1D[name]()), (3, 9))


# a value h of shape [4, 4, 4] out of an activation on its way to the read-out
ON_FEATURE_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "flatten": lambda h: h.flatten(1),
    "torch.flatten": lambda h: torch.flatten(h, 2),
    "view": lambda h: h.view(h.size(0), -1),
    "reshape": lambda h: h.reshape(h.shape[0], 8, -1),
    "reshape with the batch left open": lambda h: h.reshape(-1, 16, 4),
    "view after size arithmetic": lambda h: h.view(h.size(0), h.size(1) * h.size(2), h.size()[3]),
    "permute": lambda h: h.permute(0, 3, 1, 2),
    "torch.permute": lambda h: torch.permute(h, (0, 2, 3, 1)).contiguous(),
    "transpose": lambda h: h.transpose(-1, 1),
    "movedim": lambda h: torch.movedim(h, 1, -1),
    "slices": lambda h: h[:, 1:3, ::2, -3:],
    "an ellipsis": lambda h: h[..., 1],
    "integers": lambda h: h[:, -1, :, 2],
    "unsqueeze and squeeze": lambda h: h[:, :1].unsqueeze(1).squeeze(2),
    "mean over space": lambda h: h.mean((2, 3)),
    "torch.mean, axes kept": lambda h: torch.mean(h, dim=[-1, -2], keepdim=True),
    "mean over one spatial axis left": lambda h: h.flatten(2).mean(-1),
    "average pooling": lambda h: F.avg_pool2d(h, 2, stride=1, padding=1),
    "adaptive pooling": lambda h: F.adaptive_avg_pool2d(h, 2),
    "one-dimensional pooling": lambda h: F.adaptive_avg_pool1d(F.avg_pool1d(h.flatten(2), 3), 2),
    "times a number": lambda h: 2.5 * h,
    "divided by a number": lambda h: h / 4,
    "negated": lambda h: -h,
    "torch.mul": lambda h: torch.mul(h, torch.linspace(-1, 1, 4, dtype=torch.float64)),
    "times a tensor with a batch axis": lambda h: (
        h * torch.linspace(-1, 1, 4, dtype=torch.float64).reshape(1, 4, 1, 1)
    ),
    "plus a number": lambda h: h + 1.5,
    "a number before": lambda h: 1.5 + h,
    "a number minus it": lambda h: 1.0 - h,
    "torch.rsub": lambda h: torch.rsub(h, 2.0),
    "minus a tensor": lambda h: h - torch.arange(4.0, dtype=torch.float64).reshape(4, 1, 1),
    "torch.add with alpha": lambda h: torch.add(h, h.transpose(2, 3), alpha=-0.5),
    "torch.sub with alpha": lambda h: torch.sub(h, 1.0, alpha=3),
    "added to itself": lambda h: h + h,
    "concatenated with itself": lambda h: torch.cat([h, -h, h[:, 1:2]], dim=1),
    "concatenated on the last axis": lambda h: torch.cat((h, h[..., :2]), -1),
    "clone": lambda h: h.clone().detach(),
    "changed in place": lambda h: h.clone().add_(1).mul_(2),
    "dropout on either half of a concatenation": lambda h: torch.cat([F.dropout(h, 0.5), h], 1),
    "dropout of maps after a concatenation": lambda h: F.dropout2d(torch.cat([h, h], 1), 0.5),
    "dropout after flatten and concatenation": lambda h: F.dropout(torch.cat([h.flatten(1), h.flatten(1)], 1), 0.5),
    "dropout of a sum": lambda h: F.dropout(h + h, 0.25),
    "dropout of a multiple": lambda h: F.dropout(3 * h, p=0.25),
    "two masks on one value": lambda h: F.dropout(h, 0.5) + F.dropout(input=h, p=0.5),
    "the last step with nothing left of the row": lambda h: h.mean((2, 3))[:, 0],
}


@pytest.mark.parametrize("name", ON_FEATURE_MAPS)
def test_what_may_happen_between_activations(name: str) -> None:
    torch.manual_seed(0)
    operation = ON_FEATURE_MAPS[name]
    check(settle(Net(lambda m, x: operation(m.stack(x)), stack=conv_stack())), (3, 8, 8))


def test_what_happens_before_an_activation_reaches_the_population() -> None:
    torch.manual_seed(0)
    model = Net(
        lambda m, x: m.out(m.act(torch.cat([m.fc(x) - 1, 2 * x], 1) / 3).reshape(x.size(0), -1)),
        fc=nn.Linear(4, 6),
        act=act(),
        out=nn.Linear(10, 2),
    )
    network = check(settle(model), (4,))
    assert [p.shape for p in network.populations] == [(10,)]


def test_functional_layers() -> None:
    torch.manual_seed(0)

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.act(F.batch_norm(F.conv2d(x, m.kernel, None, 2, padding=1), m.mean, m.var, m.scale, None))
        h = F.dropout(h, 0.25, m.training)
        return F.linear(h.flatten(1), m.weight * 2, bias=m.bias)

    parts_ = {
        "act": act(),
        "kernel": torch.randn(4, 3, 3, 3),
        "mean": torch.randn(4),
        "var": torch.rand(4) + 0.5,
        "scale": torch.randn(4),
        "weight": torch.randn(2, 64),
        "bias": torch.randn(2),
    }
    network = check(Net(forward, **parts_).double(), (3, 8, 8))
    assert [type(part).__name__ for c in network.connections for part in c.operator.parts] == [
        *("Conv", "Reshape", "Dense")
    ]


def test_two_batch_norms_that_share_their_statistics_but_not_their_weights() -> None:
    torch.manual_seed(0)
    model = Net(
        lambda m, x: m.act(F.batch_norm(x, m.mean, m.var, m.one) - F.batch_norm(x, m.mean, m.var, m.two, eps=0.5)),
        act=act(),
        mean=torch.randn(4),
        var=torch.rand(4) + 0.5,
        one=torch.randn(4),
        two=torch.randn(4),
    )
    check(model.double(), (4,))


def test_residual_blocks() -> None:
    torch.manual_seed(0)

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.drop(m.first(x))
        r = m.bn(m.body(h))
        r += h
        return m.out(m.drop2(m.act(r)) + h)

    model = Net(
        forward,
        first=dense(4, 6),
        drop=nn.Dropout(0.5),
        body=nn.Sequential(dense(6, 5), nn.Linear(5, 6)),
        bn=nn.BatchNorm1d(6),
        act=act(),
        drop2=nn.Dropout(0.5),
        out=nn.Linear(6, 2),
    )
    network = check(settle(model), (4,))
    assert sorted(c.source for c in network.into("act")) == ["body_0_1", "first_1"]
    assert sorted(c.source for c in network.into("readout")) == ["act", "first_1"]


def test_twin_towers_share_their_operators() -> None:
    torch.manual_seed(0)

    def forward(m: Any, x: Tensor, y: Tensor) -> Tensor:
        return m.head(m.drop(torch.cat([m.tower(x), m.tower(y)], 1)))

    tower = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), act(), nn.Dropout(0.5), nn.Linear(6, 3), act())
    model = Net2(forward, tower=tower, drop=nn.Dropout(0.25), head=nn.Linear(6, 2))
    network = check(settle(model), (4,), (4,))
    assert [i.argument for i in network.inputs] == [0, 1]
    first, second, third, fourth = network.populations
    assert first.dropout != second.dropout
    (x_in,), (y_in,) = network.into(first.name), network.into(third.name)
    assert x_in.operator is y_in.operator
    (x_out,), (y_out,) = network.into(second.name), network.into(fourth.name)
    assert x_out.operator is y_out.operator


def test_several_inputs_of_different_shapes() -> None:
    torch.manual_seed(0)
    model = Net2(
        lambda m, x, y: m.head(torch.cat([m.image(x).flatten(1), m.vector(y)], 1)),
        image=conv_stack(nn.Dropout2d(0.5)),
        vector=dense(5, 3),
        head=nn.Linear(67, 2),
    )
    check(settle(model), (3, 8, 8), (5,))


def test_one_input_under_two_masks() -> None:
    torch.manual_seed(0)
    model = Net(lambda m, x: m.one(F.dropout(x, 0.5)) - m.two(F.dropout(x, 0.5)), one=dense(4, 6), two=dense(4, 6))
    network = check(model.double(), (4,))
    assert [i.argument for i in network.inputs] == [0, 0]


def test_a_population_under_two_masks_becomes_two_with_equal_input() -> None:
    torch.manual_seed(0)

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.body(F.dropout(x, 0.5))
        return m.one(F.dropout(h, 0.5)) - m.two(F.dropout(h, 0.5)) + m.two(h)

    model = Net(forward, body=dense(4, 6, 5), one=dense(5, 3), two=dense(5, 3))
    network = check(model.double(), (4,))
    body = [p for p in network.populations if p.name.startswith("body_3")]
    assert len({p.dropout for p in body}) == len(body) == 3
    assert len({network.into(p.name)[0].operator for p in body}) == 1


def test_an_argument_with_a_default_keeps_it() -> None:
    class Optional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = dense(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor, scale: float = 2.0, mask: Tensor | None = None, flip: bool = False) -> Tensor:
            h = self.body(x) * scale
            h = h if mask is None else h * mask
            return self.head(-h if flip else h)

    torch.manual_seed(0)
    check(Optional().double(), (4,))


def test_an_input_that_the_model_ignores_stays_an_argument() -> None:
    torch.manual_seed(0)
    model = Net2(lambda m, x, y: m.head(y), head=nn.Sequential(dense(4, 6), nn.Linear(6, 2)))
    network = check(model.double(), (3,), (4,))
    assert [(i.argument, i.shape) for i in network.inputs] == [(0, (3,)), (1, (4,))]


def test_what_the_output_does_not_depend_on_is_left_out() -> None:
    torch.manual_seed(0)

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.body(x)
        m.dead(F.dropout(h, 0.5))
        return m.head(F.dropout(h, 0.5))

    model = Net(forward, body=dense(4, 6), dead=dense(6, 5, 4), head=nn.Linear(6, 2))
    network = check(model.double(), (4,))
    assert [p.name for p in network.populations] == ["body_1"]
    assert network.populations[0].dropout.site == 1  # pyright: ignore[reportOptionalMemberAccess]


def test_names_that_clash_are_told_apart() -> None:
    torch.manual_seed(0)
    model = Net(lambda m, x: m.head(m.readout(m.fc(x))), fc=nn.Linear(4, 6), readout=act(), head=nn.Linear(6, 2))
    network = check(model.double(), (4,))
    assert [p.name for p in network.populations] == ["readout_"]


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, int, int, float]]:
    """Steps (what, first value, second value, number); values are counted from the input on."""
    steps = draw(st.integers(2, 9))
    index = st.integers(0, 100)
    kinds = st.sampled_from(
        ["fire", "fire", "linear", "norm", "add", "cat", "slice", "scale", "shift", "fold", "drop"]
    )
    return [
        (draw(kinds), draw(index), draw(index), draw(st.floats(-2, 2).map(lambda v: v or 1.0))) for _ in range(steps)
    ]


class Graph(nn.Module):
    """A random DAG of flat values of width WIDTH; masks directly after activations."""

    WIDTH = 4

    def __init__(self, steps: list[tuple[str, int, int, float]]) -> None:
        super().__init__()
        self.steps = steps
        self.linear = nn.ModuleList(nn.Linear(self.WIDTH, self.WIDTH) for _ in steps)
        self.norm = nn.ModuleList(nn.BatchNorm1d(self.WIDTH) for _ in steps)
        self.join = nn.ModuleList(nn.Linear(2 * self.WIDTH, self.WIDTH, bias=False) for _ in steps)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for i, (what, first, second, number) in enumerate(self.steps):
            a, b = values[first % len(values)], values[second % len(values)]
            if what == "fire":
                values.append(self.act(self.linear[i](a)))
            elif what == "linear":
                values.append(self.linear[i](a))
            elif what == "norm":
                values.append(self.norm[i](a))
            elif what == "add":
                values.append(a - b)
            elif what == "cat":
                values.append(self.join[i](torch.cat([a, b], 1)))
            elif what == "slice":
                values.append(torch.cat([b[:, 2:], a[:, ::2]], -1))
            elif what == "scale":
                values.append(number * a)
            elif what == "shift":
                values.append(number - a)
            elif what == "fold":
                values.append(a.reshape(-1, 2, 2).transpose(1, 2).flatten(1))
            else:
                values.append(F.dropout(self.act(self.linear[i](a)), 0.5))
        return self.act(self.linear[0](values[-1])) + values[-1]


@given(graphs(), st.integers(0, 2**32))
@settings(max_examples=60)
@pytest.mark.slow
def test_any_graph_of_these_pieces(steps: list[tuple[str, int, int, float]], seed: int) -> None:
    torch.manual_seed(seed % 100)
    model = settle(Graph(steps))
    x = torch.randn(PAIRS, Graph.WIDTH, dtype=torch.float64)
    with torch.no_grad(), evaluating(model), Masks(Keys(seed, SAMPLES, ROWS)):
        expected = model(x)
    network = convert(model, x)
    assert torch.allclose(rates(network, [x], seed), expected, rtol=1e-9, atol=1e-9)


# -- what surrounds it -------------------------------------------------------------------------------------


def test_the_weights_are_copied() -> None:
    torch.manual_seed(0)
    model = settle(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), act(), nn.Conv1d(1, 1, 1), nn.Linear(6, 2)))
    model = Net(
        lambda m, x: m.b(m.a(x).unsqueeze(1)) * m.c + m.d, a=model[:3], b=model[3:], c=torch.ones(2), d=torch.ones(2)
    )
    x = torch.randn(PAIRS, 4, dtype=torch.float64)
    network = convert(model.double(), x)
    before = rates(network, [x], 0)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.add_(1)
    assert torch.equal(rates(network, [x], 0), before)
    assert not any(
        t.requires_grad for c in network.connections for t in c.operator.state_dict(keep_vars=True).values()
    )


@pytest.mark.parametrize("training", [True, False])
def test_the_modules_modes_are_left_alone(training: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), act(), nn.Dropout(0.5), nn.Linear(6, 2)).train(training)
    model[1].eval()
    modes, state = [m.training for m in model.modules()], {k: v.clone() for k, v in model.state_dict().items()}
    convert(model, torch.randn(3, 4))
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("synapse", [None, Alpha(0.005), Lowpass(0.01)])
def test_spikes_are_filtered_and_inputs_are_not(synapse: Alpha | Lowpass | None) -> None:
    model = nn.Sequential(dense(4, 6, 5), nn.Linear(5, 2))
    network = convert(model, torch.zeros(1, 4), synapse=synapse, dt=5e-4)
    assert [c.synapse for c in network.connections] == [None, synapse, synapse]
    assert network.dt == 5e-4


def test_the_hard_curve_becomes_the_same_neurons() -> None:
    soft, hard = (
        convert(nn.Sequential(nn.Linear(4, 6), layer, nn.Linear(6, 2)), torch.zeros(1, 4))
        for layer in (SoftLIF(0.1, gain=2.0), LIFRate(gain=2.0))
    )
    assert soft.populations[0].neuron == hard.populations[0].neuron


def test_the_example_gives_shapes_only() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(dense(4, 6), nn.Linear(6, 2)).double(), torch.randn(PAIRS, 4, dtype=torch.float64)
    one, other = convert(model, torch.full((1, 4), float("nan"))), convert(model, x)
    assert torch.equal(rates(one, [x], 0), rates(other, [x], 0))


def test_a_step_longer_than_the_refractory_time_is_warned_of() -> None:
    model = nn.Sequential(nn.Linear(2, 3), SoftLIF(tau_ref=0.001), nn.Linear(3, 1))
    with pytest.warns(UserWarning, match=r"dt = 0\.002 s is longer than the refractory time 0\.001 s of .*'layer1'"):
        convert(model, torch.zeros(1, 2), dt=2e-3)
    convert(model, torch.zeros(1, 2), dt=1e-3)
