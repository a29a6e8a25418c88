"""Hashes of samples: what a change of the code that should change no result is checked by.

    python -m benchmarks.samples --out before.json        # before the change
    python -m benchmarks.samples --check before.json      # after it

About fifty networks (every neuron, noise and synapse; converted modules and networks put together by hand), each by
every engine that runs it, in float32 and float64, modules too. Hashes hold for one machine and one torch: the last
bits of a matrix product depend on the processor.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import spikebayes as sb
from spikebayes.network import AvgPool, Conv, Dense
from spikebayes.nn import zoo

ROWS, SAMPLES, STEPS, BURN_IN = 5, 7, 60, 30
LOWPASS = sb.Lowpass(0.005)


class Net(nn.Module):
    """A module of named parts with a forward that is given."""

    def __init__(self, function: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


class Pair(Net):
    """The same with two arguments."""

    def forward(self, x: Tensor, y: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.function(self, x, y)


def _act() -> nn.Module:
    return sb.nn.SoftLIF(1e-3)


def _normed(model: nn.Module, *x: Tensor) -> nn.Module:
    """Batch norms that have seen some data."""
    with torch.no_grad():
        for _ in range(3):
            model.train()(*(torch.randn_like(part) for part in x))
    return model.eval()


def _stepped(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, sb.nn.Sharpened):
            module.sharpen(1.0)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.4)
    return model


def modules() -> Iterator[tuple[str, nn.Module, Any, list[dict[str, Any]]]]:
    """Name, module, its input, and the settings it is converted with."""
    x, image = torch.randn(ROWS, 6), torch.randn(ROWS, 3, 8, 8)
    filters: list[dict[str, Any]] = [{}, {"synapse": sb.Lowpass(0.01)}, {"synapse": None}, {"dt": 5e-4}]
    yield "mlp p=.1", zoo.mlp(6, 2, [40, 30], 0.1), x, filters
    yield "mlp p=.5", zoo.mlp(6, 1, [20], 0.5), x, [{}]
    yield "mlp p=.25 wide", zoo.mlp(6, 1, [300, 280], 0.25), x, [{}, {"synapse": sb.Alpha(0.005)}]
    yield "input dropout", nn.Sequential(nn.Dropout(0.3), nn.Linear(6, 30), _act(), nn.Linear(30, 2)), x, [{}]
    conv = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), _act(), nn.Dropout2d(0.2), nn.AvgPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2, groups=2), _act(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    yield "conv", _normed(conv, image), image, [{}]
    line = nn.Sequential(
        nn.Conv1d(3, 5, 3, padding="same"), _act(), nn.Dropout1d(0.5), nn.AdaptiveAvgPool1d(4), nn.Flatten(),
        nn.Linear(20, 1),
    )  # fmt: skip
    yield "conv1d", line, image.flatten(2)[..., :9], [{}]

    def residual(m: Any, x: Tensor) -> Tensor:
        h = m.drop(m.act(m.first(x)))
        return m.last(torch.cat([h + 0.5 * m.drop(m.act(m.middle(h))), x], 1))

    parts = {"first": nn.Linear(6, 20), "middle": nn.Linear(20, 20), "last": nn.Linear(26, 2)}
    yield "residual, cat", Net(residual, act=_act(), drop=nn.Dropout(0.2), **parts), x, [{}]

    def towers(m: Any, x: Tensor, y: Tensor) -> Tensor:
        return m.last(torch.cat([m.drop(m.act(m.tower(x))), m.drop(m.act(m.tower(y)))], 1))

    shared = {"tower": nn.Linear(6, 15), "last": nn.Linear(30, 1)}
    yield "shared tower", Pair(towers, act=_act(), drop=nn.Dropout(0.1), **shared), (x, torch.randn(ROWS, 6)), [{}]
    samplings: list[dict[str, Any]] = [{"sampling": s} for s in (sb.Exact(), sb.Gaussian(), sb.Law())]
    yield "s2m", zoo.s2m(6, 3, [40, 36]), x, samplings
    digits = torch.rand(ROWS, 1, 28, 28)
    yield "s2m conv", zoo.s2m_conv(3), 2 * digits - 1, [{"sampling": sb.Exact()}, {"sampling": sb.Gaussian()}]
    yield "sigmoid units", zoo.sigmoid_network(6, 3, [30, 20]), x, [{}]
    yield "sharpened", _stepped(_normed(zoo.sharpened((6,), 3, hidden=[40, 30], width=12, dropout=0.1), x)), x, [{}]
    layers = {"convolutions": [(40, 3, True), (16, 3, True)], "hidden": (30,)}
    thick = zoo.sharpened((3, 8, 8), 3, width=12, dropout=0.5, bits=8, **layers)  # pyright: ignore
    yield "sharpened conv, max pool", _stepped(_normed(thick, image)), image, [{}]
    signs = nn.Sequential(sb.nn.NoisySign(0.5), sb.nn.BlankOutLinear(6, 40), nn.Linear(40, 2))
    yield "noisy signs", signs, x, [{}]
    spikes = nn.Sequential(sb.nn.BernoulliSpikes(), nn.Linear(6, 40), sb.nn.Step(), nn.Dropout(0.1), nn.Linear(40, 2))
    yield "Bernoulli spikes", spikes, torch.rand(ROWS, 6), [{}]


def networks() -> Iterator[tuple[str, sb.SpikingNetwork, Tensor]]:
    """Networks put together by hand."""
    x = torch.randn(ROWS, 4)
    lif = sb.LIF(tau_ref=0.001, amplitude=0.01, gain=2.0, bias=1.5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64) / shape[-1] ** 0.5

    def two(first: Any, second: Any, noise: Any, late: Any = None, synapse: Any = LOWPASS, **more: Any) -> Any:
        wires = (
            sb.Connection("x", "a", Dense(normal(30, 4)), **more),
            sb.Connection("a", "b", Dense(normal(20, 30)), synapse),
            sb.Connection("b", "readout", Dense(normal(2, 20)), synapse),
            sb.Connection("a", "readout", Dense(normal(2, 30)), synapse),
        )
        populations = (
            sb.Population("a", (30,), first, noise, normal(30)),
            sb.Population("b", (20,), second, late),
        )
        inputs = (sb.Input("x", (4,), more.pop("dropout", None)),)
        return sb.SpikingNetwork(inputs, populations, wires, sb.Readout((2,), normal(2)), 1e-3)

    yield "mask redrawn", two(lif, lif, sb.Dropout(0.5, hold=7, start=3)), x
    yield "masks of samples", two(lif, lif, sb.Dropout(0.1, hold=5, site=1, successive=True)), x
    yield "two masks", two(lif, lif, sb.Dropout(0.25), sb.Dropout(0.1, site=1, hold=9)), x
    yield "LIF, threshold", two(lif, sb.Threshold(0.3), sb.Dropout(0.5)), x
    yield "threshold, LIF", two(sb.Threshold(0.1), lif, sb.Dropout(0.25, site=2)), x
    yield "no filter", two(lif, lif, sb.Dropout(0.5), synapse=None), x
    yield "LIF, long rest", two(sb.LIF(0.02, 0.005, 0.01, 2.0, 1.2), lif, sb.Dropout(0.5)), x
    yield "LIF, sign", two(lif, sb.Sign(), sb.Dropout(0.5)), x
    yield "LIF, Bernoulli", two(lif, sb.Bernoulli(sb.Curve.SIGMOID, 0, 1), sb.Dropout(0.5)), x
    yield "signs", two(sb.Sign(), sb.Sign(), sb.Dropout(0.5), synapse=None), x
    for curve in sb.Curve:
        units = sb.Bernoulli(curve, -1, 3), sb.Bernoulli(curve, 0, 4)
        yield f"Bernoulli {curve.value}", two(*units, None, synapse=None), x
    for hold in (None, 1, 4):
        noise = sb.BlankOut(0.75, 0.1, hold, 2)
        yield f"blank-out, hold {hold}", two(sb.Sign(), sb.Threshold(0.2), None, synapse=None, blank_out=noise), x
    yield "blank-out before LIF", two(lif, lif, None, blank_out=sb.BlankOut(0.5, 0.2, 1, 5)), x
    maps = (
        sb.Connection("x", "a", Conv(normal(4, 3, 3, 3), (1, 1), (1, 1), (1, 1))),
        sb.Connection("a", "b", Conv(normal(6, 4, 3, 3), (2, 2), (0, 0), (1, 1)), sb.Alpha(0.005)),
        sb.Connection("b", "c", AvgPool((3, 3), (1, 1), (0, 0)), sb.Alpha(0.005)),
        sb.Connection("c", "readout", Dense(normal(2, 1))),
    )
    shapes = (sb.Population("a", (4, 8, 8), lif, sb.Dropout(0.5, repeat=64)), sb.Population("b", (6, 3, 3), lif))
    last = sb.Population("c", (6, 1, 1), lif)
    readout = sb.Readout((6, 1, 2))
    inputs = (sb.Input("x", (3, 8, 8), sb.Dropout(0.1, hold=11, site=7)),)
    yield "maps", sb.SpikingNetwork(inputs, (*shapes, last), maps, readout), torch.randn(ROWS, 3, 8, 8)


def digest(*tensors: Tensor | None) -> str:
    """SHA-256 of shapes, types and bytes."""
    found = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            found.update(f"{tensor.dtype}{list(tensor.shape)}".encode())
            found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def of_network(name: str, network: sb.SpikingNetwork, x: Any, out: dict[str, str]) -> None:
    """Hashes of a network's predictions and simulations by every engine and dtype."""
    for engine in ("cpu", "reference"):
        for dtype in (torch.float32, torch.float64):
            label = f"{name}, {engine}, {str(dtype)[6:]}"
            settings: dict[str, Any] = {"seed": 3, "engine": engine, "dtype": dtype, "samples": SAMPLES}
            try:
                for scope in ("row", "pass"):
                    steps = {"steps": STEPS, "burn_in": BURN_IN}
                    found = sb.predict(network, x, mask_scope=scope, **steps, **settings)  # pyright: ignore
                    out[f"{label}, {scope}"] = digest(found.samples)
                probe = ["spikes", "trace", "potentials"]
                run = sb.simulate(network, x, steps=25, burn_in=5, window=sb.Hann(), probe=probe, **settings)
                inside = (*run.counts.values(), *run.spikes.values(), *run.potentials.values())
                out[f"{label}, inside"] = digest(run.mean, run.trace, *inside)
            except sb.ConfigError as refusal:
                out[label] = f"refused: {refusal}"


