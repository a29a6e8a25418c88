"""What cannot be converted is refused by the name of its node, with what to use instead, in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coarse_codes import coarse
from modules import Net, Net2, act, dense
from spikebayes import Digits
from spikebayes.conversion.convert import check, convert
from spikebayes.errors import ConfigError, ConversionError, DataError


def between(layer: nn.Module) -> nn.Module:
    """A layer between an activation and the read-out, as the module named ``odd``."""
    return Net(lambda m, x: m.out(m.odd(m.body(x))), body=dense(4, 6), odd=layer, out=nn.Linear(6, 2))


LAYERS: list[tuple[nn.Module, str]] = [
    (nn.Softmax(-1), "predict gives class probabilities"),
    (nn.LogSoftmax(-1), "remove it: the read-out is the logits"),
    (nn.LayerNorm(6), "use BatchNorm"),
    (nn.GroupNorm(2, 6), "use BatchNorm"),
    (nn.Threshold(0.1, 0.0), "use ReLU, or spikebayes.nn.SoftLIF"),
    (nn.GLU(), "a * torch.sigmoid(b), which code=spikebayes.Graded(10) tells"),
    (nn.Embedding(3, 4), "use one-hot columns and Linear"),
    (nn.LSTM(6, 6), "only feed-forward networks can be converted"),
    (nn.AlphaDropout(0.5), "use Dropout, Dropout1d/2d or spikebayes.nn.Permadrop"),
    (nn.Dropout3d(0.5), "use Dropout, Dropout1d/2d or spikebayes.nn.Permadrop"),
    (nn.MaxPool3d(2), "fold the third into the channels"),
    (nn.LocalResponseNorm(2), "between activations only linear operations are possible"),
]


@pytest.mark.parametrize(
    ("layer", "advice"), LAYERS, ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else ""
)
def test_a_layer_that_is_not_linear_is_refused_by_name(layer: nn.Module, advice: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(between(layer), torch.zeros(1, 4))
    message = str(caught.value)
    assert message.startswith(f"node 'odd' ({type(layer).__name__}, module 'odd'): not linear, or unknown; ")
    assert advice in message
    assert "\n" not in message


def test_the_advice_is_for_what_a_layer_is_not_for_how_it_is_called() -> None:
    model = Net(
        lambda m, x: m.out(m.relu(m.body(x))), body=dense(4, 6), relu=nn.LocalResponseNorm(2), out=nn.Linear(6, 2)
    )
    with pytest.raises(ConversionError, match="between activations only linear operations are possible"):
        convert(model, torch.zeros(1, 4))


FUNCTIONS: dict[str, tuple[Callable[[Tensor], Any], str, str]] = {
    "max pooling": (lambda h: F.max_pool1d(h, 2), "function max_pool1d", "use AvgPool"),
    "gelu": (F.gelu, "function gelu", "give code=spikebayes.Graded(8), whose spikes carry the value"),
    "softmax inside": (lambda h: h.softmax(-1) + 1, "tensor method softmax", "the read-out is the logits"),
    "softmax over rows": (
        lambda h: h.softmax(0),
        "tensor method softmax",
        "goes over the rows of a batch; give it dim=1",
    ),
    "layer norm": (lambda h: F.layer_norm(h, [6]), "function layer_norm", "use BatchNorm"),
    "unknown function": (torch.sin, "function sin", "only linear operations are possible"),
    "unknown, of a name like those of activations": (torch.expm1, "function expm1", "only linear operations are"),
    "a quotient that is rounded": (
        lambda h: torch.div(h, 2, rounding_mode="floor"),
        "function div",
        "with rounding_mode it is not supported; leave that out",
    ),
    "infinite": (
        lambda h: h + torch.full((6,), torch.inf),
        "function add",
        "it makes values infinite or NaN",
    ),
    "square": (lambda h: h**2, "function pow", "give code=spikebayes.Graded(8), whose spikes carry the value"),
    "power": (lambda h: h**3, "function pow", "only squares are, under a Graded code"),
    "limits that are tensors": (lambda h: h.clamp(torch.zeros(6)), "tensor method clamp", "clamp to numbers"),
    "product": (lambda h: h * h, "function mul", "a product of two network values is not linear"),
    "by zero": (lambda h: h / 0, "function truediv", "it divides by 0; clamp the divisor away from 0"),
    "by zeros": (lambda h: h / torch.tensor([0.0, 1, 1, 1, 1, 1]), "function truediv", "it divides by 0"),
    "quotient": (lambda h: 1 / h, "function truediv", "a division by a network value is not linear"),
    "alpha dropout": (lambda h: F.alpha_dropout(h, 0.5), "function alpha_dropout", "use Dropout, Dropout1d/2d"),
    "3d dropout": (lambda h: F.dropout3d(h, 0.5), "function dropout3d", "use Dropout, Dropout1d/2d"),
    "dropout twice": (lambda h: F.dropout(F.dropout(h)), "function dropout", "already masked by another dropout"),
    "dropout after a constant": (lambda h: F.dropout(h + 1), "function dropout", "directly after the activation"),
    "dropout after a reordering": (
        lambda h: F.dropout(h[:, ::2]),
        "function dropout",
        "operations that mix or reorder units stand between the activation and the mask",
    ),
    "dropout of maps that no unit boundary meets": (
        lambda h: F.dropout1d(torch.cat([h, h], 1).reshape(-1, 3, 4)),
        "function dropout1d",
        "operations that mix or reorder units stand between the activation and the mask",
    ),
    "dropout of maps where there are none": (F.dropout1d, "function dropout1d", "whole rows drop; use Dropout"),
    "dropout out of range": (lambda h: F.dropout(h, 1.0), "function dropout", "lies outside [0, 1)"),
    "rows joined": (lambda h: torch.cat([h, h]), "function cat", "joins along the batch axis"),
    "rows flattened": (lambda h: h.flatten(), "tensor method flatten", "mixes rows"),
    "rows reshaped": (
        lambda h: h.reshape(-1, 3),
        "tensor method reshape",
        "a row of shape [6] does not stay one row",
    ),
    "rows merged into one": (lambda h: h.view(1, -1), "tensor method view", "mixes rows"),
    "rows behind another axis": (lambda h: h.unsqueeze(0), "tensor method unsqueeze", "mixes rows"),
    "rows transposed": (lambda h: h.transpose(0, 1), "tensor method transpose", "moves the batch axis"),
    "rows picked": (lambda h: h[0], "function getitem", "picks rows of the batch"),
    "rows averaged": (lambda h: h.mean(0), "tensor method mean", "it sums along the batch axis"),
    "everything averaged": (lambda h: h.mean(), "tensor method mean", "a mean over everything mixes rows"),
    "transposed by attribute": (lambda h: h.T, "function getattr", "moves the batch axis"),
    "a part of complex numbers": (lambda h: h.real, "function getattr", "its attribute 'real' is unknown"),
    "a fixed matrix, added to": (
        lambda h: torch.addmm(torch.ones(6), h, torch.eye(6)),
        "function addmm",
        "x @ weight + bias",
    ),
    "a fixed mask": (lambda h: torch.where(torch.arange(6) > 2, h, 0.0), "function where", "it is h * mask"),
    "a fixed mask filled": (
        lambda h: h.masked_fill(torch.arange(6) > 2, 0.0),
        "tensor method masked_fill",
        "it is h * mask",
    ),
    "indices": (lambda h: h.long(), "tensor method long", "use one-hot columns and Linear"),
    "rows indexed by a list": (lambda h: h[[0, 1]], "function getitem", "picks rows of the batch"),
    "two axes indexed by lists": (
        lambda h: h.reshape(-1, 2, 3)[:, [0, 1], [0, 2]],
        "function getitem",
        "index one axis after another",
    ),
    "index of two axes": (lambda h: h[:, torch.zeros(2, 2).long()], "function getitem", "use one axis of numbers"),
    "index by a value": (lambda h: h[:, h], "function getitem", "indexing by a network value"),
    "index out of range": (lambda h: h[:, 6], "function getitem", "index 6 is out of range for an axis of length 6"),
    "joined with a constant": (lambda h: torch.cat([h, torch.ones(1, 6)], 1), "function cat", "fixed tensors"),
    "constant per row": (lambda h: h + torch.ones(7, 6), "function add", "the added constant is larger"),
    "factor per row": (lambda h: h * torch.ones(7, 6), "function mul", "the factor is larger"),
    "rows of unequal axes": (
        lambda h: h.reshape(-1, 2, 3) + h[:, :3],
        "function add",
        "adds rows of shapes [2, 3] and [3]; give them the same axes",
    ),
    "rows summed": (lambda h: h.sum(0), "tensor method sum", "it sums along the batch axis"),
    "everything summed": (lambda h: h.sum(), "tensor method sum", "a sum over everything mixes rows"),
    "all of a row summed": (lambda h: h.sum(1), "tensor method sum", "leaves a row without any"),
    "an axis that is not there": (lambda h: h.sum(2), "tensor method sum", "there is no axis 2"),
    "rows turned around": (
        lambda h: h.flip(0),
        "tensor method flip",
        "reverses the order of rows along the batch axis",
    ),
    "rows rolled": (lambda h: h.roll(1), "tensor method roll", "give the axes"),
    "rows split": (lambda h: h.split(2)[0], "tensor method split", "cuts along the batch axis"),
    "rows stacked": (lambda h: torch.stack([h, h]), "function stack", "joins along the batch axis"),
    "rows repeated": (lambda h: h.repeat(2, 1), "tensor method repeat", "repeats rows of the batch"),
    "rows expanded": (lambda h: h.expand(3, -1, 6), "tensor method expand", "adds an axis before the batch axis"),
    "rows padded": (lambda h: F.pad(h, (0, 0, 1, 0)), "function pad", "it pads the batch axis"),
    "a matrix from the left": (
        lambda h: torch.ones(3, 3) @ h,
        "tensor method matmul",
        "summed by torch.einsum",
    ),
    "two values multiplied": (lambda h: h.unsqueeze(1) @ h.unsqueeze(2), "function matmul", "is not linear"),
    "two values in einsum": (lambda h: torch.einsum("bi,bi->b", h, h), "function einsum", "is not linear"),
    "the batch summed in einsum": (
        lambda h: torch.einsum("bi,ij->j", h, torch.ones(6, 2)),
        "function einsum",
        "sums over the batch axis or moves it",
    ),
    "a diagonal in einsum": (
        lambda h: torch.einsum("bii->bi", h.reshape(-1, 6, 1).expand(-1, 6, 6)),
        "function einsum",
        "an axis stands twice",
    ),
    "half precision": (lambda h: h.half(), "tensor method half", "it rounds values to torch.float16"),
    "whole numbers": (lambda h: h.to(torch.int32), "tensor method to", "it rounds values to torch.int32"),
    "triangle over rows": (lambda h: h.tril(), "tensor method tril", "it mixes rows"),
    "batch norm on the batch": (
        lambda h: F.batch_norm(h, None, None, training=True),
        "function batch_norm",
        "use track_running_stats=True",
    ),
    "divisor": (
        lambda h: F.avg_pool2d(h.reshape(-1, 1, 2, 3), 2, divisor_override=3),
        "function avg_pool2d",
        "divisor_override is not supported",
    ),
    "convolution over rows": (
        lambda h: F.conv1d(h, torch.ones(1, 1, 2)),
        "function conv1d",
        "needs rows of 2 axes (channels first), not of shape [6]",
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_cannot_be_converted_is_refused_by_name(name: str) -> None:
    function, what, advice = FUNCTIONS[name]
    with pytest.raises(ConversionError) as caught:
        convert(Net(lambda m, x: function(m.body(x)), body=dense(4, 6)), torch.zeros(1, 4))
    message = str(caught.value)
    assert message.startswith("node '")
    assert f"({what})" in message
    assert advice in message
    assert "\n" not in message


ACTIVATIONS: dict[str, nn.Module | Callable[[Tensor], Tensor]] = {
    "ReLU": nn.ReLU(),
    "Tanh": nn.Tanh(),
    "Hardshrink": nn.Hardshrink(),
    "relu": F.relu,
    "relu method": lambda h: h.relu(),
    "clamp": lambda h: h.clamp(max=1),
    "abs": abs,
}


@coarse  # its outputs are units, some of which hardly vary
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_that_no_lif_neuron_has_is_refused_with_the_code_that_tells_it(name: str) -> None:
    activation = ACTIVATIONS[name]
    parts = {"odd": activation} if isinstance(activation, nn.Module) else {}
    model = Net(
        lambda m, x: m.body(m.odd(m.a(x)) if parts else activation(m.a(x))),
        a=nn.Linear(4, 4),
        body=dense(4, 6),
        **parts,
    )
    with pytest.raises(ConversionError, match=r"leave code='lif' out or give code=spikebayes\.Digits\(4, 4\)"):
        convert(model, torch.zeros(1, 4), code="lif")
    with pytest.raises(ConversionError, match=r"the example has 1 rows.* give calibrate=rows"):
        convert(model, torch.zeros(1, 4))
    assert convert(model, torch.zeros(1, 4), calibrate=torch.rand(100, 4)).code == Digits(4, 4)


def test_a_value_changed_in_place_that_is_used_elsewhere_is_refused() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.body(x)
        y = m.head(h)
        h.add_(1)
        return y + m.head(h)

    with pytest.raises(
        ConversionError, match=r"node 'add_' \(tensor method add_\): it changes in place a value that is used"
    ):
        convert(Net(forward, body=dense(4, 6), head=nn.Linear(6, 2)), torch.zeros(1, 4))


@pytest.mark.parametrize("bias", [True, False])
def test_dropout_before_the_activation_is_refused(bias: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 6, bias=bias), nn.Dropout(0.5), act(), nn.Linear(6, 2))
    with pytest.raises(
        ConversionError, match=r"\(Dropout, module '1'\).*put the dropout directly after the activation"
    ):
        convert(model, torch.zeros(1, 4))


def test_batch_norm_without_running_statistics_is_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, track_running_stats=False), act())
    with pytest.raises(ConversionError, match=r"\(BatchNorm1d, module '1'\).*use track_running_stats=True"):
        convert(model, torch.zeros(1, 4))


def test_control_flow_that_depends_on_data_is_refused() -> None:
    model = Net(lambda m, x: m.body(x) if x.sum() > 0 else m.body(-x), body=dense(4, 6))
    with pytest.raises(
        ConversionError, match=r"Net\.forward: cannot be traced: .*let it branch on shapes, not on values"
    ):
        convert(model, torch.zeros(1, 4))


@pytest.mark.parametrize(
    "output", [lambda h: (h, h), lambda h: {"y": h}, lambda h: 3.0, lambda h: None, lambda h: torch.ones(2)]
)
def test_the_model_must_return_one_tensor(output: Callable[[Tensor], Any]) -> None:
    model = Net(lambda m, x: output(m.body(x)), body=dense(4, 6))
    with pytest.raises(ConversionError, match="must return one tensor that depends on its input"):
        convert(model, torch.zeros(1, 4))


@pytest.mark.parametrize("dead", [True, False])
def test_something_must_spike(dead: bool) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        if dead:
            m.body(x)
        return m.head(x)

    with pytest.raises(
        ConversionError, match=r"at least one activation \(ReLU and the like, spikebayes.nn.SoftLIF, sign units\)"
    ):
        convert(Net(forward, body=dense(4, 6), head=nn.Linear(4, 2)), torch.zeros(1, 4))


def test_a_layer_that_no_input_reaches_is_refused() -> None:
    model = Net(lambda m, x: m.body(x) + m.body(m.learned), body=dense(4, 6), learned=torch.zeros(1, 4))
    with pytest.raises(ConversionError, match=r"\(SoftLIF, module 'body.1'\): does not act on the network's inputs"):
        convert(model, torch.zeros(1, 4))


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda m, x: F.linear(m.body(x), F.dropout(m.head.weight, 0.1)), "does not act on the network's inputs"),
        (lambda m, x: m.head(m.body(x) * m.drop(torch.ones(6))), "does not act on the network's inputs"),
        (lambda m, x: m.head(m.body(x) * torch.bernoulli(torch.full_like(x[:, :1], 0.5))), "it draws numbers"),
        (lambda m, x: m.head(m.body(x) + m.head.weight[0].clone().normal_()), "it draws numbers"),
        (lambda m, x: m.head(m.body(x) + torch.randn(6)), "the model draws numbers of its own with randn"),
    ],
)
def test_randomness_of_what_is_no_value_of_the_network_is_named(forward: Any, reason: str) -> None:
    model = Net(forward, body=dense(4, 6), head=nn.Linear(6, 2), drop=nn.Dropout(0.1))
    before = torch.get_rng_state()
    obstacle, *_ = check(model, torch.zeros(1, 4)).obstacles
    assert reason in obstacle.reason
    assert "drop" in obstacle.cure.lower()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of scripts
def test_what_torch_jit_compiled_is_refused_once_and_by_name() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 6), nn.ReLU()))
    (whole,) = check(scripted, torch.zeros(1, 4)).obstacles
    (part,) = check(nn.Sequential(scripted, act()), torch.zeros(1, 4)).obstacles
    assert whole.reason == part.reason == "its code was compiled by torch.jit, and cannot be looked into"
    assert part.where == "node '_0' (RecursiveScriptModule, module '0')"


def test_an_example_of_another_shape_is_refused() -> None:
    with pytest.raises(
        ConversionError, match=r"node '_0' \(Linear, module '0'\): cannot be converted: .*1x5 and 4x6"
    ):
        convert(dense(4, 6), torch.zeros(1, 5))


@pytest.mark.parametrize("example", [torch.zeros(4), torch.zeros(1, 4, dtype=torch.int64)])
def test_an_example_without_a_batch_axis_or_of_integers_is_refused(example: Tensor) -> None:
    with pytest.raises(ConversionError, match=r"must be floating point, \[B, \*shape\]; got"):
        convert(dense(4, 6), example)


@pytest.mark.parametrize("example", [[], [[0.0] * 4], "rows"])
def test_an_example_that_is_no_tensor_is_refused(example: Any) -> None:
    with pytest.raises((ConversionError, DataError), match=r"example.input must be a tensor"):
        convert(dense(4, 6), example)


def test_as_many_examples_as_arguments_are_asked_for() -> None:
    x = torch.zeros(1, 4)
    two = Net2(lambda m, x, y: m.body(x) + m.body(y), body=dense(4, 6))
    with pytest.raises(ConversionError, match="takes an argument 'y', but 1 example inputs"):
        convert(two, x)
    with pytest.raises(ConversionError, match="the model takes 1 inputs, but 2 example inputs"):
        convert(dense(4, 6), [x, x])


def test_a_time_step_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="dt must be a positive number of seconds; got 0"):
        convert(dense(4, 6), torch.zeros(1, 4), dt=0)


@pytest.mark.parametrize(
    ("function", "cure"),
    [
        (lambda h: h.amax(1, keepdim=True), "adaptive_max_pool1d"),
        (lambda h: h.max(1).values[:, None], "adaptive_max_pool1d"),
        (lambda h: torch.maximum(h, 2 * h), r"a \+ torch.relu\(b - a\)"),
        (lambda h: torch.minimum(h, 2 * h), r"a - torch.relu\(a - b\)"),
        (lambda h: torch.max(h, torch.zeros(1)), r"a \+ torch.relu\(b - a\)"),
        (lambda h: F.glu(h, 1), r"a \* torch.sigmoid\(b\), which code=spikebayes.Graded\(10\) tells"),
    ],
)
def test_maxima_and_gates_are_refused_with_a_form_that_converts(function: Callable[[Any], Any], cure: str) -> None:
    model = Net(lambda m, x: m.b(function(m.a(x))), a=nn.Linear(4, 6), b=nn.LazyLinear(2))
    with pytest.raises(ConversionError, match=cure):
        convert(model, torch.rand(120, 4), code=Digits(4, 4))


def test_assertions_about_values_are_left_out() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        torch._assert((x.abs() < 1e6).all(), "too large")
        h = m.d(m.a(x).relu())
        torch._assert(torch.isfinite(h).all() & (h.relu().sum() >= 0), "not finite")
        return m.b(h)

    model = Net(forward, a=nn.Linear(4, 6), d=nn.Dropout(0.2), b=nn.Linear(6, 2))
    assert [p.name for p in convert(model, torch.rand(120, 4)).populations] == ["relu"]


def test_a_code_that_nobody_asked_for_says_what_needs_it() -> None:
    model = nn.Sequential(dense(4, 6), nn.Sigmoid())
    with pytest.raises(
        ConversionError, match=r"60 rows, and a code, which this model needs for its .*Sigmoid.*, needs"
    ):
        convert(model, torch.rand(60, 4))


def test_rows_of_whole_numbers_are_refused_with_the_cure() -> None:
    with pytest.raises(ConversionError, match=r"got torch.uint8 \[1, 4\]; give x.float\(\)"):
        convert(dense(4, 6), torch.zeros(1, 4, dtype=torch.uint8))
