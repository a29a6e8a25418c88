"""A prediction's seed owns all randomness in a module, and a row's answer depends on nothing else."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules import Net
from spikebayes import ConfigError, DataError, convert, predict
from spikebayes.nn import BlankOutLinear, Permadrop, SoftLIF
from spikebayes.nn.zoo import mlp
from spikebayes.noise.ownership import generators_kept, owned

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(3))


def parts() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {"a": nn.Linear(4, 32), "s": SoftLIF(1e-3), "d": Permadrop(0.2), "b": nn.Linear(32, 1)}


def hidden(function: Callable[[Tensor], Tensor], **more: nn.Module) -> nn.Module:
    return Net(lambda m, x: m.b(function(m.d(m.s(m.a(x))))), **parts(), **more)


DRAWS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "randn": (lambda h: h * torch.randn(len(h), 32), "with randn"),
    "rand_like": (lambda h: h * torch.rand_like(h), "with rand_like"),
    "bernoulli": (lambda h: h * torch.bernoulli(torch.full_like(h, 0.5)), "with bernoulli"),
    "in place": (lambda h: h + torch.empty_like(h).normal_(), "with normal_"),
    "rrelu": (lambda h: F.rrelu(h, training=True), "with rrelu"),
    "gumbel": (lambda h: F.gumbel_softmax(h), "with "),
    "attention": (
        lambda h: F.scaled_dot_product_attention(*[h.view(-1, 2, 4, 4)] * 3, dropout_p=0.5).flatten(1),
        "with ",
    ),
    "a distribution of torch": (lambda h: h * torch.distributions.Normal(1.0, 0.1).sample((32,)), "with normal"),
    "NumPy": (lambda h: h * float(np.random.rand()), "from NumPy's generator"),  # noqa: NPY002
    "Python": (lambda h: h * random.random(), "from Python's generator"),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_that_masks_do_not_own_are_refused_by_name(name: str) -> None:
    function, where = DRAWS[name]
    model, before = hidden(function), torch.get_rng_state()
    with pytest.raises(ConfigError, match=f"draws numbers of its own {where}"):
        predict(model, X, samples=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_are_named_where_nothing_else_is_random_too() -> None:
    draws = Net(lambda m, x: m.b(m.a(x) * torch.bernoulli(torch.full((32,), 0.5))), **parts())
    with pytest.raises(ConfigError, match="draws numbers of its own with bernoulli"):
        predict(draws, X, samples=5)


def test_dropped_weights_are_refused_for_what_they_are() -> None:
    weights = Net(lambda m, x: F.linear(m.d(m.s(m.a(x))), F.dropout(m.b.weight, 0.1)), **parts())
    with pytest.raises(ConfigError, match="drop values of its rows, no weights or constants"):
        predict(weights, X, samples=5)


def test_a_generator_of_its_own_shows_in_its_answers() -> None:
    generator = torch.Generator().manual_seed(0)
    model = hidden(lambda h: h * torch.randn(32, generator=generator))
    with pytest.raises(ConfigError, match="answers otherwise when it is asked the same again"):
        predict(model, X, samples=5)


def test_noise_of_training_alone_is_none() -> None:
    predict(hidden(lambda h: F.rrelu(h)), X, samples=5)


def test_what_a_pass_gives_is_what_it_gives_without_being_looked_at() -> None:
    with generators_kept():
        assert owned(lambda: 7) == 7
    with pytest.raises(ConfigError, match="with rand, which"):
        owned(lambda: torch.rand(3))


INSIDE: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: nn.LSTM(4, 8, 2, dropout=0.5, batch_first=True),
    "GRU": lambda: nn.GRU(4, 8, 3, dropout=0.1, batch_first=True),
    "RNN": lambda: nn.RNN(4, 8, 2, dropout=0.1, batch_first=True),
    "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True),
}


@pytest.mark.parametrize("name", INSIDE)
def test_dropout_that_no_mask_reaches_is_refused(name: str) -> None:
    torch.manual_seed(0)
    layer = INSIDE[name]()
    model = Net(lambda m, x: m.d(m.b(x)), d=Permadrop(0.2), b=nn.Linear(4, 1), layer=layer)
    for predicted in (predict, lambda m, x: convert(m, x)):
        with pytest.raises(Exception, match=r"its own dropout=0\.\d would be off in a prediction.*set it to 0"):
            predicted(model, X)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: nn.BatchNorm1d(32, track_running_stats=False), "takes the mean and variance of the batch"),
        (lambda: Net(lambda m, h: F.batch_norm(h, None, None, training=True)), "mean and variance of the batch"),
        (lambda: Net(lambda m, h: h - h.mean(0)), "depends on the other rows of its batch"),
        (lambda: Net(lambda m, h: h.softmax(0)), "depends on the other rows of its batch"),
        (lambda: Net(lambda m, h: h / h.abs().max()), "depends on the other rows of its batch"),
        (lambda: Net(lambda m, h: h * len(h)), "depends on the other rows of its batch"),
    ],
)
def test_answers_that_depend_on_the_batch_are_refused(layer: Callable[[], nn.Module], message: str) -> None:
    model = Net(lambda m, x: m.b(m.layer(m.d(m.s(m.a(x))))), **parts(), layer=layer())
    with pytest.raises(ConfigError, match=message):
        predict(model, X, samples=5)


def test_rows_that_mix_are_refused_where_they_come_one_by_one_too() -> None:
    """With one row in a batch, each would be its batch's mean: the answers would be others than in larger batches."""
    model = Net(lambda m, x: m.b(m.d(m.s(m.a(x - x.mean(0))))), **parts())
    with pytest.raises(ConfigError, match="depends on the other rows of its batch"):
        predict(model, X, samples=5, batch_size=1)


