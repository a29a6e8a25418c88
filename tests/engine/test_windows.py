"""Numbers by products are those of the ticks, to the bit; one run of S samples is S simulations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from coded_networks import CODES, coded
from spikebayes import ConfigError, Digits, FirstSpike, Graded, SpikingNetwork, convert, predict, simulate
from spikebayes.conversion.number_grids import weight_norms
from spikebayes.engine.windows.links import Link
from spikebayes.engine.windows.tell import Told
from spikebayes.network.coded import Coded, Race, Ramp
from spikebayes.network.codes import Code
from spikebayes.network.network import Connection, Input, Population, Readout
from spikebayes.network.operators import Chain, Dense, Operator, Pick, Windows
from spikebayes.network.store import load_network, save_network
from spikebayes.prediction.simulate import Run

SAMPLES, ROWS = 3, 4
EACH = 5  # networks of a test


def ran(network: SpikingNetwork, x: Sequence[Tensor], engine: str, **settings: Any) -> Run:
    return simulate(network, list(x), seed=7, engine=engine, probe=["numbers"], **{"samples": SAMPLES, **settings})


def assert_same(a: Run, b: Run) -> None:
    assert torch.equal(a.mean.float(), b.mean.float()), float((a.mean - b.mean).abs().max())
    for name, numbers in a.numbers.items():
        assert torch.equal(numbers, b.numbers[name]), name
        assert torch.equal(a.counts[name], b.counts[name]), name
    assert a.saturated.keys() == b.saturated.keys()
    for name, cut in a.saturated.items():
        assert torch.equal(cut, b.saturated[name]), name


def seeds(first: int, last: int) -> list[Any]:
    """Blocks of networks; the first are looked at every time."""
    quick = range(first, first + 4 * EACH, EACH)
    return [pytest.param(k, marks=() if k in quick else pytest.mark.slow) for k in range(first, last, EACH)]


@pytest.mark.parametrize("first", seeds(0, 220))
def test_ticks_and_products_give_the_same_numbers_spikes_and_read_outs(first: int) -> None:
    told = 0
    for seed in range(first, first + EACH):
        network, rows = coded(seed)
        x = [part[:ROWS] * (1, 1, 3, 10, 1000)[seed % 5] for part in rows]
        ticks = ran(network, x, "reference")
        assert_same(ticks, ran(network, x, "windows"))
        assert_same(ticks, ran(network, x, "windows", dtype=torch.float64))
        assert_same(ticks, ran(network, x, "windows", batch_size=1 + seed % 3))
        told += sum(int(numbers.abs().sum()) for numbers in ticks.numbers.values())
    assert told > 0


@pytest.mark.parametrize("code", [Digits(4, 4), FirstSpike(64), Graded(8)], ids=str)
def test_the_largest_sums_take_float64_and_are_the_same(code: Code) -> None:
    torch.manual_seed(1)
    layers = [nn.Linear(5, 400), nn.ReLU(), nn.Dropout(0.1), nn.Linear(400, 300), nn.Tanh(), nn.Linear(300, 2)]
    model = nn.Sequential(*layers)
    x = torch.randn(100, 5)
    network = convert(model, x, code=code)
    for scale in (1, 10, 1e3, 1e6):
        assert_same(ran(network, [x[:6] * scale], "reference"), ran(network, [x[:6] * scale], "windows"))


def test_threads_and_batches_change_no_bit() -> None:
    before = torch.get_num_threads()
    try:
        for seed in range(300, 302):
            network, rows = coded(seed)
            torch.set_num_threads(1)
            one = ran(network, rows, "windows", samples=5)
            torch.set_num_threads(2)
            assert_same(one, ran(network, rows, "windows", samples=5))
            assert_same(one, ran(network, rows, "windows", samples=5, batch_size=7))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("seed", [410, 411, 412, 413])
def test_a_stored_network_gives_the_same_numbers(seed: int, tmp_path: Path) -> None:
    network, rows = coded(seed)
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    x = [part[:ROWS] for part in rows]
    assert repr(loaded) == repr(network)
    assert_same(ran(network, x, "windows"), ran(loaded, x, "windows"))
    assert_same(ran(network, x, "reference"), ran(loaded, x, "reference"))


QUICK = [pytest.param(c, marks=pytest.mark.slow if c.ticks > 20 else ()) for c in CODES]


@pytest.mark.parametrize("code", QUICK, ids=str)
def test_one_run_gives_the_samples_of_separate_simulations(code: Code) -> None:
    network, rows = coded(500 + CODES.index(code), code)
    x = [part[:3] for part in rows]
    together = ran(network, x, "reference", samples=5)
    for k in (0, 2):
        alone = ran(network, [part[k : k + 1] for part in x], "reference", samples=5, rows=[k])
        assert torch.equal(alone.mean, together.mean[:, k : k + 1])
    first = ran(network, x, "reference", samples=1)
    assert torch.equal(first.mean[0], together.mean[0])
    found = predict(network, x, samples=5, seed=7, engine="windows")
    assert torch.equal(found.samples, together.mean.flatten(2))
    windows = 5 + max(network.depths.values())
    told = {name: found.settings[name] for name in ("windows", "ticks_per_sample", "ticks")}
    assert told == {"windows": windows, "ticks_per_sample": code.ticks, "ticks": windows * code.ticks}


@pytest.mark.parametrize("code", [c for c in CODES if not c.graded], ids=str)
def test_spikes_tell_the_numbers_and_the_trace_ends_in_the_read_out(code: Code) -> None:
    network, rows = coded(700 + CODES.index(code), code)
    run = simulate(network, [p[:3] for p in rows], samples=2, probe=["spikes", "numbers", "trace"], seed=7)
    worth = [k * code.base**place for place in reversed(range(code.places)) for k in range(code.base - 1, 0, -1)]
    for name, spikes in run.spikes.items():
        assert torch.equal((spikes * torch.tensor(worth)[:, None]).sum(2), run.numbers[name].abs().long())
        assert torch.equal(spikes.sum((2, 3)), run.counts[name])
        digits = spikes.unflatten(2, (code.places, code.base - 1))
        assert int(digits.sum(3).max()) <= 1  # one spike a digit
    assert run.trace is not None
    assert torch.equal(run.trace[:, :, -1], run.mean)


def test_under_one_mask_for_all_rows_a_row_is_the_same_alone() -> None:
    network, rows = coded(520)
    x = [part[:3] for part in rows]
    whole = ran(network, x, "reference", mask_scope="pass")
    assert_same(whole, ran(network, x, "windows", mask_scope="pass"))
    alone = ran(network, [part[1:2] for part in x], "windows", mask_scope="pass")
    assert torch.equal(alone.mean, whole.mean[:, 1:2])


class Threes(Operator):
    """Windows of three units, two apart, said otherwise."""

    rearranges = True

    def forward(self, x: Tensor) -> Tensor:
        return x.unfold(-1, 3, 2)


def test_runners_that_are_lined_up_otherwise_race_on_the_reference() -> None:
    plain, x = race(Digits(4, 2)), torch.randint(-15, 16, (20, 1, 9)).float()
    wires = tuple(replace(c, operator=Threes()) if c.target == "max" else c for c in plain.connections)
    other = replace(plain, connections=wires)
    with pytest.raises(ConfigError, match=r"the windows engine cannot .*: races, as of 'max', of runners"):
        simulate(other, x, engine="windows")
    run = simulate(other, x)
    assert run.engine == "reference"
    assert torch.equal(run.mean, simulate(plain, x, engine="windows").mean)


def race(code: Code, kept: Tensor | None = None) -> SpikingNetwork:
    """Signed numbers in windows of three, each unit's input its number."""
    neuron = Coded(code, Ramp(torch.ones(())), torch.tensor(float(code.highest)))
    return SpikingNetwork(
        (Input("x", (1, 9)),),
        (Population("a", (1, 9), neuron), Population("max", (1, 4), Race(code))),
        (
            Connection("x", "a", Dense(torch.eye(9))),
            Connection("a", "max", Windows((3,), (2,), (0,), (1,))),
            Connection("max", "readout", Dense(torch.eye(4))),
        ),
        Readout((1, 4)),
    )


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_race_of_signed_numbers_is_max_pooling(code: Code) -> None:
    most = min(code.highest, 40)
    x = torch.randint(-most, most + 1, (200, 1, 9), generator=torch.Generator().manual_seed(0)).float()
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.3] = 0  # as dropped units
    x[:20] = -x[:20].abs() - 1  # all negative: the last to fire wins
    x.clamp_(-code.highest, code.highest)
    expected = nn.functional.max_pool1d(x, 3, 2)
    for engine in ("reference", "windows"):
        run = simulate(race(code), x, engine=engine, probe=["numbers"])
        assert torch.equal(run.mean[0].reshape(200, 1, 4), expected)
        assert torch.equal(run.numbers["max"][0].reshape(200, 1, 4).float(), expected)
        assert torch.equal(run.counts["max"][0], code.spikes(expected).sum((1, 2)))


