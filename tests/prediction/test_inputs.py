"""How samples and rows are cut into blocks, and what rows are refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import spikebayes as sb
from spikebayes.errors import DataError
from spikebayes.prediction.inputs import Blocks, as_inputs
from spikebayes.prediction.sampling import SamplingPlan


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12, unique=True),
    st.integers(1, 12),
    st.integers(1, 40),
    st.sampled_from(["row", "pass"]),
    st.none() | st.integers(1, 15),
)
def test_every_pair_stands_in_one_block_of_bounded_size(
    rows: list[int], samples: int, most: int, scope: str, batch_size: int | None
) -> None:
    plan = SamplingPlan(samples, mask_scope=scope, batch_size=batch_size)  # pyright: ignore[reportArgumentType]
    met = torch.zeros(samples, len(rows), dtype=torch.int64)
    for block in Blocks(torch.tensor(rows), plan, most):
        pairs = met[block.samples, block.rows]
        pairs += 1
        assert 1 <= len(block.position) == pairs.numel() <= most
        assert batch_size is None or pairs.shape[1] <= batch_size
        here = range(samples)[block.samples], rows[block.rows]
        keys = [0] * len(here[1]) if scope == "pass" else here[1]
        assert list(itertools.product(here[0], keys)) == list(
            zip(block.keys.samples.tolist(), block.keys.rows.tolist(), strict=True)
        )
        assert [here[1][i] for i in block.position.tolist()] == here[1] * len(here[0])
    assert (met == 1).all()


# -- what rounding loses -------------------------------------------------------------------------------------------

COUNT = np.arange(10)
CLOCK = 1.7e9 + COUNT
STANDARD = np.random.default_rng(0).normal(size=10)


@pytest.mark.parametrize(
    ("x", "feature"),
    [
        (pd.DataFrame({"a": STANDARD, "time": CLOCK}), "'time'"),
        (pd.DataFrame({"time": 1_700_000_000_000_000_000 + COUNT, "a": STANDARD}), "'time'"),  # so would float64
        (pd.DataFrame({"on": COUNT > 3, "time": 1_700_000_000_000_000_000 + COUNT}), "'time'"),
        (np.stack([STANDARD, CLOCK], 1), "1"),
        (np.stack([COUNT, 3_000_000_000 + COUNT], 1).astype(np.uint32), "1"),
        (torch.from_numpy(np.stack([CLOCK, STANDARD], 1)), "0"),
        (torch.from_numpy(COUNT + (1 << 40))[:, None], "0"),
        (torch.from_numpy(CLOCK)[:, None].to_sparse(), "0"),
        (np.stack([CLOCK, STANDARD], 1).tolist(), "0"),
        ((16_777_216 + COUNT)[:, None].tolist(), "0"),
        (np.concatenate([np.zeros((10, 5)), -CLOCK[:, None]], 1).reshape(10, 1, 2, 3), "0, 1, 2"),
        (1 + 1e-9 * STANDARD[:, None], "0"),
        (1e-50 * STANDARD[:, None], "0"),
    ],
)
def test_rows_that_float32_merges_are_refused(x: Any, feature: str) -> None:
    cure = r"give \(x - mean\) / std in float64"
    with pytest.raises(DataError, match=f"^the input, feature {feature}: its rows differ by .* at most, .*{cure}"):
        as_inputs(x)


@pytest.mark.parametrize(
    "x",
    [
        pd.DataFrame({"a": STANDARD, "time": CLOCK - CLOCK.mean()}),
        (CLOCK - CLOCK.mean())[:, None],
        np.full((10, 2), 1.7e9 + 1 / 3),
        np.full((10, 2), 0.3) + 1e-16 * STANDARD[:, None],  # rounding of what computed them
        CLOCK[:1, None],
        CLOCK[:, None].astype(np.float32),  # merged already: nothing here can know
        (2_000_000_000 + 1024 * COUNT)[:, None],  # float32 holds them
        np.float64(np.float32(1) + np.spacing(np.float32(1)) * COUNT)[:, None],
        1e6 + 1e3 * COUNT[:, None],
        torch.tensor([[1], [2]], dtype=torch.int16),
        torch.ones(2, 3).bfloat16(),
        np.array([[1e-320], [1.0]]),
        [[1, 2], [3, 4]],
    ],
)
def test_rows_that_float32_tells_apart_are_taken(x: Any) -> None:
    assert len(as_inputs(x)[0]) == len(x)


@pytest.mark.parametrize(
    "x",
    [
        STANDARD[::-1][:, None].copy()[::-1],
        STANDARD[:, None].astype(">f8"),
        np.ma.masked_invalid(STANDARD[:, None]),
        np.asfortranarray(STANDARD[:, None]),
    ],
    ids=["backwards", "foreign bytes", "nothing masked", "by columns"],
)
def test_an_array_is_read_however_it_lies_in_memory(x: np.ndarray) -> None:
    assert torch.equal(as_inputs(x)[0], torch.from_numpy(STANDARD[:, None]).float())


def test_masked_values_are_not_taken_for_what_lies_under_the_mask() -> None:
    with pytest.raises(DataError, match="2 of 10 values of a masked array are masked, so they are not known"):
        as_inputs(np.ma.masked_array(STANDARD, COUNT < 2)[:, None])


def test_float64_holds_what_float32_merges() -> None:
    assert len(as_inputs(CLOCK[:, None], dtype=torch.float64)[0].unique()) == 10
    with pytest.raises(DataError, match="float64 has steps of 256"):
        as_inputs((1_700_000_000_000_000_000 + COUNT)[:, None], dtype=torch.float64)


def test_every_door_refuses_them() -> None:
    model = sb.nn.zoo.mlp(1, 1, [3], 0.2).eval()
    network = sb.convert(model, torch.zeros(1, 1))
    for call in (
        lambda x: sb.predict(model, x, samples=2),
        lambda x: sb.predict(network, x, samples=2),
        lambda x: sb.simulate(network, x, steps=3),
        lambda x: sb.fit(model, x, STANDARD, validation=(COUNT[:, None], STANDARD), epochs=2),
        lambda x: sb.fit(model, COUNT[:, None], STANDARD, validation=(x, STANDARD), epochs=2),
    ):
        with pytest.raises(DataError, match="input, feature 'time'"):
            call(pd.DataFrame({"time": CLOCK}))


def test_arrays_that_may_only_be_read(recwarn: pytest.WarningsRecorder) -> None:
    x = np.ones((3, 2), np.float32)
    x.flags.writeable = False
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(2, 1))
    assert sb.predict(model, x, samples=2).samples.shape == (2, 3, 1)
    assert not recwarn.list
