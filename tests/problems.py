"""Small problems to train on, shared by the tests of training and of stored runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spikebayes.nn.zoo import mlp
from spikebayes.prediction.task import Task
from spikebayes.training.fit import fit
from spikebayes.training.fitted import Fitted


def plane(rows: int = 120, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Inputs ``[B, 2]`` and targets ``[B, 1]``: a bent plane with noise of standard deviation 0.1."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 2, generator=generator)
    y = 2 * x[:, :1] - x[:, 1:].abs() + 0.1 * torch.randn(rows, 1, generator=generator)
    return x, y


def rings(rows: int = 200, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Inputs ``[B, 2]`` and three classes ``[B]``: how far a point is from the origin."""
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(seed))
    return x, (x.norm(dim=1) > 0.8).long() + (x.norm(dim=1) > 1.5).long()


def network(outputs: int = 1, width: int = 16, seed: int = 0) -> torch.nn.Sequential:
    """One hidden layer over two inputs, its first weights drawn by ``seed``."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return mlp(2, outputs, (width,), 0.1)


def quick_fit(model: torch.nn.Module, x: Tensor, y: Tensor, **settings: Any) -> Fitted:
    """A short training that holds the last fifth of the rows out, unless told otherwise."""
    held = len(x) * 4 // 5
    given: dict[str, Any] = {"validation": (x[held:], y[held:]), "epochs": 6, "batch_size": 32} | settings
    task = Task.REGRESSION if y.is_floating_point() else Task.CLASSIFICATION
    return fit(model, x[:held], y[:held], task=task, **given)


def table(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """Two numbers, a colour, a value ``y`` and a label ``kind`` that follow from them."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})
    frame["color"] = rng.choice(["red", "green", "blue"], rows)
    frame["y"] = 3 * frame["a"] - frame["b"] + (frame["color"] == "red") + rng.normal(0, 0.1, rows)
    frame["kind"] = np.where(frame["a"] > 0, "up", "down")
    return frame
