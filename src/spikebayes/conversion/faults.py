"""What is wrong with a module whatever its graph: found before it is run or converted, for either path alike.

Such a module would run: neurons with a NaN weight are merely silent, and a dropout inside an attention is merely off.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import type_before_parametrizations

from spikebayes.conversion.obstacles import Obstacle
from spikebayes.errors import SpikebayesError
from spikebayes.noise.ownership import generators_kept

NAMED = 3  # places in a message
SCRIPTED = "its code was compiled by torch.jit, and cannot be looked into"
UNSCRIPTED = "put the module that it was made of in its place"
WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside ``torch.compile`` and data-parallel wrappers.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> unwrapped(nn.DataParallel(layer)) is layer
        True
    """
    while (inner := WRAPPERS.get(type(model).__name__)) is not None:
        model = getattr(model, inner)
    return model


def written_in(module: nn.Module) -> str:
    """The Python module that a layer's code is in: a parametrisation such as weight norm gives it a class of torch's.

    Example:
        >>> class Own(nn.Linear): ...
        >>> own = nn.utils.parametrizations.weight_norm(Own(2, 2))
        >>> type(own).__module__, written_in(own) == Own.__module__
        ('torch.nn.utils.parametrize', True)
    """
    return type_before_parametrizations(module).__module__


def float_dtype(model: nn.Module) -> torch.dtype:
    """The precision of a module's numbers; float32 for one that has none."""
    return next((t.dtype for _, t in _numbers(model) if t.is_floating_point()), torch.float32)


def initialised(model: nn.Module, rows: Sequence[Tensor]) -> None:
    """Give lazy layers their values, by a pass over the rows of an example."""
    if any(is_lazy(t) for _, t in _numbers(model)):
        with torch.no_grad(), generators_kept():
            model(*(part.clone() for part in rows))  # a forward may work in place


def copied(model: nn.Module, error: type[SpikebayesError]) -> nn.Module:
    """A copy of a module; raises the error given where it holds what Python cannot copy."""
    try:
        return copy.deepcopy(model)
    except Exception as why:  # a user's attributes may raise anything
        said = (str(why).splitlines() or [type(why).__name__])[0]
        raise error(
            f"{type(model).__name__} has to be copied, and cannot be: {said}; keep locks, open files, generators and "
            "values of a pass out of its attributes, or give it a __deepcopy__"
        ) from why


def refuse_faults(model: nn.Module, error: type[SpikebayesError]) -> None:
    """Raise the first of a module's faults, as the error given."""
    for fault in faults(model):
        raise error(str(fault))


def faults(model: nn.Module) -> Iterator[Obstacle]:
    """What keeps a module from being predicted or converted, whatever it does with its rows."""
    whole = type(model).__name__
    if (closed := out_of_sight(model)) is not None:
        yield closed
        return
    if lazy := [name for name, t in _numbers(model) if is_lazy(t)]:
        yield Obstacle(whole, f"there are no values yet in {_list(lazy)}", "run the model once, on a batch")
        return
    numbers = [(name, t) for name, t in _numbers(model) if t.is_floating_point() or t.is_complex()]
    elsewhere = [f"{name} ({t.device})" for name, t in numbers if t.device.type != "cpu"]
    if elsewhere:
        yield Obstacle(whole, f"it is not in the processor's memory: {_list(elsewhere)}", "give model.cpu()")
        return
    few = [f"{name} ({_word(t)})" for name, t in numbers if t.dtype not in (torch.float32, torch.float64)]
    if few:
        yield Obstacle(whole, f"it is neither float32 nor float64: {_list(few)}", "give model.float()")
    elif len({t.dtype for t in model.parameters()}) > 1:
        doubles = [name for name, t in model.named_parameters() if t.dtype == torch.float64]
        yield Obstacle(whole, f"some of it is float64 and some float32: {_list(doubles)}", "give model.float()")
    beyond = _may_be_infinite(model)
    broken = [n for n, t in numbers if not bool(t.isfinite().all()) and (n not in beyond or bool(t.isnan().any()))]
    if broken:
        cure = "train it again, with a smaller learning rate, or replace them"
        yield Obstacle(whole, f"it holds numbers that are NaN or infinite, in {_list(broken)}", cure)
    yield from _hidden_dropout(model)


def out_of_sight(model: nn.Module) -> Obstacle | None:
    """The fault of a module of which nothing more can be seen: torch.jit made it, or it is on torch's meta device."""
    if isinstance(model, torch.jit.ScriptModule):
        return Obstacle(type(model).__name__, SCRIPTED, "give the module it was made of")
    meta = [name for name, t in _numbers(model) if t.is_meta]
    cure = "call model.to_empty(device='cpu'), then load its weights"
    what = f"there are no values in {_list(meta)}: it is on the meta device"
    return Obstacle(type(model).__name__, what, cure) if meta else None


def _hidden_dropout(model: nn.Module) -> Iterator[Obstacle]:
    """Dropout inside torch's recurrent layers and attention, out of the reach of masks: off in a prediction."""
    for name, module in model.named_modules():
        recurrent = isinstance(module, nn.RNNBase) and module.num_layers > 1
        inside = module.dropout if recurrent or isinstance(module, nn.MultiheadAttention) else 0.0
        if isinstance(inside, float) and inside > 0:
            yield Obstacle(
                f"{type(module).__name__}, module {name!r}",
                f"its own dropout={inside:g} would be off in a prediction, since no mask reaches it",
                "set it to 0 and put nn.Dropout behind the layer" if name else "set it to 0",
            )


def _may_be_infinite(model: nn.Module) -> set[str]:
    """Names of buffers but those of norms: -inf masks positions, inf is the smallest loss before there is any.

    What comes of one that takes part in a prediction or a network is looked at there.
    """
    norms = [f"{name}." if name else "" for name, m in model.named_modules() if isinstance(m, _NormBase)]
    return {name for name, _ in model.named_buffers() if not name.startswith(tuple(norms))}


def _numbers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(model.named_parameters(), model.named_buffers())


def _list(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest


def _word(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")
