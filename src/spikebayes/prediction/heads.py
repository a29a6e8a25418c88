"""What a model's outputs are under classification: logits, one logit, or probabilities already.

A softmax of probabilities is a distribution too, only a wrong one, so what an output is has to be found out: that of
a softmax by its values, which no logits have, that of a sigmoid by the function that made it (in a network, see
``network_heads``).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from spikebayes.errors import DataError
from spikebayes.machine.memory import row_parts
from spikebayes.noise.masks import evaluating
from spikebayes.noise.ownership import generators_kept

SIGMOIDS: set[Callable[..., Tensor]] = {
    torch.sigmoid,
    torch.sigmoid_,
    Tensor.sigmoid,
    F.sigmoid,
    torch.special.expit,
    F.hardsigmoid,
}
LOG_SIGMOIDS: set[Callable[..., Tensor]] = {F.logsigmoid}
ROUNDING = 1e-4  # by which the probabilities of a float32 softmax may miss a sum of 1
ENOUGH = 10  # outputs of a sample that all lie in [0, 1] before that is more than chance
LEAST = 1e-12  # of a probability whose logarithm is taken
OF_ITS_OWN = (
    "the model ends in a sigmoid for each class, so its classes do not exclude each other, as those of "
    "classification do"
)
LOGITS, PROBABILITIES, LOG_PROBABILITIES = "logits", "probabilities", "log-probabilities"


class Sigmoids(TorchFunctionMode):
    """While active, remembers what sigmoids gave."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, tuple[Tensor, str]] = {}  # the tensors are kept alive so that places stay theirs

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in SIGMOIDS or func in LOG_SIGMOIDS:
            place = result.untyped_storage()
            if place.nbytes() == result.nbytes:  # else it is a part of something, whose other values are not known
                self.made[place.data_ptr()] = result, PROBABILITIES if func in SIGMOIDS else LOG_PROBABILITIES
        return result

    def gave(self, output: Tensor) -> str:
        """What an output, or what it is a part of, is, as far as it is known from what made it."""
        _, kind = self.made.get(output.untyped_storage().data_ptr(), (output, LOGITS))
        return kind


@dataclass(frozen=True)
class Head:
    """What a model returns for a row.

    Args:
        shape: of one row, before it is flattened.
        kind: logits (or real values), or probabilities of a sigmoid.
    """

    shape: tuple[int, ...]
    kind: str = LOGITS


def check_classes(head: Head) -> int:
    """How many classes a head tells apart.

    Raises:
        DataError: it is none of a classifier, whatever its values.
    """
    if len(head.shape) > 1:
        shape = ", ".join(map(str, head.shape))
        raise DataError(
            f"classification takes K logits for each row, [B, K]; the model returns [B, {shape}]. For a class in "
            f"each place, predict with task='regression' and take samples.reshape(S, B, {shape}).softmax(2)"
        )
    outputs = math.prod(head.shape)
    if outputs > 1 and head.kind != LOGITS:
        raise DataError(
            f"{OF_ITS_OWN}; predict with task='regression' for the probability of each, or return the logits"
        )
    return max(2, outputs)


def class_probabilities(output: Tensor, head: Head) -> tuple[Tensor, str]:
    """Class probabilities ``[S, B, K]`` of outputs, and what the outputs were.

    Args:
        output: ``[S, B, C]``: K logits, probabilities or log-probabilities, told apart by their values; or one logit,
            whose sigmoid is the probability of the second of two classes. The probabilities of K take their place.
        head: what else is known of them.

    Warns:
        UserWarning: the outputs are probabilities already and are taken as they are; or might be.

    Raises:
        DataError: outputs that say nothing about which of K classes a row belongs to.

    Example:
        >>> logits = torch.tensor([[[0.0, 0.0]]])
        >>> class_probabilities(logits, Head((2,)))
        (tensor([[[0.5000, 0.5000]]]), 'logits')
        >>> class_probabilities(torch.full((1, 1, 1), -2.0), Head((1,)))
        (tensor([[[0.8808, 0.1192]]]), 'logits')
    """
    check_classes(head)
    if output.shape[-1] == 1:
        return _of_one(output, head.kind)
    kind = _kind(output)
    if kind != LOGITS:
        _say(f"the model's outputs are {kind} already (a softmax head) and are taken as they are")
    elif output[0].numel() >= ENOUGH and _are_within_one(output):
        _say(
            "every output, taken for a logit, lies in [0, 1]; if these are probabilities, return the logits, or "
            "where classes do not exclude each other, predict with task='regression' for the probability of each"
        )
    for part in row_parts(output):
        found = part.softmax(-1) if kind == LOGITS else part if kind == PROBABILITIES else part.exp()
        part.copy_(found if kind == LOGITS else found / found.sum(-1, keepdim=True))
    return output, kind


