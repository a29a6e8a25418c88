"""Forms that models come in: each converts into the module's network, or is refused with a cure; none differs.

``python tests/conversion/test_model_forms.py`` counts them.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from spikebayes import ConversionError, Digits, Graded, SpikebayesError, SpikingNetwork, check, convert, predict
from spikebayes.network.codes import Code
from spikebayes.nn import LIFRate, Permadrop, SoftLIF

WIDTH = 32
CALIBRATE = {"rows": torch.randn(120, 4), "images": torch.rand(120, 3, 8, 8), "series": torch.rand(120, 2, 12)}
GIVEN = {name: rows[:6] for name, rows in CALIBRATE.items()}
X = GIVEN["rows"]
CONVERTS, REFUSED = "converts", "refused"  # or the code that has to be asked for
ANY, VALUES = Digits(4, 5), Graded(10)

Make = Callable[[], nn.Module]
FORMS: dict[str, tuple[Make, str, str | Code]] = {}  # how it is made, what it is given, what becomes of it


def form(outcome: str | Code = CONVERTS, given: str = "rows") -> Callable[[Make], Make]:
    """The decorated function makes a model of one form."""

    def add(make: Make) -> Make:
        FORMS[make.__name__] = make, given, outcome
        return make

    return add


class Body(nn.Module):
    """A network of one hidden layer with a forward of its own."""

    def __init__(self, forward: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.a, self.s, self.d, self.b = nn.Linear(4, WIDTH), SoftLIF(1e-3), Permadrop(0.2), nn.Linear(WIDTH, 2)
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = [forward]  # a list, so that it is no method

    def forward(self, x: Tensor) -> Any:
        return self.run[0](self, x)

    def h(self, x: Tensor) -> Tensor:
        return self.d(self.s(self.a(x)))


def net(*between: nn.Module, out: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, WIDTH), SoftLIF(1e-3), Permadrop(0.2), *between, nn.Linear(WIDTH, out))


def conv(*between: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), SoftLIF(1e-3), nn.Dropout2d(0.2), *between, nn.Flatten(), nn.LazyLinear(2)
    )


def behind(function: Callable[[Tensor], Tensor]) -> Make:
    """A model with one function between the activation and the read-out."""
    return lambda: Body(lambda m, x: m.b(function(m.h(x))))


def with_layer(layer: Callable[[], nn.Module]) -> Make:
    """A model with one layer there."""
    return lambda: net(layer())


def with_maps(parts: Callable[[], list[nn.Module]]) -> Make:
    """A convolutional one."""
    return lambda: conv(*parts())


# -- how a model is written --------------------------------------------------------------------------------------


@form()
def a_sequence() -> nn.Module:
    return net()


@form()
def a_forward_of_its_own() -> nn.Module:
    return Body(lambda m, x: m.b(m.h(x)))


@form()
def functional_dropout() -> nn.Module:
    return Body(lambda m, x: m.b(F.dropout(m.s(m.a(x)), 0.2, m.training)))


@form()
def a_list_of_layers() -> nn.Module:
    layers = nn.ModuleList([nn.Sequential(nn.Linear(4, WIDTH), SoftLIF(1e-3), Permadrop(0.2)) for _ in range(2)])

    def forward(m: Any, x: Tensor) -> Tensor:
        return m.b(sum(layer(x) for layer in m.layers))

    return Body(forward, layers=layers)


@form()
def a_dictionary_of_layers() -> nn.Module:
    heads = nn.ModuleDict({"mean": nn.Linear(WIDTH, 1), "scale": nn.Linear(WIDTH, 1)})
    return Body(lambda m, x: torch.cat([m.heads["mean"](m.h(x)), m.heads["scale"](m.h(x))], 1), heads=heads)


@form()
def a_skip_connection() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.h(x)
        return m.b(h + m.s2(m.c(h)))

    return Body(forward, c=nn.Linear(WIDTH, WIDTH), s2=SoftLIF(1e-3))


@form()
def inputs_joined_to_hidden_values() -> nn.Module:
    return Body(lambda m, x: m.c(torch.cat([x, m.h(x)], 1)), c=nn.Linear(WIDTH + 4, 2))


@form()
def a_layer_that_is_used_twice() -> nn.Module:
    return Body(lambda m, x: m.b(m.h(m.e(m.h(x)))), e=nn.Linear(WIDTH, 4))


@form()
def sizes_asserted() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        assert x.shape[1] == 4
        assert x.dim() == 2
        if len(x.shape) != 2 or x.size(-1) != 4:
            raise ValueError("rows of 4")
        return m.b(m.h(x))

    return Body(forward)


@form()
def a_loop_over_sizes() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.h(x)
        return m.b(sum(h.roll(k, 1) for k in range(x.size(1))))

    return Body(forward)


@form()
def a_type_that_is_asked_for() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError("tensors only")
        return m.b(m.h(x))

    return Body(forward)


@form()
def a_precision_that_is_asked_for() -> nn.Module:
    return Body(lambda m, x: m.b(m.h(x if x.dtype == torch.float32 else x.float())))


@form()
def parts_that_are_looped_over() -> nn.Module:
    return Body(lambda m, x: m.b(torch.cat([2 * part for part in m.h(x).chunk(4, 1)], 1)))


@form()
def zeros_for_every_row() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        memory = torch.zeros(x.shape[0], WIDTH)
        return m.b(m.h(x) + memory + x.new_ones(len(x), 1))

    return Body(forward)


@form()
def a_token_joined_to_every_row() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.c(torch.cat([m.token.expand(x.shape[0], -1), m.h(x)], 1))

    return Body(forward, token=nn.Parameter(torch.rand(1, 3)), c=nn.Linear(WIDTH + 3, 2))


@form()
def a_buffer_that_scales() -> nn.Module:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.rand(4))
            self.register_buffer("std", 1 + torch.rand(4))
            self.inner = net()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner((x - self.mean) / self.std)

    return Scaled()


@form()
def a_value_changed_in_place() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.h(x)
        h *= 2.0
        return m.b(h.add_(1.0))

    return Body(forward)


@form()
def an_output_of_one_number() -> nn.Module:
    return Body(lambda m, x: m.c(m.h(x)).squeeze(-1), c=nn.Linear(WIDTH, 1))


@form()
def a_tuple_of_one() -> nn.Module:
    return Body(lambda m, x: (m.b(m.h(x)),))


@form()
def defaults_of_forward() -> nn.Module:
    class WithDefaults(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()

        def forward(self, x: Tensor, scale: float = 2.0, mask: Tensor | None = None) -> Tensor:
            return self.inner(x) * scale if mask is None else self.inner(x) * mask

    return WithDefaults()


@form()
def in_training_mode() -> nn.Module:
    return net(nn.BatchNorm1d(WIDTH)).train()


@form()
def lazy_layers() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(WIDTH), SoftLIF(1e-3), Permadrop(0.2), nn.LazyLinear(2))


@form()
def double_precision() -> nn.Module:
    return net().double()


@form()
def frozen_weights() -> nn.Module:
    return net().requires_grad_(False)


@form()
def data_parallel() -> nn.Module:
    return nn.DataParallel(net())


@form()
def compiled() -> nn.Module:
    return torch.compile(net())  # pyright: ignore[reportReturnType]


@form()
def a_part_data_parallel() -> nn.Module:
    return nn.Sequential(nn.DataParallel(net()[:3]), nn.DataParallel(nn.Linear(WIDTH, 2)))


@form()
def compiled_in_place() -> nn.Module:
    model = net()
    model.compile(backend="eager")
    return model


@form()
def a_part_compiled() -> nn.Module:
    model = net()
    model[0].compile(backend="eager")
    return nn.Sequential(torch.compile(model[:3], backend="eager"), model[3])


@form()
def a_function_compiled() -> nn.Module:
    half = torch.compile(lambda h: F.dropout(h, 0.5) / 2, backend="eager")
    return Body(lambda m, x: m.b(half(m.s(m.a(x)))))


# -- how weights are made ----------------------------------------------------------------------------------------


@form()
def weight_norm() -> nn.Module:
    model = net()
    parametrizations.weight_norm(model[0])
    return model


class Causal(nn.Conv1d):
    """A convolution that sees the past alone, a layer of many networks over time."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, (self.dilation[0] * (self.kernel_size[0] - 1), 0)))


