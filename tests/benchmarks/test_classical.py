"""The race of classical prediction, on a few rows."""

from __future__ import annotations

import torch

from benchmarks.classical import classical


def test_both_are_timed_for_both_activations() -> None:
    found = classical(rows=3, samples=5, repeats=1)
    assert found["threads"] == torch.get_num_threads()
    assert list(found["activations"]) == ["SoftLIF", "ReLU"]
    for entry in found["activations"].values():
        assert entry["loop_batch"] == 3
        assert entry["loop_passes_timed"] == 1
        assert entry["ratio"] == entry["loop_seconds"]["median"] / entry["predict_seconds"]["median"]
    assert found["ratio"] == min(entry["ratio"] for entry in found["activations"].values())
