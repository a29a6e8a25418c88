"""What Monte Carlo dropout does, against torch's own count of the module and against loops over masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from modules import Net, Net2, act, dense
from spikebayes import convert
from spikebayes.evaluate.energy.classical_counts import ClassicalCounts
from spikebayes.evaluate.energy.spiking_counts import count
from spikebayes.network.noise import Dropout
from spikebayes.network.operators import size
from spikebayes.nn import Permadrop, zoo
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys

ROWS, SAMPLES, SEED = 3, 4, 7


def counted(
    model: nn.Module, *shapes: tuple[int, ...], scope: Any = "row", samples: int = SAMPLES
) -> ClassicalCounts:
    generator = torch.Generator().manual_seed(0)
    x = [torch.randn(ROWS, *shape, generator=generator) for shape in shapes]
    settings: dict[str, Any] = {"samples": samples, "steps": 2, "burn_in": 0, "seed": SEED, "mask_scope": scope}
    return count(convert(model, x), x, **settings)[1]


def flops(model: nn.Module, *shapes: tuple[int, ...]) -> int:
    """Multiply-accumulates of linear and convolutional layers in one pass of one row, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        model.eval()(*(torch.zeros(1, *shape) for shape in shapes))
    return counter.get_total_flops() // 2


def masks(p: float, site: int, units: int, scope: str = "row", repeat: int = 1) -> Tensor:
    """``[S, B, N]`` bool."""
    pairs = torch.cartesian_prod(torch.arange(SAMPLES), torch.arange(ROWS))
    rows = pairs[:, 1] if scope == "row" else torch.zeros_like(pairs[:, 1])
    return dropout_keep(Dropout(p, site=site, repeat=repeat), Keys(SEED, pairs[:, 0], rows), units).reshape(
        SAMPLES, ROWS, units
    )


def residual() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.drop(m.a(x))
        return m.out(m.b(h) + h)

    return Net(forward, a=dense(4, 5), b=dense(5, 5), drop=nn.Dropout(0.4), out=nn.Linear(5, 2))


def concatenated() -> nn.Module:
    def forward(m: Any, x: Tensor, y: Tensor) -> Tensor:
        return m.out(m.c(torch.cat([m.drop(m.a(x)), m.drop(m.b(y))], 1)))

    return Net2(forward, a=dense(4, 3), b=dense(2, 5), c=dense(8, 6), drop=nn.Dropout(0.4), out=nn.Linear(6, 2))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "mlp": (lambda: zoo.mlp(4, 2, [7, 6], 0.5), ((4,),)),
    "combo, one tower for two drugs": (lambda: zoo.combo(5, 6, 7, 0.5), ((5,), (6,), (6,))),
    "residual sum": (residual, ((4,),)),
    "concatenation": (concatenated, ((4,), (2,))),
    "conv": (
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 3, 3, stride=2), act(), Permadrop(0.3), nn.Conv2d(3, 4, 2), act()),
            *(nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(36, 2)),
        ),
        ((2, 9, 9),),
    ),
    "batch norm, folded": (
        lambda: nn.Sequential(
            *(nn.Linear(4, 6), nn.BatchNorm1d(6), act(), Permadrop(0.5)),
            *(nn.Linear(6, 5), nn.BatchNorm1d(5), act(), nn.Linear(5, 1)),
        ),
        ((4,),),
    ),
    "one activation under two masks": (
        lambda: Net(
            lambda m, x: _twice(m, m.a(x)),
            a=dense(4, 5),
            drop=nn.Dropout(0.4),
            one=nn.Linear(5, 2),
            other=nn.Linear(5, 2),
        ),
        ((4,),),
    ),
}


def _twice(m: Any, h: Tensor) -> Tensor:
    return m.one(m.drop(h)) + m.other(m.drop(h))


@pytest.mark.parametrize("name", MODELS)
def test_a_pass_is_torchs_own_count(name: str) -> None:
    make, shapes = MODELS[name]
    model = make()
    once = counted(model, *shapes, samples=1)
    assert once.macs == ROWS * flops(model, *shapes)
    assert once.kept_macs < once.macs