@form(CONVERTS, "series")
def weight_norm_of_a_layer_of_one_s_own() -> nn.Module:
    first, second = (parametrizations.weight_norm(Causal(n, 4, 3, dilation=2)) for n in (2, 4))
    return nn.Sequential(first, SoftLIF(1e-3), Permadrop(0.2), second, nn.Flatten(), nn.LazyLinear(2))


@form()
def spectral_norm_of_a_layer_of_one_s_own() -> nn.Module:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    return nn.Sequential(parametrizations.spectral_norm(Doubled(4, WIDTH)), *net()[1:])


@form()
def infinite_numbers_that_take_no_part() -> nn.Module:
    model = net()
    model.register_buffer("smallest_loss", torch.tensor(float("inf")))
    return model


@form(REFUSED)
def an_infinite_number_that_is_added() -> nn.Module:
    model = Body(lambda m, x: m.b(m.d(m.s(m.a(x) + m.mask))))
    model.register_buffer("mask", torch.where(torch.arange(WIDTH) < 3, float("-inf"), 0.0))
    return model


@form()
def arguments_by_name() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.d(x=m.s(x=m.n(input=m.a(input=x))))
        h = torch.flatten(input=torch.reshape(input=h, shape=(-1, 2, WIDTH // 2)), start_dim=1)
        h = torch.add(input=h, other=torch.mul(input=h.roll(1, 1), other=0.5))
        h = torch.cat(torch.chunk(input=F.pad(input=h, pad=(0, 2)), chunks=2, dim=1), 1)[:, :WIDTH]
        return m.b(torch.sub(torch.matmul(input=h, other=torch.eye(WIDTH)), other=h.mean(1, keepdim=True)))

    return Body(forward, n=nn.BatchNorm1d(WIDTH))


@form()
def old_weight_norm_with_loaded_weights() -> nn.Module:
    def make() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return nn.Sequential(nn.utils.weight_norm(nn.Linear(4, WIDTH)), *net()[1:])

    trained, model = make(), make()
    model.load_state_dict(trained.state_dict())
    return model


@form()
def spectral_norm() -> nn.Module:
    model = net()
    parametrizations.spectral_norm(model[3])
    return model.eval()


@form()
def pruned() -> nn.Module:
    model = net()
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


@form()
def weights_that_are_shared() -> nn.Module:
    model = nn.Sequential(
        nn.Linear(4, 4), SoftLIF(1e-3), Permadrop(0.2), nn.Linear(4, 4), SoftLIF(1e-3), nn.Linear(4, 2)
    )
    model[3].weight = model[0].weight
    return model


@form()
def a_hook_that_watches() -> nn.Module:
    model, seen = net(), []
    model[1].register_forward_hook(lambda m, given, gave: seen.append(gave.mean()))
    return model


@form(REFUSED)
def a_hook_that_changes_values() -> nn.Module:
    model = net()
    model[3].register_forward_hook(lambda m, given, gave: gave * 10)
    return model


@form(REFUSED)
def a_hook_before_a_layer() -> nn.Module:
    model = net()
    model[3].register_forward_pre_hook(lambda m, given: (given[0] * 2,))
    return model


@form(REFUSED)
def a_forward_that_was_replaced() -> nn.Module:
    model = net()
    model[3].forward = types.MethodType(lambda self, x: 10 * F.linear(x, self.weight, self.bias), model[3])
    return model


@form(REFUSED)
def an_alias_changed_in_place() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.h(x)
        skip = h
        h *= 2.0
        return m.b(h + skip)

    return Body(forward)


@form(REFUSED)
def a_view_changed_in_place() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.h(x)
        h.view(-1, 2, WIDTH // 2)[:, 0].mul_(3.0)
        return m.b(h)

    return Body(forward)


@form(REFUSED)
def a_part_written_to() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.h(x)
        h[:, 0] = 0
        return m.b(h)

    return Body(forward)


@form(REFUSED)
def weights_that_are_nan() -> nn.Module:
    model = net()
    model[0].weight.data[3, 1] = float("nan")
    return model


@form(REFUSED)
def weights_that_are_infinite() -> nn.Module:
    model = net()
    model[3].bias.data[0] = float("inf")
    return model


@form(REFUSED)
def bfloat16_weights() -> nn.Module:
    return net().bfloat16()


@form(REFUSED)
def half_weights() -> nn.Module:
    return net().half()


@form(REFUSED)
def one_layer_in_double_precision() -> nn.Module:
    model = net()
    model[3].double()
    return model


@form(REFUSED)
def on_no_device() -> nn.Module:
    return net().to("meta")


@form(REFUSED)
def scripted() -> nn.Module:
    return torch.jit.trace(nn.Sequential(nn.Linear(4, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2)), X)  # pyright: ignore


# -- linear layers and operations --------------------------------------------------------------------------------

FORMS |= {
    name: (behind(function), "rows", CONVERTS)
    for name, function in {
        "reshaped": lambda h: h.view(h.shape[0], 4, -1).flatten(1),
        "transposed": lambda h: h.reshape(-1, 4, 8).transpose(1, 2).reshape(len(h), -1),
        "multiplied_by_a_matrix": lambda h: h @ torch.eye(WIDTH).flip(0),
        "einsum_with_a_matrix": lambda h: torch.einsum("bi,ij->bj", h, torch.eye(WIDTH)),
        "summed_over_an_axis": lambda h: h.view(-1, 2, WIDTH // 2).sum(1).repeat(1, 2),
        "averaged_over_an_axis": lambda h: h.view(-1, 2, WIDTH // 2).mean(1).repeat(1, 2),
        "transposed_by_an_attribute": lambda h: (torch.eye(8).flip(0) @ h.view(-1, 4, 8).mT).mT.flatten(1).data,
        "flipped": lambda h: h.flip(1),
        "split": lambda h: torch.cat(h.split([20, WIDTH - 20], 1)[::-1], 1),
        "unbound": lambda h: torch.cat(h.view(-1, 2, WIDTH // 2).unbind(1), 1),
        "stacked": lambda h: torch.stack([h, -h], 1)[:, 0],
        "to_another_precision": lambda h: h.to(torch.float64).to(torch.float32),
        "indexed_with_none": lambda h: h[:, None].squeeze(1),
        "picked_by_numbers": lambda h: h[:, torch.arange(WIDTH).flip(0)],
        "multiplied_by_a_constant": lambda h: 0.5 * h / 2 - 1,
        "less_its_mean": lambda h: h - h.mean(1, keepdim=True),
        "padded": lambda h: F.pad(h, (1, 1))[:, 1:-1],
        "detached_and_cloned": lambda h: h.clone().contiguous(),
    }.items()
}

FORMS |= {
    name: (behind(function), "rows", REFUSED)
    for name, function in {
        "multiplied_by_itself": lambda h: h * h,
        "normalised_rows": lambda h: F.normalize(h, dim=1),
        "a_maximum_over_an_axis": lambda h: h.view(-1, 2, WIDTH // 2).amax(1).repeat(1, 2),
        "sorted_values": lambda h: h.sort(1).values,
        "chosen_by_a_condition": lambda h: torch.where(h > 0.5, h, torch.zeros_like(h)),
        "a_branch_on_values": lambda h: h if h.sum() > 0 else -h,
        "a_number_taken_out": lambda h: h * h.mean().item(),
        "attention_of_its_own": lambda h: (h[:, :, None] @ h[:, None]).softmax(-1).sum(1),
        "a_mean_over_rows": lambda h: h - h.mean(0),
        "rounded_to_half": lambda h: h.half().float(),
        "noise_added": lambda h: h + torch.randn_like(h),
        "noise_of_its_own_shape": lambda h: h * torch.randn(h.shape),
        "bernoulli_noise": lambda h: h * torch.bernoulli(torch.full_like(h, 0.5)),
        "rrelu_while_training": lambda h: F.rrelu(h, training=True),
        "attention_with_dropout": lambda h: F.scaled_dot_product_attention(
            *[h.view(-1, 2, 4, 4)] * 3, dropout_p=0.5
        ).flatten(1),
        "cut_from_the_gradient_by_numpy": lambda h: torch.from_numpy(h.numpy()),
    }.items()
}

FORMS |= {
    name: (with_layer(layer), "rows", CONVERTS)
    for name, layer in {
        "batch_norm": lambda: nn.BatchNorm1d(WIDTH),
        "an_identity": nn.Identity,
        "an_unflatten": lambda: nn.Sequential(nn.Unflatten(1, (4, 8)), nn.Flatten()),
    }.items()
}

FORMS |= {
    name: (with_layer(layer), "rows", REFUSED)
    for name, layer in {
        "a_layer_norm": lambda: nn.LayerNorm(WIDTH),
        "a_group_norm": lambda: nn.GroupNorm(4, WIDTH),
        "batch_norm_on_the_batch": lambda: nn.BatchNorm1d(WIDTH, track_running_stats=False),
        "alpha_dropout": lambda: nn.AlphaDropout(0.2),
        "a_softmax_inside": lambda: nn.Softmax(-1),
    }.items()
}


@form(REFUSED)
def dropout_that_training_guards() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.h(x)
        return m.b(F.dropout(m.s2(m.c(h)), 0.5) if m.training else m.s2(m.c(h)))

    return Body(forward, c=nn.Linear(WIDTH, WIDTH), s2=SoftLIF(1e-3))


@form(REFUSED)
def an_lstm() -> nn.Module:
    return Body(
        lambda m, x: m.c(m.d(m.r(x[:, :, None])[0][:, -1])), r=nn.LSTM(1, 8, batch_first=True), c=nn.Linear(8, 2)
    )


@form(REFUSED)
def a_transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return Body(lambda m, x: m.c(m.d(m.t(m.e(x[:, :, None])).mean(1))), e=nn.Linear(1, 8), t=layer, c=nn.Linear(8, 2))


@form(REFUSED)
def two_outputs() -> nn.Module:
    return Body(lambda m, x: (m.b(m.h(x)), x))


@form(REFUSED)
def a_dictionary_returned() -> nn.Module:
    return Body(lambda m, x: {"logits": m.b(m.h(x))})


@form(REFUSED)
def nothing_that_spikes() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 2))


@form(REFUSED)
def a_call_that_counts() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        m.calls = getattr(m, "calls", 0) + 1
        return m.b(m.h(x)) * m.calls

    return Body(forward)


# -- what only a code tells --------------------------------------------------------------------------------------

FORMS |= {
    name: (behind(function), "rows", CONVERTS)
    for name, function in {
        "relu_as_a_function": F.relu,
        "tanh_as_a_method": lambda h: h.tanh(),
        "an_absolute_value": torch.abs,
        "clamped": lambda h: h.clamp(0, 1),
        "in_place": lambda h: (2 * h).clip_(0, 1).exp_().sigmoid_() + torch.special.expit(h),
    }.items()
}

FORMS |= {
    name: (with_layer(layer), "rows", CONVERTS)
    for name, layer in {
        "a_relu": nn.ReLU,
        "a_prelu": nn.PReLU,
    }.items()
}

FORMS |= {
    name: (behind(function), "rows", VALUES)
    for name, function in {
        "squared": lambda h: h**2,
    }.items()
}

FORMS |= {
    name: (with_layer(layer), "rows", VALUES)
    for name, layer in {
        "a_gelu": nn.GELU,
    }.items()
}

FORMS |= {
    name: (with_layer(layer), "rows", ANY)
    for name, layer in {
        "dropout_behind_batch_norm": lambda: nn.Sequential(nn.BatchNorm1d(WIDTH), nn.Dropout(0.2)),
        "dropout_twice": lambda: nn.Dropout(0.2),
    }.items()
}

FORMS |= {
    name: (with_maps(parts), "images", ANY)
    for name, parts in {
        "max_pooling_of_rates": lambda: [nn.MaxPool2d(2)],
    }.items()
}

# -- images and series -------------------------------------------------------------------------------------------

FORMS |= {
    name: (with_maps(parts), "images", CONVERTS)
    for name, parts in {
        "a_small_conv_net": list,
        "conv_batch_norm": lambda: [nn.BatchNorm2d(4)],
        "average_pooling": lambda: [nn.AvgPool2d(2)],
        "global_average_pooling": lambda: [nn.AdaptiveAvgPool2d(1)],
        "a_transposed_convolution": lambda: [nn.ConvTranspose2d(4, 2, 2, stride=2)],
        "upsampling": lambda: [nn.Upsample(scale_factor=2)],
        "reflection_padding": lambda: [nn.ReflectionPad2d(1)],
        "a_dilated_grouped_convolution": lambda: [nn.Conv2d(4, 4, 3, dilation=2, groups=2)],
        "pixel_shuffle": lambda: [nn.PixelShuffle(2)],
    }.items()
}

FORMS |= {
    name: (with_maps(parts), "images", REFUSED)
    for name, parts in {
        "instance_norm": lambda: [nn.InstanceNorm2d(4)],
        "local_response_norm": lambda: [nn.LocalResponseNorm(2)],
        "dropout_of_three_axes": lambda: [nn.Dropout3d(0.2)],
    }.items()
}


@form(CONVERTS, "series")
def a_convolution_over_time() -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 4, 3), LIFRate(), nn.Dropout1d(0.2), nn.Flatten(), nn.LazyLinear(2))


# -- what becomes of them ----------------------------------------------------------------------------------------


def made(name: str) -> tuple[nn.Module, Tensor, str | Code]:
    make, given, outcome = FORMS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
    dtype = next((p.dtype for p in model.parameters() if p.dtype == torch.float64), torch.float32)
    return model, GIVEN[given].to(dtype), outcome


def converted(name: str, model: nn.Module, x: Tensor) -> SpikingNetwork:
    _, given, outcome = FORMS[name]
    rows = CALIBRATE[given].to(x)
    return convert(model, x, calibrate=rows, code=outcome if isinstance(outcome, Code) else None)


def apart(model: nn.Module, network: SpikingNetwork, x: Tensor, **settings: Any) -> float:
    """Root mean square of the difference under the same masks, in standard deviations over samples."""
    classical = predict(model, x, samples=20, seed=3, **settings)
    timing = {"steps": 600, "burn_in": 200} if network.code is None else {}
    spiking = predict(network, x.float(), samples=20, seed=3, **timing, **settings)
    spread = classical.samples.std()
    return float((classical.samples - spiking.samples).pow(2).mean().sqrt() / spread)


def test_there_are_at_least_ninety() -> None:
    assert len(FORMS) >= 90


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.slow
def test_a_form_converts_or_is_refused_with_a_cure(name: str) -> None:
    model, x, outcome = made(name)
    if outcome != REFUSED:
        found = check(model, x, code=outcome if isinstance(outcome, Code) else None)
        assert not found.obstacles, str(found)
        assert apart(model, converted(name, model, x), x) < 0.2
        if outcome == CONVERTS:
            return
    found = check(model, x)
    assert found.obstacles
    for obstacle in found.obstacles:
        assert obstacle.where
        assert obstacle.reason
        assert obstacle.cure
        assert outcome == REFUSED or f"code=spikebayes.{type(outcome).__name__}(" in obstacle.cure
    with pytest.raises(ConversionError) as caught:
        convert(model, x)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:the model's outputs are:UserWarning", "ignore:Implicit dimension:UserWarning")
@pytest.mark.parametrize("head", [nn.Softmax(-1), nn.LogSoftmax(1), nn.LogSoftmax(dim=None)])
@pytest.mark.slow
def test_a_softmax_at_the_end_is_left_to_the_task(head: nn.Module) -> None:
    torch.manual_seed(0)
    for activation in (SoftLIF(1e-3), nn.ReLU()):
        body = nn.Sequential(nn.Linear(4, WIDTH), activation, nn.Dropout(0.2), nn.Linear(WIDTH, 3))
        model = nn.Sequential(*body, head)
        assert not check(model, X).obstacles
        network = convert(model, X, calibrate=CALIBRATE["rows"])
        assert apart(model, network, X, task="classification") < 0.2
        assert repr(network) == repr(convert(body, X, calibrate=CALIBRATE["rows"]))


def count() -> None:
    """How many convert, are refused, and differ from what is written here."""
    outcomes: dict[str, list[str]] = {CONVERTS: [], REFUSED: [], "differ": []}
    for name in FORMS:
        model, x, _ = made(name)
        try:
            network = converted(name, model, x)
        except SpikebayesError:
            outcomes[REFUSED].append(name)
            continue
        outcomes[CONVERTS if apart(model, network, x) < 0.2 else "differ"].append(name)
    for outcome, names in outcomes.items():
        print(f"{outcome}: {len(names)}")
    print("differ:", ", ".join(outcomes["differ"]) or "none")


if __name__ == "__main__":
    count()
