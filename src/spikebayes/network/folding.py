"""A trained module as its threshold network computes it: batch norm folded, every sum exact."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from spikebayes.blank_out import on_grid
from spikebayes.errors import ConversionError
from spikebayes.network.tracing import trace
from spikebayes.nn.few_bits import settle_bits

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
VECTORS = 2  # axes of [B, F]
TRIED = 2  # rows that show shapes: a norm without statistics takes no single one


def folded(model: nn.Module, arguments: int | Tensor | Sequence[Tensor] = 1) -> nn.Module:
    """A copy whose batch norms are folded into the layers before them, and whose weights are on a grid.

    Weights and biases of all Linear and Conv layers become multiples of a power of two, per unit
    (:func:`~spikebayes.blank_out.on_grid`), so that sums over spikes of 0 and 1 are exact in float32. ``convert``
    puts weights on the same grid; of the copy it makes a network that takes the same decision at every unit that
    sees spikes, whatever the engine, where a batch norm left to be folded on the way would round here and there.
    The first layer is on the grid too, but sums over real inputs round all the same.

    A Linear layer acts on the last axis, a batch norm on axis 1: they fold where the layer gives ``[B, F]``. Example
    inputs show where it does. Without them every Linear layer with as many units as the norm behind it has features
    is taken to do so, and the copy, like ``convert`` of it, refuses other values there.

    Args:
        model: feed-forward module that ``convert`` understands; left as it is.
        arguments: how many inputs its forward takes; or an example of each, ``[B, *shape]``, of which only the
            shapes are read.

    Returns:
        The copy, in evaluation mode. Batch norms stay that follow no Linear or Conv layer, that act on another axis
        than its units, or that have no running statistics.

    Raises:
        ConversionError: the module cannot be traced, or does not take the examples. Of the copy's forward, and of
            ``convert``: a Linear layer folded without examples gives something else than ``[B, F]``.

    Reference:
        the folding is Jacob et al. 2018, arXiv:1712.05877, section 3.2, with sqrt(var + eps).

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        >>> [type(m).__name__ for m in folded(net)]
        ['Linear', 'Folded']
        >>> [type(m).__name__ for m in folded(net, torch.zeros(1, 3, 2))]
        ['Linear', 'BatchNorm1d']
    """
    made = copy.deepcopy(model).eval()
    settle_bits(made)
    examples = [arguments] if isinstance(arguments, Tensor) else arguments
    pairs = _pairs(made, trace(made, examples if isinstance(examples, int) else len(examples)))
    axes = {} if isinstance(examples, int) else _axes(made, {layer for layer, _ in pairs}, examples)
    for layer, norm in pairs:
        if _acts_on_units(made.get_submodule(norm), made.get_submodule(layer), axes.get(layer, VECTORS)):
            _fold(made, layer, norm)
    for module in made.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            _put_on_grid(module)
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
    model.set_submodule(layer, fuse(old, taken))  # pyright: ignore[reportArgumentType]
    model.set_submodule(norm, Folded() if linear else nn.Identity())


@torch.no_grad()
def _put_on_grid(layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
    """A bias is one more weight: the sums that end in it are exact too."""
    flat = layer.weight.flatten(1)
    if layer.bias is not None:
        flat = torch.cat([flat, layer.bias[:, None]], 1)
    flat = on_grid(flat)
    layer.weight.copy_(_of(flat[:, : layer.weight[0].numel()], layer.weight))
    if layer.bias is not None:
        layer.bias.copy_(flat[:, -1])


def _of(flat: Tensor, like: Tensor) -> Tensor:
    return flat.reshape(like.shape)


def _pairs(model: nn.Module, graph: fx.Graph) -> list[tuple[str, str]]:
    """Layers and the batch norm that alone reads them, each called once."""
    calls: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)] = calls.get(str(node.target), 0) + 1
    found = []
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        layer, norm = str(before.target), str(node.target)
        known = isinstance(model.get_submodule(layer), nn.Linear | nn.Conv1d | nn.Conv2d)
        if known and isinstance(model.get_submodule(norm), NORMS) and calls[layer] == calls[norm] == 1:
            found.append((layer, norm))
    return found
