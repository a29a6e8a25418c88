"""Which rows train, validate and test: at random, or whole pairs, drugs or cell lines held out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes.data.columns import one_line
from spikebayes.data.combo.pairs import ComboData
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.files import atomic

FORMAT = "spikebayes pair split 1"
PARTS = ("train", "validation", "test")


class SplitBy(StrEnum):
    """What is held out together."""

    RANDOM = "random"  #: single rows; a pair's other cell lines, and its other order, may be in training
    PAIR = "pair"  #: all rows of an unordered pair of drugs
    DRUG = "drug"  #: all rows that a drug is in
    CELL = "cell"  #: all rows of a cell line


@dataclass(frozen=True, eq=False)
class PairSplit:
    """Row numbers of the three parts, each sorted and not empty, no row in two of them.

    Args:
        train, validation, test: ``[rows of the part]`` int64.
        by: what was held out together.
        seed: what it was drawn with.

    Raises:
        DataError: a part that is empty, or no list of row numbers; a row that occurs twice.
    """

    train: Tensor
    validation: Tensor
    test: Tensor
    by: SplitBy
    seed: int

    def __post_init__(self) -> None:
        for name, part in self._parts().items():
            if part.dtype != torch.int64 or part.ndim != 1 or bool((part < 0).any()):
                raise DataError(f"a split's {name} rows are a list of row numbers from 0, int64")
            if not len(part):
                raise DataError(f"a split has rows in every part; {name} is empty")
        every = torch.cat([self.train, self.validation, self.test])
        twice = len(every) - len(every.unique())
        if twice:
            raise DataError(f"a split has no row twice; {twice} of {len(every)} repeat another")

    def save(self, path: Path) -> None:
        """Write the split as JSON, whole or not at all; the same split gives the same bytes.

        Raises:
            ConfigError: a path that cannot be written.
        """
        rows = {name: part.tolist() for name, part in self._parts().items()}
        content = {"format": FORMAT, "by": self.by.value, "seed": self.seed, **rows}
        with atomic(Path(path)) as partial:
            partial.write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path, rows: int | None = None) -> PairSplit:
        """Read a split that :meth:`save` wrote.

        Args:
            path: the file.
            rows: N of the data it is for, so that row numbers beyond it are refused.

        Raises:
            DataError: a file that is missing, torn or no split; parts that are empty or share rows; a row
                that the data does not have.

        Example:
            >>> import tempfile
            >>> path = Path(tempfile.mkdtemp()) / "split.json"
            >>> one, two, three = torch.arange(3).split(1)
            >>> PairSplit(one, two, three, SplitBy.PAIR, seed=7).save(path)
            >>> split = PairSplit.load(path, rows=3)
            >>> split.test, split.by, split.seed
            (tensor([2]), <SplitBy.PAIR: 'pair'>, 7)
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"no split {path}")
        try:
            content = json.loads(path.read_text("utf-8"))
            parts = [_row_numbers(content[name]) for name in PARTS]
            if content["format"] != FORMAT or type(content["seed"]) is not int:
                raise ValueError(f"expected {FORMAT!r} and a whole number as seed")
            split = cls(*parts, by=SplitBy(content["by"]), seed=content["seed"])
        except (OSError, ValueError, KeyError, TypeError, DataError) as error:
            raise DataError(f"{path} is not a split, or is damaged ({one_line(error, 200)}); split anew") from error
        last = max(int(part.max()) for part in split._parts().values())
        if rows is not None and last >= rows:
            raise DataError(f"{path} is a split of other data: it has row {last}, the data rows 0 to {rows - 1}")
        return split

    def _parts(self) -> dict[str, Tensor]:
        return {"train": self.train, "validation": self.validation, "test": self.test}


@checked
def split_pairs(
    data: ComboData, by: SplitBy, *, test: float = 0.1, validation: float = 0.1, seed: int = 0
) -> PairSplit:
    """Divide all rows into training, validation and test rows.

    Groups (rows, unordered pairs, drugs or cell lines) are put in a random order. The first of them are held out for
    testing, as many as bring the rows they are in nearest to the share, at least one; the next ones for validation
    likewise. A row belongs to the first of its groups: a test row has at least one test drug, a validation row at
    least one validation drug and no test drug, a training row neither.

    Args:
        data: N rows.
        by: what is held out together.
        test: share of the rows to test on; a group is never cut, so it is met as nearly as groups allow.
        validation: share of the rows to validate on.
        seed: of the order of groups; the same data, by, shares and seed give the same split.

    Raises:
        ConfigError: a share that is not above 0, shares that leave nothing to train on, a negative seed.
        DataError: data with too few groups, so that a part would be empty.

    Example:
        >>> zeros = torch.zeros(10, 1)
        >>> names = tuple("abcdefghij")
        >>> rows = torch.arange(10)[:, None] * torch.tensor([1, 1, 0])
        >>> data = ComboData(zeros, zeros, names, names, ("gene",), ("mass",), rows, zeros, "growth", {})
        >>> split = split_pairs(data, SplitBy.CELL, test=0.2, validation=0.1)
        >>> [len(part) for part in (split.train, split.validation, split.test)]
        [7, 1, 2]
    """
    if not (test > 0 and validation > 0 and test + validation < 1):
        raise ConfigError(
            f"shares of test and validation rows are above 0 and leave some to train on; got {test}, {validation}"
        )
    if seed < 0:
        raise ConfigError(f"a seed is 0 or more; got {seed}")
    by = SplitBy(by)
    groups = _groups(data, by)  # [N, K]
    count = int(groups.max()) + 1
    position = np.random.default_rng(seed).permutation(count)  # of a group in the random order
    first = position[groups].min(axis=1)  # [N] position of a row's first group
    reach = np.cumsum(np.bincount(first, minlength=count))  # rows among the first groups, one group to all
    tested = _nearest(reach, 0, test * len(data))
    held = _nearest(reach, tested, validation * len(data))
    parts = {"train": first >= held, "validation": (first >= tested) & (first < held), "test": first < tested}
    empty = [name for name, rows in parts.items() if not rows.any()]
    if empty:
        raise DataError(
            f"a split by {by.value} of {len(data)} rows in {count} groups leaves nothing for {' and '.join(empty)}"
        )
    return PairSplit(
        **{name: torch.from_numpy(np.flatnonzero(rows)) for name, rows in parts.items()}, by=by, seed=seed
    )


def _groups(data: ComboData, by: SplitBy) -> np.ndarray:
    """``[N, K]`` numbers from 0, without gaps, of the K groups that each row is in."""
    columns = {
        SplitBy.RANDOM: torch.arange(len(data))[:, None],
        SplitBy.PAIR: data.pairs()[:, None],
        SplitBy.DRUG: data.index[:, 1:],
        SplitBy.CELL: data.index[:, :1],
    }[by].numpy()
    return np.unique(columns, return_inverse=True)[1].reshape(columns.shape)


def _nearest(reach: np.ndarray, start: int, wanted: float) -> int:
    """The end, after ``start``, of the stretch of groups whose rows are nearest to the number wanted."""
    before = reach[start - 1] if start else 0
    gaps = np.abs(reach[start:] - before - wanted)
    return start + 1 + int(gaps.argmin()) if len(gaps) else start


def _row_numbers(values: Any) -> Tensor:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise ValueError("row numbers are whole numbers in a list")
    return torch.tensor(values, dtype=torch.int64)
