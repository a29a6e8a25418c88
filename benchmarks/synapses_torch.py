"""Synapses that blank out as one writes them in torch: a mask for every sample of every image, layer by layer.

u = ((xi + a) * w) @ z with xi [N, O, K] drawn anew for each of the N samples that go through together; the masks'
memory is used again, and a * w is computed once. ``bernoulli_`` is torch's draw of a mask. Its generator is serial
and takes most of the time; comparing uniform numbers with p is faster, so that is measured too.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.measure import clock
from spikebayes.nn import BlankOutLinear, NoisySign

Draw = Callable[[Tensor, float], Tensor]  # fills a tensor with 1 with probability p, else 0
WAYS_TO_DRAW: dict[str, Draw] = {
    "torch_bernoulli": lambda xi, p: xi.bernoulli_(p),
    "torch_uniform": lambda xi, p: xi.uniform_().lt_(p),
}
BATCHES = (1, 4, 16, 64)  # samples that go through together


def fastest_batch(network: nn.Sequential, images: Tensor, samples: int, draw: Draw) -> int:
    """Of ``BATCHES`` the one that a few samples take least time with."""
    sizes = [n for n in BATCHES if n <= len(images) * samples] or [1]
    return min(sizes, key=lambda n: min(clock(lambda: sample(network, images, samples, draw, n)) for _ in range(2)))


@torch.inference_mode()
def sample(network: nn.Sequential, images: Tensor, samples: int, draw: Draw, batch: int) -> Tensor:
    """``[S, B, C]`` read-outs of a network that ``zoo.s2m`` made."""
    encoder, *layers, readout = network
    assert isinstance(encoder, NoisySign)
    blanked = [layer for layer in layers if isinstance(layer, BlankOutLinear)]
    constant = [layer.scale[:, None] * layer.weight for layer in blanked]  # a_i w_ij
    memory = [torch.empty(batch, *layer.weight.shape) for layer in blanked]
    outputs = []
    for x in images.repeat(samples, 1).split(batch):
        z = _signs(x + encoder.sigma * torch.randn_like(x) - encoder.threshold)  # [N, K]
        for layer, aw, masks in zip(blanked, constant, memory, strict=True):
            xi = draw(masks[: len(x)], layer.keep)  # [N, O, K]
            weight = torch.addcmul(aw, xi, layer.weight, out=xi)
            z = _signs(torch.bmm(z[:, None], weight.transpose(1, 2))[:, 0])
        outputs.append(readout(z))
    return torch.cat(outputs).unflatten(0, (samples, len(images)))


def _signs(u: Tensor) -> Tensor:
    return (u >= 0).to(u.dtype) * 2 - 1