def all_hashes() -> dict[str, str]:
    """A hash for every case."""
    out: dict[str, str] = {}
    torch.manual_seed(0)
    for name, module, x, settings in modules():
        for scope in ("row", "pass"):
            found = sb.predict(module, x, samples=SAMPLES, seed=3, mask_scope=scope)  # pyright: ignore
            out[f"{name}, module, {scope}"] = digest(found.samples)
        for i, setting in enumerate(settings):
            network = sb.convert(module, list(x) if isinstance(x, tuple) else x, **setting)
            of_network(f"{name}, converted {i}", network, x, out)
            if not network.is_memoryless and "drop" not in name:
                redraw = sb.Redraw(hold=10, gap=4, lead=12, stagger=3)
                found = sb.predict(network, x, samples=SAMPLES, seed=3, redraw=redraw)
                out[f"{name}, converted {i}, redrawn"] = digest(found.samples)
            if name.startswith("sharpened"):
                folded = sb.folded(module)
                made = sb.convert(folded, x)
                of_network(f"{name}, folded", made, x, out)
                of_network(f"{name}, folded, blanked", sb.with_blank_out(made, 0.75), x, out)
    for name, network, x in networks():
        of_network(name, network, x, out)
    return out


def main() -> int:
    """Write the hashes, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the hashes here")
    parser.add_argument("--check", type=Path, help="compare with these")
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of coarse steps
        found = all_hashes()
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} hashes")
    if arguments.check is None:
        return 0
    before = json.loads(arguments.check.read_text(encoding="utf-8"))
    different = sorted(name for name in {*before, *found} if before.get(name) != found.get(name))
    for name in different:
        print(f"differs: {name}: {before.get(name)} -> {found.get(name)}")
    print(f"{len(before) - len(different)} of {len(before)} are the same")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
