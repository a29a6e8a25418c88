"""Around Lightning's Trainer: where it keeps checkpoints, what it may say, and how it is stopped."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from spikebayes.errors import ConfigError, StoreError
from spikebayes.machine.arguments import checked
from spikebayes.machine.files import locked, make_folder
from spikebayes.training.callbacks import Asked


@contextmanager
def alone_in(folder: Path | None) -> Iterator[None]:
    """A folder for checkpoints, made if need be, for one training at a time; without one there is nothing to do."""
    if folder is None:
        yield
        return
    make_folder(folder)
    with locked(folder, "training"):
        yield


@checked
def check_checkpoint(path: Path, learner: nn.Module, callbacks: Sequence[Callback] = ()) -> None:
    """Refuse a checkpoint from which a training cannot go on; the module stays as it is.

    Raises:
        StoreError: it is torn, of another module, or without the state of these callbacks.
        ConfigError: it was written with other settings.
    """
    try:
        with ZipFile(path) as archive:  # torch.load looks at no checksums
            if (torn := archive.testzip()) is not None:
                raise StoreError(f"its part {torn} is damaged")
        kept = torch.load(path, map_location="cpu", weights_only=True)
        other = _differing(kept["state_dict"], learner.state_dict())
    except Exception as error:  # torn bytes fail in many ways
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"cannot resume from {path}: {reason}") from error
    if other is not None:
        raise StoreError(f"cannot resume from {path}: it is of another module, {other}")
    missing = [c.state_key for c in callbacks if c.state_key not in kept.get("callbacks", {})]
    if missing:
        raise StoreError(
            f"cannot resume from {path}: it holds no state of {missing[0]}, so something else wrote it, or an "
            "earlier version of fit; train from the start, without resume"
        )
    changed = [text for c in callbacks if isinstance(c, Asked) for text in c.changed(kept["callbacks"][c.state_key])]
    if changed:
        raise ConfigError(
            f"cannot resume from {path}: it needs the rows and settings that it was written with; changed: "
            f"{', '.join(changed)}; give those again, or train from the start, without resume"
        )


def _differing(stored: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """The first of two modules' weights that is not in both, or of another shape, in words; None if they agree."""
    for name in [*own, *(name for name in stored if name not in own)]:
        there, here = (_shown(side, name) for side in (stored, own))
        if there != here:
            return f"whose {name.removeprefix('model.')} is {there}, and here {here}"
    return None


def _shown(weights: Mapping[str, Any], name: str) -> str:
    if name not in weights:
        return "missing"
    value = weights[name]
    return str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C comes out as KeyboardInterrupt; Lightning turns it into an exit and leaves the signal ignored."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stopped:
        if isinstance(stopped.__context__, KeyboardInterrupt):
            raise stopped.__context__ from None
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's tips and advice on data loaders say nothing about these small, in-memory tables."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        warnings.filterwarnings("ignore", message="The dirpath has changed.*")  # of whoever keeps the best elsewhere
        try:
            yield
        finally:
            logger.setLevel(level)