def test_averages_over_six_units_leave_no_ties() -> None:
    """They end on sixths of the grid, and halves of it are three of them: the order of a sum would decide."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Dropout(0.3), nn.AvgPool2d((2, 3)), nn.Flatten(), nn.Linear(48, 40)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Linear(40, 3))
    x = torch.rand(100, 1, 6, 12)
    for code in (Digits(4, 4), Graded(8)):
        network = convert(model, x, code=code)
        assert_same(ran(network, [x[:20]], "reference", samples=10), ran(network, [x[:20]], "windows", samples=10))


def test_a_half_less_a_little_is_no_unit() -> None:
    """0.5 - 2^-25 is a float32, and adding a half makes 1 of it: grids keep such sums away."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False), nn.ReLU())
    nn.init.constant_(model[2].weight, 1e-3)  # pyright: ignore[reportArgumentType]
    network = convert(nn.Sequential(*model, nn.Dropout(0.5), nn.Linear(1, 1)), torch.rand(100, 3), code=Digits(4, 4))
    assert min(p.grid for p in network.populations) >= 2.0**-23


@pytest.mark.parametrize(("headroom", "way"), [(2.0, "float64"), (8.0, "blocks"), (64.0, "float32")])
def test_products_in_blocks_and_in_float64_are_the_ticks(
    headroom: float, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(5, 400), nn.ReLU(), nn.Dropout(0.2), nn.Linear(400, 60), nn.ReLU(), nn.Linear(60, 1)]
    model, x = nn.Sequential(*layers).eval(), torch.randn(300, 5)
    network = convert(model, x, code=Digits(3, 8), headroom=headroom)
    seen: list[str] = []
    sums, added = Link.sums, Link._added

    def watched(link: Link, told: Told, most: float) -> Any:
        before, found = len(seen), sums(link, told, most)
        if link.connection.target != network.readout.name and len(seen) == before:
            seen.append("float64" if found is None else "float32")
        return found

    def in_blocks(*given: Any) -> Any:
        found = added(*given)
        seen.append("float64" if found is None else "blocks")
        return found

    monkeypatch.setattr(Link, "sums", watched)
    monkeypatch.setattr(Link, "_added", in_blocks)
    products = ran(network, [x[:8]], "windows")
    assert seen
    assert {*seen} == {way}
    assert_same(ran(network, [x[:8]], "reference"), products)


def test_the_bound_of_a_sum_holds_where_units_are_repeated() -> None:
    """A line is longer behind what repeats its units than before it."""
    operator, x = Chain((Pick(1, torch.arange(4).repeat(64)), Dense(torch.ones(2, 256)))), torch.ones(1, 4)
    euclid, total, _ = weight_norms(operator, (4,))
    reach = float(operator(x).abs().max())
    assert reach <= euclid * float(x.norm())
    assert reach <= total
