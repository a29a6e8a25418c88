"""The trained networks whose steps are counted, each with rows to tune on and rows to judge on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spikebayes import fit
from spikebayes.data import load_split, split_rows
from spikebayes.data.combo import SplitBy, load_almanac
from spikebayes.nn import zoo
from studies.stages import Stages
from studies.timing.settings import Settings
from studies.wycoff2019 import learning
from studies.wycoff2019.settings import PUBLISHED


@dataclass(frozen=True, eq=False)
class Case:
    """A trained module.

    Args:
        name: in tables. model: trained.
        calibrate: validation rows, for ``tune``. judge: test rows. Both as the module takes them.
        indices: of the judged rows, whose masks these number.
        samples: S of each judged row.
    """

    name: str
    model: nn.Module
    calibrate: tuple[Tensor, ...]
    judge: tuple[Tensor, ...]
    indices: Tensor
    samples: int


def regression(data: Path, name: str, set_name: str, hidden: tuple[int, ...], settings: Settings, seed: int) -> Case:
    """SoftLIF layers on a UCI set, dropout 0.1, at least 20 epochs."""
    split = load_split(data, set_name)
    x, y = split.x_train, split.y_train
    train, held = split_rows(len(x), 0.1, seed)
    batch = 64 if len(train) < 5000 else 256
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = zoo.mlp(x.shape[1], 1, hidden, 0.1)
    epochs = min(200, max(20, settings.optimiser_steps * batch // len(train)))
    validation = x[held], y[held]
    fitted = fit(
        model,
        x[train],
        y[train],
        validation=validation,
        epochs=epochs,
        batch_size=batch,
        seed=seed,
        calibration=0.0,
        error=None,
    )
    calibrate, judge = (fitted.scaling.inputs(part) for part in (x[held], split.x_test[: settings.rows]))
    return Case(name, fitted.model, (calibrate,), (judge,), torch.arange(len(judge)), settings.samples)


def drug_pairs(data: Path, work: Path, settings: Settings, seed: int) -> Case | None:
    """The network of Wycoff 2019, if that study has trained it here."""
    trained = work / "wycoff2019" / "learning"
    if not trained.is_dir():
        return None
    task = learning.Task.prepare(load_almanac(data), seed)
    key = {"source": "almanac", "rows": len(task.data), "seed": seed, "learning": asdict(PUBLISHED.learning)}
    folder = Stages(trained, key, None).folder
    if not (folder / learning.weights_of(SplitBy.RANDOM, seed)).exists():
        return None
    net = learning.trained(task, PUBLISHED.learning, seed, folder)
    held, test = (part[: settings.combo_rows] for part in (task.split.validation, task.split.test))
    name, inputs = "pairs of drugs, 1000 x 3 + 3", task.tables.inputs
    return Case(name, net, inputs(held), inputs(test), test, settings.combo_samples)