def kind_of(model: nn.Module, x: Tensor) -> str:
    """What the outputs ``[B, K]`` of a module in training are, for a loss that takes them as a prediction will.

    Args:
        model: run on the rows once, in evaluation mode and float32; generators stay where they are.
        x: some rows.

    Raises:
        DataError: sigmoids of several classes.
    """
    exact = torch.autocast(x.device.type, enabled=False)
    with generators_kept(), evaluating(model), torch.no_grad(), exact, Sigmoids() as sigmoids:
        output = model(x.clone())  # it may work in place
    if output.shape[-1] > 1 and sigmoids.gave(output) != LOGITS:
        raise DataError(f"{OF_ITS_OWN}; return the logits, or train on a column of 0 and 1 for each, as a regression")
    return _kind(output[None]) if output.shape[-1] > 1 else LOGITS


def log_probabilities(output: Tensor, kind: str) -> Tensor:
    """Logarithms of class probabilities ``[..., K]``, of outputs of that kind.

    Example:
        >>> log_probabilities(torch.tensor([0.5, 0.5]), PROBABILITIES)
        tensor([-0.6931, -0.6931])
    """
    return output.float().clamp(min=LEAST).log() if kind == PROBABILITIES else output.log_softmax(-1)


def _of_one(output: Tensor, kind: str) -> tuple[Tensor, str]:
    if kind != LOGITS:
        _say("the model's output comes from a sigmoid already and is taken as it is")
    elif _are_within_one(output, alike=True):
        _say("every output, taken for a logit, lies in [0, 1]; if these are probabilities, return the logits")
    found = output.repeat(1, 1, 2)
    for first, second in (part.unbind(-1) for part in row_parts(found)):
        if kind == LOGITS:
            first.neg_().sigmoid_()
            second.sigmoid_()
        else:
            second.copy_((second if kind == PROBABILITIES else second.exp()).clamp(0, 1))
            first.copy_(1 - second)
    return found, kind


def _kind(output: Tensor) -> str:
    """By the values: probabilities add up to 1, in every sample, and so do those of log-probabilities."""
    known = {PROBABILITIES: _are_probabilities, LOG_PROBABILITIES: _are_log_probabilities}
    return next((kind for kind, are in known.items() if all(map(are, row_parts(output)))), LOGITS)


def softmax_on_one_side(reference: Tensor, candidate: Tensor) -> tuple[str, ...]:
    """What to say of a module's ``[S, B, C]`` that differ from its network's: perhaps it alone ends in a softmax.

    Example:
        >>> logits = torch.randn(3, 4, 2)
        >>> softmax_on_one_side(logits.softmax(-1), logits)[0]
        "the module's outputs are probabilities, and a network gives logits: predict both with task='classification'"
        >>> softmax_on_one_side(logits, logits)
        ()
    """
    kind = _kind(reference) if reference.shape[-1] > 1 else LOGITS
    if kind == LOGITS or _kind(candidate) == kind:
        return ()
    return (f"the module's outputs are {kind}, and a network gives logits: predict both with task='classification'",)


def _are_within_one(output: Tensor, alike: bool = False) -> bool:
    """Whether all lie in [0, 1]; where they are all alike, as from layers that begin at 0, only if so wanted."""
    low, high = output.aminmax()
    return bool(low >= 0) and bool(high <= 1) and (alike or bool(low < high))


def _are_probabilities(output: Tensor) -> bool:
    return bool((output >= 0).all()) and bool(((output.sum(-1) - 1).abs() < ROUNDING).all())


def _are_log_probabilities(output: Tensor) -> bool:
    return bool((output <= 0).all()) and bool((output.logsumexp(-1).abs() < ROUNDING).all())


def _say(what: str) -> None:
    warnings.warn(what, stacklevel=4)
