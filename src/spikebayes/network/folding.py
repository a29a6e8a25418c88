"""A trained module as its threshold network computes it: batch norm folded, every sum exact."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from spikebayes.blank_out import on_grid
from spikebayes.network.tracing import trace
from spikebayes.nn.few_bits import settle_bits

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def folded(model: nn.Module, arguments: int = 1) -> nn.Module:
    """A copy whose batch norms are folded into the layers before them, and whose weights are on a grid.

    Weights and biases of Linear and Conv layers that see spikes become multiples of a power of two, per unit
    (:func:`~spikebayes.blank_out.on_grid`), so that sums over spikes of 0 and 1 are exact in float32. ``convert``
    puts weights on the same grid; of the copy it makes a network that takes the same decision at every unit,
    whatever the engine, where a batch norm left to be folded on the way would round here and there.

    Args:
        model: feed-forward module that ``convert`` understands; left as it is.
        arguments: how many inputs its forward takes.

    Returns:
        The copy, in evaluation mode. Batch norms that follow no Linear or Conv layer stay.

    Raises:
        ConversionError: the module cannot be traced.

    Reference:
        the folding is Jacob et al. 2018, arXiv:1712.05877, section 3.2, with sqrt(var + eps).

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        >>> [type(m).__name__ for m in folded(net)]
        ['Linear', 'Identity']
    """
    made = copy.deepcopy(model).eval()
    settle_bits(made)
    for layer, norm in _pairs(made, trace(made, arguments)):
        old = made.get_submodule(layer)
        fuse = fuse_linear_bn_eval if isinstance(old, nn.Linear) else fuse_conv_bn_eval
        made.set_submodule(layer, fuse(old, made.get_submodule(norm)))  # pyright: ignore[reportArgumentType]
        made.set_submodule(norm, nn.Identity())
    for module in made.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            _put_on_grid(module)
    return made


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
