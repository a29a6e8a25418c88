"""Drug-pair data: contradictions between tables, names and rows are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spikebayes.data.combo import ComboData
from spikebayes.errors import DataError


def fields(**changed: Any) -> dict[str, Any]:
    """Two cell lines, three drugs, four rows; drugs 0 and 2 come as a pair in both orders."""
    whole = {
        "cells": torch.tensor([[1.0], [torch.nan]]),
        "drugs": torch.arange(6.0).reshape(3, 2),
        "cell_names": ("A549", "SR"),
        "drug_names": ("NSC.1", "NSC.2", "NSC.3"),
        "cell_columns": ("gene",),
        "drug_columns": ("mass", "rings"),
        "index": torch.tensor([[0, 0, 1], [0, 0, 2], [1, 2, 0], [1, 1, 1]]),
        "target": torch.tensor([[1.0], [2.0], [3.0], [4.0]]),
        "target_name": "growth",
        "unused": {"missing": 3},
    }
    return whole | changed


def test_a_pair_has_one_number_in_either_order() -> None:
    data = ComboData(**fields())
    pairs = data.pairs()
    assert len(data) == 4
    assert pairs[1] == pairs[2]
    assert len(pairs.unique()) == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cells": torch.zeros(2, 2)}, r"cells: 2 names and 1 columns need \[2, 1\] float32; got \[2, 2\]"),
        ({"drugs": torch.zeros(3, 2).double()}, r"drugs: .* got \[3, 2\] torch.float64"),
        ({"drugs": torch.full((3, 2), torch.inf)}, "drugs: 6 values are infinite"),
        ({"cell_names": ("SR", "SR")}, "cells: names must differ; repeated: 'SR'"),
        ({"drug_columns": ("mass", "mass")}, "drugs: columns must differ; repeated: 'mass'"),
        ({"index": torch.zeros(4, 2).long()}, r"expected index \[N, 3\].*got \[4, 2\]"),
        ({"index": torch.zeros(0, 3).long(), "target": torch.zeros(0, 1)}, "with N > 0"),
        ({"target": torch.zeros(3, 1)}, r"got \[4, 3\] and \[3, 1\]"),
        ({"target": torch.zeros(4, 1).double()}, "expected index int64, target float32; got"),
        ({"index": torch.tensor([[0, 0, 1], [2, 0, 0], [0, 3, 0], [0, -1, 0]])}, "3 of 4 rows point at no"),
        ({"target": torch.tensor([[1.0], [torch.nan], [torch.inf], [0.0]])}, "2 of 4 targets are NaN or infinite"),
    ],
)
def test_contradictions_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ComboData(**fields(**changed))
