"""Whether a module's rows stand alone is judged by how far its answers differ, not by how large a few are."""

from __future__ import annotations

import torch

from spikebayes.prediction.module_passes import _agree


def test_lines_near_zero_may_differ_by_the_rounding_of_the_others() -> None:
    expected = torch.tensor([[4e-3], [4e-3], [0.3], [-0.2]])
    few = torch.tensor([[4e-3 + 6e-8], [4e-3 - 6e-8]])
    assert _agree(few, expected, 0.5, torch.arange(2))
    assert not _agree(few + 0.01, expected, 0.5, torch.arange(2))
