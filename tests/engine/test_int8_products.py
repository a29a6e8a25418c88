"""8-bit products of spikes against torch's sums, bit for bit; what is left to float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikebayes import Dropout, Input, Population, Sign, Threshold
from spikebayes.conversion.exact_sums import on_grid
from spikebayes.engine.memoryless import int8_products
from spikebayes.engine.memoryless.int8_products import digits_of, most_digits, product_of
from spikebayes.network.neurons import LIF, Bernoulli, Curve
from spikebayes.network.operators import AvgPool, Chain, Conv, Dense, Place, Reshape, Scale, size

needs_products = pytest.mark.skipif(most_digits() < 3, reason="no 8-bit instructions here")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_products, "LEAST", 0)


STEP = Threshold()


def population(*shape: int, neuron: Any = STEP, dropout: Dropout | None = None) -> Population:
    return Population("p", shape, neuron, dropout)


def agree(operator: Any, source: Population, dtype: torch.dtype = torch.float32, rows: int = 5) -> None:
    """The product of random spikes is the operator of their values."""
    product = product_of(operator, source, dtype)
    if product is None:  # units of few synapses may have weights of 24 bits
        found = digits_of(operator.weight)
        assert found is not None
        assert len(found[0]) > most_digits()
        return
    rng = torch.Generator().manual_seed(0)
    spikes = torch.rand(rows, *source.shape, generator=rng) < 0.5
    signed = isinstance(source.neuron, Sign) or (isinstance(source.neuron, Bernoulli) and source.neuron.off == -1)
    values = spikes.to(dtype) * 2 - 1 if signed else spikes.to(dtype)
    if source.dropout:
        values = values / (1 - source.dropout.p)
    expected = operator.to(dtype)(values)
    layouts = [spikes, spikes.contiguous(memory_format=torch.channels_last)] if spikes.ndim == 4 else [spikes]
    for x in layouts:
        given = product(x)
        assert given.dtype == dtype
        assert torch.equal(given, expected)


def weights(rng: torch.Generator, *shape: int, kind: str = "grid") -> Tensor:
    if kind == "grid":
        return on_grid(torch.randn(shape, generator=rng))
    most = {"8 bits": 128, "4 bits": 8}[kind]
    return torch.randint(-most, most, shape, generator=rng) * torch.exp2(torch.arange(shape[0]) - 9.0).reshape(
        -1, *[1] * (len(shape) - 1)
    )


NEURONS = [Threshold(), Sign(), Bernoulli(Curve.SIGMOID, 0), Bernoulli(Curve.ERF, -1)]


@needs_products
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["grid", "8 bits", "4 bits"]),
    st.sampled_from(NEURONS),
    st.sampled_from([torch.float32, torch.float64]),
    st.data(),
)
@settings(max_examples=60)
def test_dense_and_convolutions(seed: int, kind: str, neuron: Any, dtype: torch.dtype, data: st.DataObject) -> None:
    rng, draw = torch.Generator().manual_seed(seed), data.draw
    if draw(st.booleans()):
        lead = draw(st.sampled_from([(), (3,)]))
        inner, outer = draw(st.integers(1, 300)), draw(st.integers(1, 40))
        agree(Dense(weights(rng, outer, inner, kind=kind)), population(*lead, inner, neuron=neuron), dtype)
        return
    groups = draw(st.sampled_from([1, 1, 2]))
    channels, outer = groups * draw(st.integers(1, 20)), groups * draw(st.integers(1, 20))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding: Any = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)) | st.sampled_from(["same", "valid"]))
    if padding == "same":
        stride = (1, 1)
        assume(all(d * (k - 1) % 2 == 0 for d, k in zip(dilation, kernel, strict=True)))
    conv = Conv(weights(rng, outer, channels // groups, *kernel, kind=kind), stride, padding, dilation, groups)
    agree(conv, population(channels, 7, 8, neuron=neuron), dtype)


@needs_products
@pytest.mark.parametrize("p", [0.5, 0.75])
def test_masked_spikes_and_rearrangements(p: float) -> None:
    rng = torch.Generator().manual_seed(0)
    dense = Chain((Reshape((48,)), Dense(weights(rng, 12, 48)), Reshape((3, 4)), Place(1, 2, 1)))
    agree(dense, population(3, 4, 4, dropout=Dropout(p)))
    agree(AvgPool((2, 2), (2, 2), (0, 0)), population(3, 4, 4, dropout=Dropout(p)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("kernel", "stride"), [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((3, 2), (1, 3)), ((1, 1), (1, 1))]
)
def test_pooling(kernel: Any, stride: Any, dtype: torch.dtype) -> None:
    agree(AvgPool(kernel, stride, (0, 0)), population(5, 9, 8), dtype, rows=200)


def test_digits_make_up_the_weights() -> None:
    weight = on_grid(torch.randn(30, 500, generator=torch.Generator().manual_seed(0)))
    found = digits_of(weight)
    assert found is not None
    digits, unit = found
    assert len(digits) == 3
    total = sum(digit.double() * 256.0**d for d, digit in enumerate(digits))
    assert torch.equal((total * unit.double()[:, None]).float(), weight)  # pyright: ignore
    eight = digits_of(torch.tensor([[-128.0, 127.0], [0.5, 0.0], [0.0, 0.0]]))
    assert eight is not None
    assert (len(eight[0]), eight[1].tolist()) == (1, [1.0, 0.5, 1.0])


@pytest.mark.parametrize(
    "weight",
    [
        torch.randn(3, 50, generator=torch.Generator().manual_seed(0)),  # on no grid
        torch.tensor([[float(1 << 23), float(1 << 23), 1.0]]),  # sums beyond float32's integers
        torch.full((1, 2), 2.0**-130),
        torch.tensor([[float("inf"), 1.0]]),
    ],
)
def test_no_digits_where_float32_might_round(weight: Tensor) -> None:
    assert digits_of(weight) is None


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_what_is_left_to_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    dense, maps = Dense(weights(rng, 4, 6)), population(2, 4, 4)

    def refused(operator: Any, source: Any) -> bool:
        return product_of(operator, source, torch.float32) is None

    assert refused(dense, Input("x", (6,)))
    assert refused(dense, population(6, neuron=LIF()))
    assert refused(dense, population(6, dropout=Dropout(0.1)))  # products with 1 / 0.9 are rounded
    assert refused(dense, population(6, neuron=Sign(), dropout=Dropout(0.5)))
    assert refused(Chain((dense, Scale(torch.tensor(2.0)))), population(6))
    assert refused(Chain(()), population(6))
    assert refused(Dense(torch.randn(4, 6, generator=rng)), population(6))
    assert refused(Conv(weights(rng, 2, 2, 2, 2), (1, 1), "same", (1, 1)), maps)
    assert refused(Conv(weights(rng, 2, 2, 3), (1,), (1,), (1,)), population(2, 4))
    assert refused(AvgPool((2, 2), (2, 2), (1, 1)), maps)
    assert refused(AvgPool((3, 3), (2, 2), (0, 0), ceil_mode=True), maps)
    assert refused(AvgPool((2, 2), (2, 2), (0, 0)), population(2, 4, 4, neuron=Sign()))
    if most_digits() == 3:
        assert not refused(dense, population(6))
    monkeypatch.setattr(int8_products, "LEAST", 25)
    assert refused(dense, population(6))


def test_without_such_instructions_the_operator_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise RuntimeError("could not create a primitive")

    for made, digits in ((broken, 0), (lambda: False, 0)):
        monkeypatch.setattr(int8_products, "_is_right", made)
        most_digits.cache_clear()
        assert most_digits() == digits
        assert product_of(Dense(weights(torch.Generator(), 4, 6)), population(6), torch.float32) is None
    monkeypatch.setattr(int8_products, "_is_right", lambda: True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    most_digits.cache_clear()
    assert most_digits() == 1
    most_digits.cache_clear()


def test_few_rows_of_a_wide_target_are_computed_together() -> None:
    assert int8_products.together((64, 32, 32)) == 8
    assert int8_products.together((1 << 20,)) == 1
    assert size((64, 32, 32)) * int8_products.together((64, 32, 32)) == int8_products.NUMBERS
