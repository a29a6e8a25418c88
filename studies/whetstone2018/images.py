"""The study's data, split into training, validation and test rows, and what varies the training images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes import ConfigError
from spikebayes.data import load_images, load_jasper_ridge
from studies.whetstone2018.settings import JASPER

IMAGES = 4  # axes of a batch of them
HALF = 0.5  # of the brightness: from there on a spike
HELD = 5000  # images that validate
LIGHT, GRAIN = 0.1, 0.01  # standard deviations: of a pixel's brightness, as a share, and of its bands
TURN, ZOOM, SHIFT = math.radians(12), 0.12, 2.0  # radians, share, pixels


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows ``[N, *shape]`` float32 and their classes ``[N]``, in three parts."""

    x: Tensor
    y: Tensor
    x_validation: Tensor
    y_validation: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path, name: str, rows: int | None = None, test_rows: int | None = None) -> Rows:
        """A set by name; the validation rows are the same for every seed."""
        if name == JASPER:
            pixels = load_jasper_ridge(folder)
            return cls(
                pixels.x_train[:rows],
                pixels.y_train[:rows],
                pixels.x_validation[:rows],
                pixels.y_validation[:rows],
                pixels.x_test[:test_rows],
                pixels.y_test[:test_rows],
                pixels.classes,
            )
        images = load_images(folder, name)
        order = torch.randperm(len(images.y_train), generator=torch.Generator().manual_seed(0))
        held, train = order[:HELD], order[HELD:][:rows]
        return cls(
            images.x_train[train],
            images.y_train[train],
            images.x_train[held][:rows],
            images.y_train[held][:rows],
            images.x_test[:test_rows],
            images.y_test[:test_rows],
            images.classes,
        )


def taken(x: Tensor, inputs: str) -> Tensor:
    """Images ``[B, C, H, W]`` in [0, 1] as a network takes them in: currents as they are, or spikes, 0 or 1.

    ``"binarised"``: 1 from a brightness of 1/2 on. ``"contours"``: 1 where the gradient's length, by Sobel's masks
    over 8 neighbours, is at least half of what it is at a straight edge between 0 and 1; beyond its border an image
    goes on as there.
    """
    if inputs == "current":
        return x
    if x.ndim != IMAGES:
        raise ConfigError(f"only images [B, C, H, W] can be {inputs}; got rows of shape {list(x.shape[1:])}")
    if inputs == "binarised":
        return (x >= HALF).to(x.dtype)
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).to(x) / 4  # 1 at such an edge
    channels = x.shape[1]
    masks = torch.stack([across, across.T])[:, None].repeat(channels, 1, 1, 1)  # [2 C, 1, 3, 3]
    slopes = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), masks, groups=channels)
    lengths = slopes.unflatten(1, (channels, 2)).square().sum(2)
    return (lengths >= HALF**2).to(x.dtype)


def vary(x: Tensor, augmentation: str) -> Tensor:
    """A batch of images ``[B, C, H, W]`` (``"light"``: rows ``[B, F]``), each varied by chance."""
    match augmentation:
        case "affine":
            return _turned(x)
        case "shift":
            return _cropped(x, 1, mirrored=False)
        case "crop":
            return _cropped(x, 4, mirrored=True)
        case "mirror":
            return _cropped(x, 2, mirrored=True)
        case "light":
            return x * (1 + LIGHT * torch.randn(len(x), 1, device=x.device)) + GRAIN * torch.randn_like(x)
        case "none":
            return x
        case _:
            raise ConfigError(f"there is no augmentation {augmentation!r}")


def _turned(x: Tensor) -> Tensor:
    """Small rotations, changes of size, and shifts."""
    count, _, height, width = x.shape
    angle = TURN * (2 * torch.rand(count, device=x.device) - 1)
    zoom = 1 + ZOOM * (2 * torch.rand(count, 2, device=x.device) - 1)
    shift = SHIFT * (2 * torch.rand(count, 2, device=x.device) - 1) * 2 / torch.tensor([width, height]).to(x)
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([cos * zoom[:, 0], -sin * zoom[:, 0], shift[:, 0]], 1)
    second = torch.stack([sin * zoom[:, 1], cos * zoom[:, 1], shift[:, 1]], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def _cropped(x: Tensor, pad: int, *, mirrored: bool) -> Tensor:
    """Shifts by up to ``pad`` pixels over a black margin, and mirror images."""
    count, _, height, width = x.shape
    padded = F.pad(x, (pad, pad, pad, pad))
    top, left = torch.randint(0, 2 * pad + 1, (2, count, 1), device=x.device)
    columns = torch.arange(width, device=x.device).expand(count, -1)
    if mirrored:
        columns = torch.where(torch.rand(count, 1, device=x.device) < 0.5, columns.flip(1), columns)
    columns = columns + left
    lines = torch.arange(height, device=x.device) + top
    rows = torch.arange(count, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[rows, lines[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
