"""The models: the network of PyTorch's MNIST example and a U-Net as users write them, and those of timm."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes import ConfigError, Task
from spikebayes.data import load_images

DROPOUT = 0.2  # of timm's models, before the last layer
CLASSES = 10
CURE = "pip install 'spikebayes[models]' (beside a torch of the release that torchvision names)"
UNBUILT = ("nms", "qnms")  # operators of torchvision by whose names its Python code calls while it is imported
_names: list[torch.library.Library] = []  # which last as long as these do


class Net(nn.Module):
    """The network of PyTorch's MNIST example, line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = F.relu(x)
        x = self.conv2(x)
        x = F.relu(x)
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = F.relu(x)
        x = self.dropout2(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


class Double(nn.Sequential):
    """Convolution, norm, ReLU; twice, with maps dropped between."""

    def __init__(self, into: int, out: int, dropout: float) -> None:
        layers: list[nn.Module] = []
        for k, channels in enumerate((into, out)):
            layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
            layers += [nn.Dropout2d(dropout)] if k == 0 else []
        super().__init__(*layers)


class UNet(nn.Module):
    """Two levels down and up again, with what was on the way down beside what comes up.

    Args:
        width: channels of the first level.
        dropout: of whole maps.
        transposed: up by transposed convolutions; else by interpolation.
    """

    def __init__(self, width: int = 8, dropout: float = 0.1, transposed: bool = True) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.down1, self.down2 = Double(3, width, dropout), Double(width, 2 * width, dropout)
        self.bottom = Double(2 * width, 4 * width, dropout)

        def up(into: int, out: int) -> nn.Module:
            if transposed:
                return nn.ConvTranspose2d(into, out, 2, stride=2)
            return nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(into, out, 1)
            )

        self.up2, self.up1 = up(4 * width, 2 * width), up(2 * width, width)
        self.beside2, self.beside1 = Double(4 * width, 2 * width, dropout), Double(2 * width, width, dropout)
        self.out = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        x = self.bottom(self.pool(second))
        x = self.beside2(torch.cat([second, self._fitted(self.up2(x), second)], dim=1))
        x = self.beside1(torch.cat([first, self._fitted(self.up1(x), first)], dim=1))
        return self.out(x)

    def _fitted(self, x: Tensor, like: Tensor) -> Tensor:
        """Padded to the size of the other: halves of odd sizes are rounded down."""
        high, wide = like.size(2) - x.size(2), like.size(3) - x.size(3)
        return F.pad(x, [wide // 2, wide - wide // 2, high // 2, high - high // 2])


def timm() -> Any:
    """The timm package.

    torchvision, which timm imports, is built for one release of torch with CUDA: beside a torch for processors its
    own operators cannot be loaded, and its import ends at their missing names. timm calls none of them, so the names
    are enough.

    Raises:
        ConfigError: it is not installed, or cannot be imported.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return import_module("timm")
            except RuntimeError as error:
                if "operator torchvision::" not in str(error):
                    raise
                _name_operators()
                return import_module("timm")
    except Exception as error:  # a broken build may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"timm cannot be imported: {reason}; {CURE}") from error


def _name_operators() -> None:
    """Declare operators of torchvision without what they do, and forget the imports that failed for want of them."""
    declared = torch.library.Library("torchvision", "DEF")
    for name in UNBUILT:
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _names.append(declared)
    for name in [n for n in sys.modules if n.partition(".")[0] in ("timm", "torchvision")]:
        del sys.modules[name]


def of_timm(name: str) -> nn.Module:
    """A model of timm with random weights."""
    return timm().create_model(name, pretrained=False, num_classes=CLASSES, drop_rate=DROPOUT)


@dataclass(frozen=True)
class Model:
    """A model to convert.

    Args:
        name: in the table.
        make: with random weights.
        side: pixels of its images. channels: of these.
        task: what its outputs are.
    """

    name: str
    make: Callable[[], nn.Module]
    side: int = 64
    channels: int = 3
    task: Task = Task.REGRESSION


WRITTEN = (
    Model("MNIST example", Net, 28, 1, Task.CLASSIFICATION),
    Model("U-Net, transposed convolutions", UNet, 32),
    Model("U-Net, interpolation", lambda: UNet(transposed=False), 30),
)
OF_TIMM = tuple(
    Model(name, lambda name=name: of_timm(name), side)
    for name, side in (
        *(("resnet18", 64), ("vgg11_bn", 32), ("mobilenetv2_100", 64), ("efficientnet_lite0", 64)),
        *(("regnetx_002", 64), ("densenet121", 32), ("regnety_002", 64), ("mobilenetv3_small_100", 64)),
    )
)


def images(data: Path, model: Model, rows: int) -> Tensor:
    """``[B, C, H, W]`` handwritten digits, standardised, of a model's size."""
    x = load_images(data, "mnist").x_train[:rows]
    x = F.interpolate((x - x.mean()) / x.std(), (model.side, model.side), mode="bilinear", align_corners=False)
    return x.repeat(1, model.channels, 1, 1)


def ready(model: Model, x: Tensor, seed: int) -> nn.Module:
    """Random weights, and norms that know the images; in evaluation mode."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        made = model.make()
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # the plain average over the batches
        made.train()
        for rows in x.split(50):
            made(rows)
        return made.eval()