def test_a_branch_on_the_whole_batch_is_refused() -> None:
    model = Net(lambda m, x: m.b(m.d(m.s(m.a(x if x.sum() > 0 else -x)))), **parts())
    with pytest.raises(ConfigError, match="depends on the other rows of its batch"):
        predict(model, X, samples=5)


BRANCHES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "sum": lambda h, k: h if h.sum() > k else -h,
    "any": lambda h, k: h if (h < -k).any() else -h,
    "equal": lambda h, k: h if torch.equal(h, h.clamp(max=k)) else -h,
}


@pytest.mark.parametrize("name", BRANCHES)
def test_a_branch_that_few_lines_take_is_seen_too(name: str) -> None:
    refused = 0
    for threshold in (0.0, 0.4, 0.7, 9.0, 9999.0):  # 0.7 is met by one or two of all lines, 9 by all together
        model = Net(lambda m, x, k=threshold: BRANCHES[name](m.b(m.d(m.s(m.a(x)))), k), **parts())
        try:
            whole, alone = (predict(model, X, samples=5, batch_size=size).samples for size in (None, 1))
        except ConfigError as error:
            assert "depends on the other rows of its batch" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert torch.equal(whole, alone)
    assert 1 <= refused < 5


def test_what_is_decided_alike_for_all_is_taken() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.d(m.s(m.a(x)))
        if not h.isfinite().all():
            raise ValueError
        return m.b(h)

    plain = Net(lambda m, x: m.b(m.d(m.s(m.a(x)))), **parts())
    expected = predict(plain, X, samples=5).samples
    torch.testing.assert_close(predict(Net(forward, **parts()), X, samples=5).samples, expected)
    some = torch.cat([torch.ones(1, 4), X])  # a layer that asks whether all its inputs are +-1, to spare work
    assert predict(nn.Sequential(BlankOutLinear(4, 32), nn.Linear(32, 1)), some, samples=5).samples.shape == (
        5,
        13,
        1,
    )


def test_norms_of_a_row_alone_are_none_of_these() -> None:
    model = Net(lambda m, x: m.b(m.layer(m.d(m.s(m.a(x))))), **parts(), layer=nn.LayerNorm(32))
    whole = predict(model, X, samples=5).samples
    assert torch.equal(predict(model, X, samples=5, batch_size=3).samples, whole)


def test_dropout_that_training_guards_is_refused() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.d(m.s(m.a(x)))
        return m.b(F.dropout(h, 0.5) if m.training else h)

    with pytest.raises(ConfigError, match="drops while the model trains, but not in a prediction"):
        predict(Net(forward, **parts()), X, samples=5)


