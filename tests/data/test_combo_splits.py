"""Splits: a partition of the rows in which whole groups are held out, the same for the same seed, kept as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikebayes.data.combo import ComboData, PairSplit, SplitBy, split_pairs
from spikebayes.errors import ConfigError, DataError

PARTS = ("train", "validation", "test")


def data_of(index: torch.Tensor) -> ComboData:
    cells, drugs = int(index[:, 0].max()) + 1, int(index[:, 1:].max()) + 1
    names = tuple(str(number) for number in range(max(cells, drugs)))
    return ComboData(
        torch.zeros(cells, 1),
        torch.zeros(drugs, 1),
        names[:cells],
        names[:drugs],
        ("gene",),
        ("mass",),
        index,
        torch.zeros(len(index), 1),
        "growth",
        {},
    )


def every_pair(cells: int, drugs: int) -> ComboData:
    """Every cell line with every ordered pair of different drugs."""
    index = torch.cartesian_prod(torch.arange(cells), torch.arange(drugs), torch.arange(drugs))
    return data_of(index[index[:, 1] != index[:, 2]])


@given(st.sampled_from(SplitBy), st.integers(0, 2**32), st.floats(0.05, 0.3), st.integers(8, 14), st.integers(8, 14))
def test_every_row_is_in_one_part_and_groups_are_whole(
    by: SplitBy, seed: int, share: float, cells: int, drugs: int
) -> None:
    data = every_pair(cells, drugs)
    split = split_pairs(data, by, test=share, validation=share, seed=seed)
    rows = torch.cat([split.train, split.validation, split.test])
    assert torch.equal(rows.sort().values, torch.arange(len(data)))
    train, validation, test = (data.index[getattr(split, name)] for name in PARTS)
    if by is SplitBy.DRUG:
        seen = set(train[:, 1:].flatten().tolist())
        kept = seen | set(validation[:, 1:].flatten().tolist())
        assert all(not set(row) <= seen for row in validation[:, 1:].tolist())
        assert all(not set(row) <= kept for row in test[:, 1:].tolist())
    elif by is not SplitBy.RANDOM:
        group = data.pairs() if by is SplitBy.PAIR else data.index[:, 0]
        sets = [set(group[getattr(split, name)].tolist()) for name in PARTS]
        assert sum(map(len, sets)) == len(set.union(*sets))


@pytest.mark.parametrize(("by", "slack"), [("random", 0.5), ("pair", 20), ("drug", 800), ("cell", 900)])
def test_shares_are_met_as_nearly_as_groups_allow(by: str, slack: float) -> None:
    data = every_pair(20, 40)  # 31,200 rows; 40 to a pair, 1,560 to a drug (both orders twice), 1,560 to a cell line
    split = split_pairs(data, SplitBy(by), test=0.2, validation=0.1, seed=1)
    assert abs(len(split.test) - 6240) <= slack
    assert abs(len(split.validation) - 3120) <= slack


def test_both_orders_of_a_pair_are_held_out_together() -> None:
    data = data_of(torch.tensor([[0, 0, 1], [0, 1, 0], [0, 0, 2], [0, 2, 0], [0, 1, 2], [0, 2, 1]]))
    split = split_pairs(data, SplitBy.PAIR, test=1 / 3, validation=1 / 3)
    for name in PARTS:
        rows = getattr(split, name).tolist()
        assert rows in ([0, 1], [2, 3], [4, 5])


def test_the_seed_alone_decides() -> None:
    data = every_pair(10, 10)
    torch.manual_seed(0)
    first = split_pairs(data, SplitBy.RANDOM, seed=5)
    torch.manual_seed(1)
    again = split_pairs(data, SplitBy.RANDOM, seed=5)
    other = split_pairs(data, SplitBy.RANDOM, seed=6)
    assert all(torch.equal(getattr(first, name), getattr(again, name)) for name in PARTS)
    assert not torch.equal(first.test, other.test)


@pytest.mark.parametrize("shares", [(0.0, 0.1), (0.1, -0.1), (0.5, 0.5), (float("nan"), 0.1)])
def test_shares_that_cannot_be_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="shares of test and validation rows"):
        split_pairs(every_pair(3, 3), SplitBy.RANDOM, test=shares[0], validation=shares[1])


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="a seed is 0 or more; got -1"):
        split_pairs(every_pair(3, 3), SplitBy.RANDOM, seed=-1)


@pytest.mark.parametrize(
    ("by", "data", "message"),
    [
        (SplitBy.CELL, every_pair(2, 4), "a split by cell of 24 rows in 2 groups leaves nothing for train"),
        (SplitBy.CELL, every_pair(1, 4), "a split by cell of 12 rows in 1 groups leaves nothing for train and valid"),
        (SplitBy.DRUG, every_pair(4, 2), "a split by drug of 8 rows in 2 groups leaves nothing for"),
        (SplitBy.PAIR, every_pair(4, 2), "a split by pair of 8 rows in 1 groups leaves nothing for"),
    ],
)
def test_too_few_groups_are_refused(by: SplitBy, data: ComboData, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_pairs(data, by)


@pytest.mark.parametrize("by", SplitBy)
def test_a_split_is_read_as_written(tmp_path: Path, by: SplitBy) -> None:
    data = every_pair(5, 6)
    split = split_pairs(data, by, seed=2)
    path = tmp_path / "split.json"
    split.save(path)
    loaded = PairSplit.load(path, rows=len(data))
    assert all(torch.equal(getattr(split, name), getattr(loaded, name)) for name in PARTS)
    assert (loaded.by, loaded.seed) == (by, 2)
    loaded.save(tmp_path / "again.json")
    assert path.read_bytes() == (tmp_path / "again.json").read_bytes()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"test": [0, 7]}, "1 of 5 repeat another"),
        ({"test": []}, "test is empty"),
        ({"test": [-1]}, "test rows are a list of row numbers from 0"),
        ({"test": [1.5]}, "row numbers are whole numbers in a list"),
        ({"test": 7}, "row numbers are whole numbers in a list"),
        ({"test": [2**70]}, "is not a split, or is damaged"),
        ({"by": "moon"}, "'moon' is not a valid SplitBy"),
        ({"seed": "one"}, "a whole number as seed"),
        ({"format": "spikebayes pair split 0"}, "expected 'spikebayes pair split 1'"),
        ({"test": [9]}, "a split of other data: it has row 9, the data rows 0 to 8"),
    ],
)
def test_edited_splits_are_refused(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    path = tmp_path / "split.json"
    one, two, three = torch.tensor([0, 1]), torch.tensor([2]), torch.tensor([3])
    PairSplit(one, two, three, SplitBy.PAIR, 0).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(DataError, match=message):
        PairSplit.load(path, rows=9)


def test_torn_and_missing_splits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    with pytest.raises(DataError, match=r"no split .*split\.json"):
        PairSplit.load(path)
    split_pairs(every_pair(3, 3), SplitBy.RANDOM).save(path)
    for content in (path.read_bytes()[:-9], b"[]", b"\xff", b'{"format": 1}'):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"split.json is not a split, or is damaged .*split anew"):
            PairSplit.load(path)
    with pytest.raises(ConfigError, match="cannot write"):
        split_pairs(every_pair(3, 3), SplitBy.RANDOM).save(tmp_path / "none" / "split.json")
