"""The networks, trained as everyone trains them: ReLU, ``nn.Dropout``, Adam; nothing in them knows of spikes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.data import load_images, load_split
from studies.codes.settings import Settings

Activation = Callable[[], nn.Module]


@dataclass(frozen=True, eq=False)
class Task:
    """Standardised data of a regression set.

    Args:
        x, y: ``[B, F]`` and ``[B, 1]`` to train on. x_test, y_test: the same to judge on.
    """

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def regression(data: Path, name: str) -> Task:
    """The first split of a UCI set, by means and standard deviations of its training rows."""
    split = load_split(data, name)
    x, y, x_test, y_test = (
        torch.as_tensor(part) for part in (split.x_train, split.y_train, split.x_test, split.y_test)
    )
    y, y_test = y.reshape(len(y), -1), y_test.reshape(len(y_test), -1)
    (mx, sx), (my, sy) = ((part.double().mean(0), part.double().std(0).clamp(min=1e-9)) for part in (x, y))
    parts = ((x - mx) / sx, (y - my) / sy, (x_test - mx) / sx, (y_test - my) / sy)
    return Task(*(part.float() for part in parts))


def mlp(inputs: int, hidden: Sequence[int], dropout: float, activation: Activation = nn.ReLU) -> nn.Sequential:
    """Linear, activation, dropout, for each hidden layer; a linear read-out."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), activation(), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 1))


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int, batch: int, penalty: float = 0.0) -> nn.Module:
    """Adam on the squared error, the learning rate falling to 0 along a cosine; in evaluation mode afterwards.

    Args:
        model: in place.
        x, y: rows.
        epochs, batch: of the training.
        penalty: times the mean of all activations is added to the loss, so that fewer units act.
    """
    optimiser = torch.optim.Adam(model.parameters(), 1e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, epochs))
    active: list[Tensor] = []
    units = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    hooks = [unit.register_forward_hook(lambda m, i, y: active.append(y.mean())) for unit in units if penalty]
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            active.clear()
            loss = F.mse_loss(model(x[rows]), y[rows])
            if active:
                loss = loss + penalty * torch.stack(active).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    for hook in hooks:
        hook.remove()
    return model.eval()


def uci(task: Task, dropout: float, settings: Settings, seed: int, activation: Activation = nn.ReLU) -> nn.Module:
    """A network on a UCI set."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = mlp(task.x.shape[1], settings.hidden, dropout, activation)
        batch = 64 if len(task.x) < 5000 else 256
        epochs = min(200, max(20, settings.optimiser_steps * batch // len(task.x)))
        return train(model, task.x, task.y, epochs, batch)


def wide(task: Task, settings: Settings, seed: int, penalty: float = 0.0) -> nn.Module:
    """Three wide layers on the protein set."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = mlp(task.x.shape[1], settings.wide, 0.1)
        rows = slice(settings.wide_rows)
        return train(model, task.x[rows], task.y[rows], settings.wide_epochs, 64, penalty)


def r_squared(model: nn.Module, task: Task) -> float:
    """Of one pass without dropout, on the test rows."""
    with torch.no_grad():
        error = (model.eval()(task.x_test) - task.y_test).double().square().mean()
    return float(1 - error / task.y_test.double().var(unbiased=False))


class Digits(nn.Module):
    """The convolutional network of PyTorch's MNIST example, layer by layer: two convolutions, max pooling, dropout
    behind the pool, a dense layer, dropout, log-softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv2d(1, 32, 3)
        self.far = nn.Conv2d(32, 64, 3)
        self.behind_pool = nn.Dropout(0.25)
        self.dense = nn.Linear(9216, 128)
        self.behind_dense = nn.Dropout(0.5)
        self.classes = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.far(F.relu(self.near(x))))
        x = self.behind_pool(F.max_pool2d(x, 2))
        x = self.behind_dense(F.relu(self.dense(torch.flatten(x, 1))))
        return F.log_softmax(self.classes(x), dim=1)


@dataclass(frozen=True, eq=False)
class Images:
    """MNIST as the example standardises it: ``[B, 1, 28, 28]`` and classes ``[B]``."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def images(data: Path, settings: Settings) -> Images:
    """MNIST, by its mean .1307 and standard deviation .3081."""
    found = load_images(data, "mnist")
    x, x_test = ((part - 0.1307) / 0.3081 for part in (found.x_train[: settings.images], found.x_test))
    return Images(x, found.y_train[: settings.images], x_test, found.y_test)


def convolutional(task: Images, settings: Settings, seed: int) -> nn.Module:
    """Trained as the example does it (Adadelta at 1.0, times 0.7 each epoch, batches of 64), for fewer epochs."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Digits()
        optimiser = torch.optim.Adadelta(model.parameters(), 1.0)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, 1, 0.7)
        model.train()
        for _ in range(settings.image_epochs):
            for rows in torch.randperm(len(task.x)).split(64):
                optimiser.zero_grad()
                F.nll_loss(model(task.x[rows]), task.y[rows]).backward()
                optimiser.step()
            schedule.step()
        return model.eval()