BROKEN: dict[str, tuple[Callable[[nn.Sequential], nn.Module], str]] = {
    "NaN": (lambda m: m[0].weight.data.fill_(float("nan")) is not None and m, "NaN or infinite, in 0.weight"),
    "half": (lambda m: m.half(), "neither float32 nor float64"),
    "bfloat16": (lambda m: m.bfloat16(), "give model.float()"),
    "elsewhere": (lambda m: m.to("meta"), "no values in 0.weight, .* on the meta device"),
    "lazy": (lambda m: nn.Sequential(*m, nn.LazyLinear(2)), "no values yet in 4.weight, 4.bias; run the model once"),
    "of two precisions": (lambda m: m[3].double() is not None and m, "some of it is float64"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_numbers_that_cannot_be_used_are_refused(name: str) -> None:
    breaks, message = BROKEN[name]
    model = breaks(nn.Sequential(*parts().values()))
    with pytest.raises(ConfigError, match=message):
        predict(model, X, samples=5)


def test_a_buffer_may_be_infinite_unless_a_norm_s() -> None:
    def attends(m: Any, x: Tensor) -> Tensor:  # to itself and those before it
        h = m.d(m.a(x[:, :, None]))
        return m.b(((h @ h.mT + m.mask).softmax(-1) @ h).mean(1))

    layers = {"a": nn.Linear(1, 8), "d": Permadrop(0.2), "b": nn.Linear(8, 1)}
    past = torch.full((4, 4), -torch.inf).triu(1)
    by_mask = predict(Net(attends, **layers, mask=past), X, samples=5)
    by_numbers = predict(Net(attends, **layers, mask=past.nan_to_num()), X, samples=5)
    assert torch.equal(by_mask.samples, by_numbers.samples)
    with pytest.raises(ConfigError, match="NaN or infinite, in mask"):
        predict(Net(attends, **layers, mask=past / past), X, samples=5)
    normed = nn.Sequential(nn.BatchNorm1d(4), *parts().values())
    normed[0].running_var.fill_(torch.inf)
    with pytest.raises(ConfigError, match=r"NaN or infinite, in 0.running_var"):
        predict(normed, X, samples=5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile's own parts
@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_wrappers_are_seen_through(wrap: Any) -> None:
    model = nn.Sequential(*parts().values())
    assert torch.equal(predict(wrap(model), X, samples=5).samples, predict(model, X, samples=5).samples)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile's own parts
def test_compiled_parts_run_as_written_and_are_compiled_afterwards() -> None:
    compiled: list[Any] = []

    def compiler(graph: Any, _: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    model = nn.Sequential(*parts().values())
    wanted = predict(model, X, samples=5).samples
    function = torch.compile(torch.relu, backend=compiler)
    whole = nn.Sequential(torch.compile(model[:2], backend=compiler), *model[2:])
    model[3].compile(backend=compiler)
    whole.compile(backend=compiler)
    assert torch.equal(predict(whole, X, samples=5).samples, wanted)
    assert not compiled
    function(X)
    assert len(compiled) == 1


PLAIN: dict[str, Callable[[Tensor], Any]] = {
    "array": lambda x: x.numpy(),
    "sparse": lambda x: x.to_sparse(),
    "array of doubles": lambda x: x.double().numpy(),
    "list": lambda x: x.tolist(),
    "data frame": lambda x: pd.DataFrame(x.numpy(), columns=list("abcd")),
    "data frame of objects": lambda x: pd.DataFrame(x.double().numpy()).astype(object),
    "nullable numbers": lambda x: pd.DataFrame(x.double().numpy()).convert_dtypes(),
}


@pytest.mark.parametrize("name", PLAIN)
def test_rows_in_any_plain_form(name: str) -> None:
    model = nn.Sequential(*parts().values())
    found = predict(model, PLAIN[name](X), samples=np.int64(5), seed=np.int64(2), noise_std=0.3)
    assert torch.equal(found.samples, predict(model, X, samples=5, seed=2).samples)
    assert found.noise_std is not None
    assert found.noise_std.tolist() == pytest.approx([0.3])
    assert found.settings["samples"] == 5
    assert type(found.settings["samples"]) is int


def test_text_in_a_data_frame_is_refused() -> None:
    with pytest.raises(DataError, match="data frame of numbers: could not convert string to float: 'red'"):
        predict(nn.Sequential(*parts().values()), pd.DataFrame({"a": ["red"] * 3, "b": 1.0, "c": 1.0, "d": 1.0}))


@pytest.mark.parametrize("noise", [-1.0, 0.0, float("nan"), [0.1, 0.2], "much"])
def test_noise_that_is_none_is_refused(noise: Any) -> None:
    with pytest.raises(DataError, match="noise_std must be"):
        predict(nn.Sequential(*parts().values()), X, samples=5, noise_std=noise)


def test_a_single_sample_has_no_spread() -> None:
    found = predict(nn.Sequential(*parts().values()), X, samples=1)
    assert found.samples.shape == (1, 12, 1)
    assert found.to_pandas()["std"].isna().all()
    with pytest.raises(ConfigError, match="a spread needs at least 2 samples"):
        _ = found.model_std


# -- what is said, not refused -----------------------------------------------------------------------------------


def test_a_loop_over_batches_is_told_that_their_masks_repeat() -> None:
    model = nn.Sequential(*parts().values())
    predict(model, X[:4], samples=5)
    predict(model, X[4:8], samples=5)
    predict(model, X[4:8], samples=5)  # the same rows again
    with pytest.warns(UserWarning, match="their masks are the same"):
        predict(model, X[8:], samples=5)


def test_numbered_rows_other_seeds_and_functions_are_no_such_loop() -> None:
    model = nn.Sequential(*parts().values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k in range(3):
            some = slice(4 * k, 4 * k + 4)
            predict(model, X[some], samples=5, rows=torch.arange(12)[some])
            predict(model, X[some], samples=5, seed=k)
            predict(model, X[some], samples=5, mask_scope="pass")


def test_one_row_whose_answer_is_a_small_difference_of_large_numbers_is_no_mixture() -> None:
    """Under one mask a single row's output is 0 but for rounding, which is not the same in passes of other sizes."""
    for seed in range(5):
        torch.manual_seed(seed)
        model = mlp(30, 2, (300, 300), activation=nn.ReLU)
        x = torch.randn(1, 30)
        read_out = model[-1]
        assert isinstance(read_out, nn.Linear)
        with torch.no_grad():
            read_out.bias -= predict(model, x, samples=1, seed=3).samples[0, 0]
        assert predict(model, x, samples=8, seed=3).samples[0].abs().max() < 1e-5
