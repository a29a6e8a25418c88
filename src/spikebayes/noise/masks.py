"""Counter-based dropout masks and draws inside an ordinary torch module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from spikebayes.errors import ConfigError
from spikebayes.machine.eager import eager
from spikebayes.network.noise import Dropout
from spikebayes.noise.bits import drop
from spikebayes.noise.keys import Keys
from spikebayes.noise.random_layers import Draws, RandomFunction, certainly, randomly

PER_UNIT: set[Callable[..., Tensor]] = {F.dropout, torch.dropout}
PER_CHANNEL: set[Callable[..., Tensor]] = {F.dropout1d, F.dropout2d}
UNSUPPORTED: set[Callable[..., Tensor]] = {
    F.dropout3d,
    F.alpha_dropout,
    F.feature_alpha_dropout,
    torch.alpha_dropout,
    torch.feature_dropout,
}
_modes: WeakKeyDictionary[nn.Module, tuple[int, bool]] = WeakKeyDictionary()  # who evaluates them, and what they were
_counting = Lock()
NO_MAPS = "it drops maps of [B, C, L], and takes [B, C] for one row of B maps, so that whole rows drop; use Dropout"


class Masks(TorchFunctionMode):
    """While active, every dropout call acts, with the masks of ``bits.py``, whatever the module's mode.

    So do the random layers of ``random_layers.py``. The n-th call of either kind in a forward pass is site n, the
    number that ``convert`` gives it too, so that the spiking network and the module draw the same masks.

    Args:
        keys: R pairs, which the lines of the batch stand for.
        lines: ``[R]`` int64, for a module that is run on fewer lines than there are pairs: which of them each pair
            reads. A dropout call that sees those lines gives ``[R, *shape]``, so that whatever comes before the
            first one is computed once for all pairs that share a line.
        before: what the dropout calls saw (:attr:`DropoutInputs.seen`) when the module was run on other lines;
            ``lines`` counts through these first.
        certain: random layers draw nothing and do what is likelier.
    """

    keys: Keys
    lines: Tensor | None
    before: Sequence[Sequence[Tensor]]
    certain: bool
    sites: int
    random: bool

    def __init__(
        self,
        keys: Keys,
        lines: Tensor | None = None,
        before: Sequence[Sequence[Tensor]] = (),
        certain: bool = False,
    ) -> None:
        super().__init__()
        self.keys, self.lines, self.before, self.certain = keys, lines, before, certain
        self.sites = 0
        self.random = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is randomly:
            return self._draw(*args)
        if func is F.batch_norm:
            _refuse_batch_statistics(*args, **(kwargs or {}))
        call = dropout_call(func, args, kwargs or {})
        return func(*args, **(kwargs or {})) if call is None else self._drop(*call)

    def _draw(self, function: RandomFunction, x: Tensor, *arguments: Any) -> Tensor:
        site, self.sites = self.sites, self.sites + 1
        x, lines = self._lines(x, site)
        self.random = True
        draws = Draws(self.keys, site, self.certain)
        return function(draws, x if lines is None else x[lines], *arguments)

    def _drop(self, x: Tensor, p: float, per_channel: bool) -> Tensor:
        site, self.sites = self.sites, self.sites + 1
        if p == 0:
            return x
        x, lines = self._lines(x, site)
        self.random = True
        noise = Dropout(p, site=site, repeat=x[0, 0].numel() if per_channel else 1)
        return drop(x, noise, self.keys, lines)

    def _lines(self, x: Tensor, site: int) -> tuple[Tensor, Tensor | None]:
        """What a call sees, and which of its lines each pair reads; None where every pair has one."""
        lines = None
        if x.shape[0] != len(self.keys):
            if self.lines is None:
                raise ConfigError(
                    f"dropout call {site} sees {x.shape[0]} lines for {len(self.keys)} rows: the model must keep the "
                    "batch as its first axis, and drop values of its rows, no weights or constants"
                )
            lines = self.lines
            if self.before:
                x = torch.cat([*(seen[site] for seen in self.before), x])
        return x, lines


def _refuse_batch_statistics(
    x: Tensor, mean: Any, var: Any, weight: Any = None, bias: Any = None, *rest: Any, **more: Any
) -> None:
    if more.get("training", rest[0] if rest else False):
        raise ConfigError(
            "a batch norm takes the mean and variance of the batch, so that what the model answers for a row "
            "depends on the rows beside it; use track_running_stats=True, and do not pass training=True"
        )


class DropoutInputs(TorchFunctionMode):
    """While active, no dropout acts, and what passes is looked at.

    ``seen`` lists what each dropout call was given; ``widths`` are the most values of one tensor, before the first
    dropout call that would act and from there on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.widths: list[int] = [0, 0]
        self.random: bool = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        call = dropout_call(func, args, kwargs or {})
        if func is randomly:
            self.seen.append(args[1].clone())
            result, self.random = certainly(*args), True
        elif call is None:
            result = func(*args, **(kwargs or {}))
        else:
            result = call[0]
            self.seen.append(result.clone())  # a later operation may work in place
            self.random = self.random or call[1] > 0
        if isinstance(result, Tensor):
            self.widths[self.random] = max(self.widths[self.random], result.numel())
        return result


def dropout_call(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Tensor, float, bool] | None:
    """(input, p, whether whole channels drop) of a call to one of torch's dropout functions; None of another's.

    Raises:
        ConfigError: a kind of dropout that has no counterpart here.
    """
    if func in UNSUPPORTED:
        raise ConfigError(f"{func.__name__} is not supported; use Dropout, Dropout1d/2d or Permadrop")
    if func not in PER_UNIT and func not in PER_CHANNEL:
        return None
    x, p = args[0] if args else kwargs["input"], args[1] if len(args) > 1 else kwargs.get("p", 0.5)
    if func is F.dropout1d and x.ndim != 3 and p > 0:
        raise ConfigError(f"dropout1d sees {list(x.shape)}: {NO_MAPS}")
    return x, p, func in PER_CHANNEL


def drops_in_place(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of a dropout function changes the tensor it is given."""
    return func not in (torch.dropout,) and bool(args[3] if len(args) > 3 else kwargs.get("inplace", False))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Every submodule in eval mode, run as it was written, and each put back into its own mode afterwards.

    Dropout needs no training mode under :class:`Masks`, and batch norm must not be given it. Several threads, or
    predictions that are only begun, may be at one module: each submodule is put back when the last of them is done.
    """
    parts = list(module.modules())
    with _counting:
        for m in parts:
            users, mode = _modes.get(m, (0, m.training))
            _modes[m] = users + 1, mode
        module.eval()
    try:
        with eager():
            yield
    finally:
        with _counting:
            for m in parts:
                users, mode = _modes.pop(m)
                if users > 1:
                    _modes[m] = users - 1, mode
                else:
                    m.training = mode
