"""Keys that classes share out among units, and argmax in spikes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from networks import ENGINE_NAMES
from spikebayes import convert, predict, simulate
from spikebayes.errors import ConfigError
from spikebayes.nn import Permadrop, PopulationDecode, Sharpened, Step, WinnerTakeAll

SIZES = st.integers(2, 12).flatmap(lambda c: st.tuples(st.just(c), st.integers(c, 5 * c + 3)))


def winner(x: Tensor) -> Tensor:
    return F.one_hot(x.argmax(1), x.shape[1]).to(x.dtype)


# -- keys --------------------------------------------------------------------------------------------------


@given(SIZES, st.integers(0, 2**32 - 1))
def test_every_class_has_its_share_of_units_for_itself(sizes: tuple[int, int], seed: int) -> None:
    classes, width = sizes
    keys = PopulationDecode(classes, width, seed=seed).keys
    assert keys.shape == (classes, width)
    assert set(keys.unique().tolist()) <= {0.0, 1.0}
    assert keys.sum(1).tolist() == [width // classes] * classes
    assert float(keys.sum(0).max()) == 1
    assert torch.equal(PopulationDecode(classes, width, seed=seed).keys, keys)


def test_another_seed_draws_other_keys_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, other = PopulationDecode(4, 40), PopulationDecode(4, 40, seed=1)
    assert not torch.equal(one.keys, other.keys)
    assert torch.equal(torch.get_rng_state(), before)


@given(SIZES, st.floats(0.01, 10), st.integers(0, 99))
@settings(max_examples=50)
def test_the_logits_are_the_formulas(sizes: tuple[int, int], scale: float, seed: int) -> None:
    decode = PopulationDecode(*sizes, seed=seed, scale=scale).double()
    assert decode.scale == pytest.approx(scale, rel=2**-11)
    scale = decode.scale
    h = torch.rand(7, sizes[1], dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(decode(h), scale * (2 * h - 1) @ (2 * decode.keys - 1).T)
    spikes = (h > 0.5).double()
    same = (spikes[:, None] == decode.keys).sum(-1)
    torch.testing.assert_close(decode(spikes), scale * (2.0 * same - sizes[1]).double())


def test_nothing_is_learned_and_the_state_carries_the_keys() -> None:
    decode, other = PopulationDecode(3, 12, seed=5), PopulationDecode(3, 12)
    assert list(decode.parameters()) == []
    other.load_state_dict(decode.state_dict())
    assert torch.equal(other.keys, decode.keys)


def test_logits_of_spikes_are_exact_so_equal_matches_tie_in_a_network_too() -> None:
    h = (torch.rand(300, 1000, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    decode = PopulationDecode(10, 1000, scale=0.08)
    found = decode(h)
    assert torch.equal(found.double(), PopulationDecode(10, 1000, scale=0.08).double()(h.double()))
    run = simulate(convert(nn.Sequential(Step(0.5), decode), h), h, samples=1, steps=1)
    assert torch.equal(run.mean[0], found)
    assert ((found == found.max(1, keepdim=True).values).sum(1) > 1).any()  # ties there are


def test_a_dead_unit_of_each_class_changes_no_class() -> None:
    decode = PopulationDecode(5, 25)
    h = decode.keys.clone()
    h[:, decode.keys.argmax(1)] = 0
    assert decode(h).argmax(1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("sizes", "scale", "says"),
    [
        ((1, 5), 1.0, "got 1 classes, width 5"),
        ((3, 2), 1.0, "got 3 classes, width 2"),
        ((2, 2), 0.0, "scale must be a number > 0; got 0.0"),
        ((2, 2), float("inf"), "scale must be a number > 0; got inf"),
        ((2, 2), float("nan"), "scale must be a number > 0; got nan"),
    ],
)
def test_sizes_and_scales_out_of_range_are_refused(sizes: tuple[int, int], scale: float, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        PopulationDecode(*sizes, scale=scale)


# -- the winner --------------------------------------------------------------------------------------------

ROWS = st.integers(2, 7).flatmap(
    lambda c: st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32) | st.sampled_from([-1.0, 0.0, -0.0, 1.0]), min_size=c, max_size=c),
        min_size=1,
        max_size=5,
    )
)


@given(ROWS)
@settings(max_examples=50)
def test_the_winner_is_the_argmax(rows: list[list[float]]) -> None:
    x = torch.tensor(rows)
    assert torch.equal(WinnerTakeAll(x.shape[1])(x), winner(x))


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_all_ties_of_four_classes_in_spikes_too(engine: str) -> None:
    x = torch.cartesian_prod(*[torch.tensor([-1.0, 0.1, 2.0])] * 4)
    network = convert(WinnerTakeAll(4), x)
    assert [p.shape for p in network.populations] == [(6,), (4,)]
    assert torch.equal(simulate(network, x, steps=1, engine=engine).mean[0], winner(x))


@pytest.mark.parametrize("engine", ENGINE_NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_of_a_winner_are_the_modules_bit_for_bit(engine: str, dtype: torch.dtype) -> None:
    """Keys behind units that drop out: most rows have equal logits somewhere."""
    torch.manual_seed(0)
    model = nn.Sequential(
        Permadrop(0.5),
        nn.Linear(6, 20),
        Sharpened(sharpness=1.0),
        Permadrop(0.5),
        PopulationDecode(5, 20, scale=0.25),
        WinnerTakeAll(5),
    )
    x = torch.randn(30, 6)
    common: dict[str, Any] = {"samples": 20, "seed": 3}
    expected = predict(model, x, **common).samples
    assert torch.equal(predict(convert(model, x), x, engine=engine, dtype=dtype, **common).samples, expected)
    assert torch.equal(expected.sum(-1), torch.ones(20, 30))
    assert expected.std(0).max() > 0
    logits = predict(model[:-1], x, **common).samples
    assert torch.equal(expected, F.one_hot(logits.argmax(-1), 5).float())
    best = logits.sort(-1).values
    assert (best[..., -1] == best[..., -2]).float().mean() > 0.1


def test_one_class_has_no_winner() -> None:
    with pytest.raises(ConfigError, match="a winner is one of at least 2 classes, at most 1000; got 1"):
        WinnerTakeAll(1)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_step_needs_a_finite_threshold(threshold: float) -> None:
    with pytest.raises(ConfigError, match="Step's threshold must be finite"):
        Step(threshold)


def test_a_winner_draws_nothing() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    WinnerTakeAll(5)
    assert torch.equal(torch.get_rng_state(), before)