def test_padding_is_not_multiplied() -> None:
    """torch counts products with the zeros around an image."""
    model = nn.Sequential(nn.Conv1d(1, 1, 3, padding=1), act(), Permadrop(0.5), nn.Flatten(), nn.Linear(5, 1))
    assert flops(model, (1, 5)) == 15 + 5
    assert counted(model, (1, 5), samples=1).macs == ROWS * (13 + 5)


def test_pools_and_scales_work_on_what_they_read() -> None:
    model = nn.Sequential(
        *(nn.Conv1d(2, 3, 2), act(), nn.Dropout(0.5), nn.AvgPool1d(2), nn.BatchNorm1d(3), nn.Conv1d(3, 1, 2), act()),
        *(nn.Flatten(), nn.Linear(2, 1)),
    )
    found = counted(model, (2, 7), samples=1)
    assert found.macs == ROWS * (2 * 3 * 2 * 6 + 3 * 6 + 3 * 3 + 3 * 2 * 2 + 2)


@pytest.mark.parametrize("scope", ["row", "pass"])
def test_what_no_mask_comes_before_is_computed_once_a_row(scope: str) -> None:
    found = counted(zoo.mlp(4, 2, [7, 6], 0.5), (4,), scope=scope)
    a, b = masks(0.5, 0, 7, scope).sum(2), masks(0.5, 1, 6, scope).sum(2)
    each = int((a * b + 2 * b).sum())
    assert found.macs == ROWS * 4 * 7 + SAMPLES * ROWS * (7 * 6 + 6 * 2)
    assert found.kept_macs == ROWS * 4 * 7 + each
    assert found.activations == ROWS * 7 + SAMPLES * ROWS * 6
    assert found.kept_activations == ROWS * 7 + int(b.sum())
    assert found.passes == SAMPLES


def test_a_masked_input_is_computed_anew_in_every_pass() -> None:
    model = nn.Sequential(nn.Dropout(0.5), dense(4, 7), nn.Linear(7, 2))
    found = counted(model, (4,))
    x = masks(0.5, 0, 4).sum(2)
    assert found.macs == SAMPLES * ROWS * (4 * 7 + 7 * 2)
    assert found.kept_macs == int((x * 7).sum()) + SAMPLES * ROWS * 7 * 2
    assert found.activations == found.kept_activations == SAMPLES * ROWS * 7


def test_dropped_maps_and_neurons_of_a_convolution_are_skipped() -> None:
    first, second = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(3, 4, 3, padding=1)
    model = nn.Sequential(
        *(first, act(), nn.Dropout2d(0.5), second, act(), Permadrop(0.3), nn.Flatten(), nn.Linear(64, 2))
    )
    found = counted(model, (2, 7, 7))
    with torch.no_grad():
        reach = torch.func.vmap(lambda x: nn.functional.conv2d(x[None], second.weight, padding=1)[0])(
            torch.eye(48).reshape(48, 3, 4, 4)
        )
    pattern = (reach.reshape(48, 64) != 0).double()
    kept_a, kept_b = masks(0.5, 0, 48, repeat=16).double(), masks(0.3, 1, 64).double()
    middle = torch.einsum("sbn,nm,sbm->", kept_a, pattern, kept_b)
    shared = ROWS * 2 * 3 * (3 * 4 - 2) ** 2  # 7 places and 1 on either side: windows of 2, 3, 3, 2
    assert found.kept_macs == shared + int(middle) + 2 * int(kept_b.sum())
    assert found.kept_activations == ROWS * size((3, 4, 4)) + int(kept_b.sum())


def test_a_neuron_is_skipped_only_where_no_reader_keeps_it() -> None:
    make, _ = MODELS["one activation under two masks"]
    network = convert(nn.Sequential(nn.Dropout(0.5), make()), torch.zeros(1, 4))  # so that it is computed every time
    assert [p.shape for p in network.populations] == [(5,), (5,)]
    x = torch.randn(ROWS, 4)
    spiking, found = count(network, x, samples=SAMPLES, steps=2, burn_in=0, seed=SEED)
    either = (masks(0.4, 1, 5) | masks(0.4, 2, 5)).sum()
    assert found.activations == SAMPLES * ROWS * 5
    assert found.kept_activations == either
    assert spiking.dense_neuron_updates == SAMPLES * ROWS * 2 * 10
