"""How samples and rows are cut into blocks."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from spikebayes.prediction.inputs import blocks
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
    for block in blocks(torch.tensor(rows), plan, most):
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
