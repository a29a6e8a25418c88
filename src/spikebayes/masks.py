"""Counter-based dropout masks inside an ordinary torch module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from spikebayes.errors import ConfigError
from spikebayes.noise import Dropout, dropout_keep

PER_UNIT = {F.dropout, torch.dropout}
PER_CHANNEL = {F.dropout1d, F.dropout2d}
UNSUPPORTED = {
    F.dropout3d,
    F.alpha_dropout,
    F.feature_alpha_dropout,
    torch.alpha_dropout,
    torch.feature_dropout,
}


class Masks(TorchFunctionMode):
    """While active, every dropout call acts, with the masks of ``noise.py``, whatever the module's mode.

    The n-th dropout call of a forward pass is site n, the number that ``convert`` gives it too, so that the
    spiking network and the module draw the same masks.

    Args:
        seed: key.
        samples, rows: ``[R]`` int64, the pair that each line of the batch stands for.
    """

    def __init__(self, seed: int, samples: Tensor, rows: Tensor) -> None:
        super().__init__()
        self.seed, self.samples, self.rows = seed, samples, rows
        self.sites = 0
        self.random = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in PER_UNIT or func in PER_CHANNEL:
            bound = inspect.signature(F.dropout).bind_partial(
                *args[:2], **{k: kwargs[k] for k in kwargs if k in "input p"}
            )
            return self._drop(bound.arguments["input"], bound.arguments.get("p", 0.5), func in PER_CHANNEL)
        if func in UNSUPPORTED:
            raise ConfigError(f"{func.__name__} is not supported; use Dropout, Dropout1d/2d or Permadrop")
        return func(*args, **kwargs)

    def _drop(self, x: Tensor, p: float, per_channel: bool) -> Tensor:
        site, self.sites = self.sites, self.sites + 1
        if p == 0:
            return x
        if x.shape[0] != len(self.samples):
            raise ConfigError(
                f"dropout call {site} sees {x.shape[0]} lines for {len(self.samples)} rows: "
                "the model must keep the batch as its first axis"
            )
        self.random = True
        units = x[0].numel()
        noise = Dropout(p, site=site, repeat=x[0, 0].numel() if per_channel else 1)
        keep = dropout_keep(noise, self.seed, self.samples, self.rows, units).reshape(x.shape)
        return torch.where(keep, x / (1 - p), 0.0)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Every submodule in eval mode, and each put back into its own mode afterwards.

    Dropout needs no training mode under :class:`Masks`, and batch norm must not be given it.
    """
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for m, mode in modes.items():
            m.training = mode
