"""The drug-pair network of Wycoff 2019, as that study trains it and with ReLU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import r2_score
from torch import nn

from spikebayes import FirstSpike, convert, predict
from spikebayes.data.combo import SplitBy, load_almanac
from spikebayes.machine.files import atomic
from spikebayes.nn import SoftLIF, zoo
from studies.codes.measure import measure
from studies.codes.settings import OTHERS, TWELVE, Coding, Settings
from studies.stages import Stages
from studies.wycoff2019 import learning
from studies.wycoff2019.settings import PUBLISHED

WEIGHTS = "combo-relu.safetensors"
FIRST = Coding(FirstSpike(64), 1.0)
SCORED = 2000  # test rows of the coefficient of determination


def drug_pairs(
    data: Path, work: Path, folder: Path, s: Settings, seed: int, activation: Callable[[], nn.Module]
) -> dict[str, Any]:
    """Figures of the network with the given activation, trained if it is not there yet."""
    task = learning.Task.prepare(load_almanac(data), seed)
    net = _trained(task, work, folder, s, seed, activation)
    cells, drugs, index = task.tables.cells, task.tables.drugs, task.tables.index

    def rows(which: torch.Tensor) -> tuple[torch.Tensor, ...]:
        cell, one, two = index[which].long().unbind(1)
        return cells[cell], drugs[one], drugs[two]

    judged, train = rows(task.split.test[: s.combo_rows]), rows(task.split.train[: s.calibration_rows])
    given: dict[str, Any] = {"samples": s.combo_samples}
    lines = [measure(net, TWELVE, judged, train, s, seed, timed=True, **given)]
    lines += [measure(net, coding, judged, train, s, seed, **given) for coding in (*OTHERS[1:], FIRST)]
    if activation is SoftLIF:
        lines.append(measure(net, None, judged, train, s, seed, network=convert(net, list(train)), **given))
    scored = task.split.test[:SCORED]
    mean = predict(net, rows(scored), samples=20, seed=seed).mean[:, 0]
    return {
        "group": "combo",
        "r_squared": float(r2_score(task.tables.target[scored].flatten(), mean)),
        "codes": lines,
    }


def _trained(
    task: learning.Task, work: Path, folder: Path, s: Settings, seed: int, activation: Callable[[], nn.Module]
) -> zoo.Combo:
    if activation is SoftLIF:  # as the other study leaves it
        key = {"source": "almanac", "rows": len(task.data), "seed": seed, "learning": asdict(PUBLISHED.learning)}
        stages = Stages(work / "wycoff2019" / "learning", key, None)
        name = learning.weights_of(SplitBy.RANDOM, seed)
        if not (stages.folder / name).exists():
            learning.train(task, PUBLISHED.learning, seed, stages.folder, name)
        return learning.trained(task, PUBLISHED.learning, seed, stages.folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        cell, drug = task.tables.cells.shape[1], task.tables.drugs.shape[1]
        net = zoo.combo(cell, drug, PUBLISHED.learning.width, PUBLISHED.learning.dropout, activation=activation)
    if not (folder / WEIGHTS).exists():
        _train(task, net, s.combo_epochs, seed)
        with atomic(folder / WEIGHTS) as partial:
            save_file(net.state_dict(), partial)
    net.load_state_dict(load_file(folder / WEIGHTS))
    return net.eval()


def _train(task: learning.Task, net: zoo.Combo, epochs: int, seed: int) -> None:
    """Adam at 5e-4 with a one-cycle schedule and batches of 1,024, as the recipe of that network has it."""
    rows = zoo.ComboRows(net, task.tables.cells, task.tables.drugs)
    index, target, train = task.tables.index.float(), task.tables.target, task.split.train
    optimiser = torch.optim.Adam(net.parameters(), 5e-4)
    steps = epochs * -(-len(train) // 1024)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-4, steps, pct_start=0.2)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        rows.train()
        for _ in range(epochs):
            for some in train[torch.randperm(len(train))].split(1024):
                loss = nn.functional.mse_loss(rows(index[some]).flatten(), target[some].flatten())
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
