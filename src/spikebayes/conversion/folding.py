"""A trained module as its threshold network computes it: batch norm folded, every sum exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from spikebayes.conversion.exact_sums import grid_steps, on_grid
from spikebayes.conversion.faults import copied, out_of_sight
from spikebayes.conversion.obstacles import Blocked
from spikebayes.conversion.tracing import trace
from spikebayes.errors import ConversionError
from spikebayes.machine.arguments import checked
from spikebayes.nn import Sharpened, Step
from spikebayes.nn.few_bits import settle_bits, whole_weights
from spikebayes.nn.sharpened import CENTRE

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
VECTORS = 2  # axes of [B, F]
TRIED = 2  # rows that show shapes: a norm without statistics takes no single one


@checked
def folded(model: nn.Module, arguments: int | Tensor | Sequence[Tensor] = 1) -> nn.Module:
    """A copy whose batch norms are folded into the layers before them, and whose weights are on a grid.

    Weights and biases of all Linear and Conv layers become multiples of a power of two, per unit
    (``exact_sums.on_grid``), so that sums over spikes of 0 and 1 are exact in float32. ``convert``
    puts weights on the same grid; of the copy it makes a network that takes the same decision at every unit that
    sees spikes, whatever the engine, where a batch norm folded only during conversion would round now and then.
    The first layer is on the grid too, but sums over real inputs round all the same.

    Weights of few bits (:func:`~spikebayes.nn.few_bits.few_bits`) before a step are not rounded at all: a unit
    that compares w x + b with theta decides as one that compares r w x + theta + r (b - theta) with it, so a factor r
    makes its weights whole numbers times a power of two, within sqrt 2 of what they were, and only the values that
    the step compares change. The module, the copy, the spiking network and the one of whole numbers
    (:func:`~spikebayes.conversion.integers.integers`) then take the same decisions, except for the module's own
    rounding.

    A Linear layer acts on the last axis, a batch norm on axis 1: they fold where the layer gives ``[B, F]``. Example
    inputs show where it does. Without them every Linear layer with as many units as the norm after it has features is
    assumed to do so, and the copy, like ``convert`` of it, refuses other values there.

    Args:
        model: feed-forward module that ``convert`` understands; left as it is.
        arguments: how many inputs its forward takes; or an example of each, ``[B, *shape]``, of which only the
            shapes are read.

    Returns:
        The copy, in evaluation mode. Batch norms remain that do not follow a Linear or Conv layer, act on another
        axis than its units, or have no running statistics.

    Raises:
        ConversionError: the module has no values, cannot be traced, or does not take the examples. Of the copy's
            forward, and of ``convert``: a Linear layer folded without examples gives something else than ``[B, F]``.

    Reference:
        the folding is Jacob et al. 2018, arXiv:1712.05877, section 3.2, with sqrt(var + eps).

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        >>> [type(m).__name__ for m in folded(net)]
        ['Linear', 'Folded']
        >>> [type(m).__name__ for m in folded(net, torch.zeros(1, 3, 2))]
        ['Linear', 'BatchNorm1d']
    """
    if (closed := out_of_sight(model)) is not None:
        raise ConversionError(str(closed))
    made = copied(model, ConversionError).eval()
    whole = whole_weights(made)
    settle_bits(made)
    examples = [arguments] if isinstance(arguments, Tensor) else arguments
    try:
        graph = trace(made, examples).graph
    except Blocked as blocked:
        raise ConversionError(str(blocked)) from blocked.__cause__
    pairs = _pairs(made, graph)
    like = {name: m.weight.dtype for name, m in made.named_modules() if isinstance(m, LAYERS)}
    axes = {} if isinstance(examples, int) else _axes(made, {layer for layer, _ in pairs}, examples)
    for layer, norm in pairs:
        if _acts_on_units(made.get_submodule(norm), made.get_submodule(layer), axes.get(layer, VECTORS)):
            _fold(made, layer, norm)
    thresholds = _thresholds(made, graph)
    for name, module in made.named_modules():
        if isinstance(module, LAYERS):
            if name in whole and name in thresholds:
                _scale(module, whole[name], thresholds[name])
            _put_on_grid(module)
            module.to(like[name])
    return made


class Folded(nn.Module):
    """In place of a batch norm that a Linear layer took in: ``[B, F]`` as it is, else a ConversionError."""

    def forward(self, x: Tensor) -> Tensor:
        _check_vectors(x.dim())
        return x


@fx.wrap  # a node of the graph: convert makes the same check
def _check_vectors(axes: int) -> None:
    if axes != VECTORS:
        raise ConversionError(
            f"a batch norm was folded into a Linear layer as if that gave [B, F], but its values have {axes} axes; "
            "give folded() an example input"
        )


def _axes(model: nn.Module, layers: Iterable[str], examples: Sequence[Tensor]) -> dict[str, int]:
    """How many axes the outputs of layers have."""
    found: dict[str, int] = {}
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    names = {model.get_submodule(name): name for name in layers}

    def look(module: nn.Module, _inputs: Any, y: Tensor) -> None:
        found[names[module]] = y.ndim

    hooks = [module.register_forward_hook(look) for module in names]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model(*(like.new_zeros(TRIED, *example.shape[1:]) for example in examples))
    except Exception as error:  # a user's forward may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        shapes = [list(example.shape) for example in examples]
        raise ConversionError(f"{type(model).__name__} does not take inputs like {shapes}: {reason}") from error
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _acts_on_units(norm: nn.Module, layer: nn.Module, axes: int) -> bool:
    """Whether a norm's features are the layer's units, each with a factor that is known."""
    if norm.running_mean is None or norm.running_var is None or norm.num_features != len(layer.weight):  # pyright: ignore
        return False
    return not isinstance(layer, nn.Linear) or (isinstance(norm, nn.BatchNorm1d) and axes == VECTORS)


def _fold(model: nn.Module, layer: str, norm: str) -> None:
    old, taken = model.get_submodule(layer), model.get_submodule(norm)
    if taken.weight is None:
        taken.weight = nn.Parameter(torch.ones_like(taken.running_mean))  # pyright: ignore[reportArgumentType]
    if taken.bias is None:
        taken.bias = nn.Parameter(torch.zeros_like(taken.running_mean))  # pyright: ignore[reportArgumentType]
    linear = isinstance(old, nn.Linear)
    fuse = fuse_linear_bn_eval if linear else fuse_conv_bn_eval
    model.set_submodule(layer, fuse(old.double(), taken.double()))  # pyright: ignore[reportArgumentType]
    model.set_submodule(norm, Folded() if linear else nn.Identity())


@torch.no_grad()
def _scale(layer: nn.Linear | nn.Conv1d | nn.Conv2d, whole: Tensor, threshold: float) -> None:
    """Each unit's weights to its whole numbers times the nearest power of two; what it decides stays."""
    k, weight = whole.flatten(1).double(), layer.weight.flatten(1).double()
    heaviest = k.abs().argmax(1, keepdim=True)
    factor = (weight.gather(1, heaviest) / k.gather(1, heaviest))[:, 0]
    power = factor.sign() * torch.exp2(torch.round(torch.log2(factor.abs())))
    ratio = power / factor
    usable = ratio.isfinite()  # not where all weights are 0
    bias = torch.zeros(len(k), dtype=torch.float64) if layer.bias is None else layer.bias.double()
    bias = torch.where(usable, threshold + ratio * (bias - threshold), bias)
    layer.weight = nn.Parameter(_of(torch.where(usable[:, None], power[:, None] * k, weight), layer.weight))
    layer.bias = nn.Parameter(bias)


@torch.no_grad()
def _put_on_grid(layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
    """A bias is one more weight: the sums that end in it are exact too. It is rounded down: where the weights were
    on the grid before, so are their sums, and those that reached a threshold on the grid are those that still do."""
    weight = layer.weight.flatten(1)
    if layer.bias is None:
        layer.weight.copy_(_of(on_grid(weight), layer.weight))
        return
    flat = torch.cat([weight, layer.bias[:, None]], 1).double()
    steps = grid_steps(flat)
    layer.weight.copy_(_of(torch.round(flat[:, :-1] * steps) / steps, layer.weight))
    layer.bias.copy_((torch.floor(flat[:, -1:] * steps) / steps)[:, 0])


def _of(flat: Tensor, like: Tensor) -> Tensor:
    return flat.reshape(like.shape)


def _thresholds(model: nn.Module, graph: fx.Graph) -> dict[str, float]:
    """Of layers, called once, whose values go nowhere but into a step: its threshold."""
    found = {}
    calls = _calls(graph)
    for node in graph.nodes:
        name, at = str(node.target), node
        if node.op != "call_module" or calls[name] > 1 or not isinstance(model.get_submodule(name), LAYERS):
            continue
        module: nn.Module = nn.Identity()
        while isinstance(module, nn.Identity | Folded) and len(at.users) == 1:
            (at,) = at.users
            module = model.get_submodule(str(at.target)) if at.op == "call_module" else nn.Module()
        if isinstance(module, Step) or (isinstance(module, Sharpened) and module.is_step):
            found[name] = CENTRE if isinstance(module, Sharpened) else module.threshold
    return found


def _calls(graph: fx.Graph) -> Counter[str]:
    return Counter(str(node.target) for node in graph.nodes if node.op == "call_module")


def _pairs(model: nn.Module, graph: fx.Graph) -> list[tuple[str, str]]:
    """Layers and the batch norm that alone reads them, each called once."""
    calls, found = _calls(graph), []
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        layer, norm = str(before.target), str(node.target)
        known = isinstance(model.get_submodule(layer), LAYERS)
        if known and isinstance(model.get_submodule(norm), NORMS) and calls[layer] == calls[norm] == 1:
            found.append((layer, norm))
    return found
