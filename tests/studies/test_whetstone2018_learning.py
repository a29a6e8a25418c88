"""How the networks of the sharpening study learn: their inputs, what they are taught, for how long, how exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spikebayes import ConfigError, convert, folded, simulate
from spikebayes.evaluate import HARDWARE, demand
from spikebayes.training.sharpening import Sharpness
from studies.whetstone2018 import learning
from studies.whetstone2018.images import Rows, taken, vary
from studies.whetstone2018.recipe import Ablation, Recipe
from studies.whetstone2018.settings import ABLATIONS, RECIPES, TRUENORTH, VARIANTS
from studies.whetstone2018.truenorth import priced

TINY = Recipe("mnist", convolutions=((2, 3, True),), width=8, epochs=3, batch_size=16, seeds=1, augmentation="shift")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Training sets torch's threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def rows() -> Rows:
    rng = torch.Generator().manual_seed(0)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.randint(0, 2, (count,), generator=rng)
        x = torch.randint(0, 128, (count, 1, 8, 8), generator=rng)
        x[:, :, :, 4:] += 127 * y[:, None, None, None]
        return x / 255, y

    return Rows(*part(64), *part(20), *part(40), classes=("left", "right"))


# -- inputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", ["binarised", "contours"])
@pytest.mark.parametrize("augmentation", ["affine", "shift", "none"])
def test_what_goes_in_is_0_or_1_after_any_variation(inputs: Any, augmentation: str) -> None:
    torch.manual_seed(0)
    recipe = replace(TINY, inputs=inputs, augmentation=augmentation)
    x = learning.rows(recipe, vary(torch.rand(6, 3, 9, 7), augmentation))
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert learning.rows(replace(recipe, convolutions=(), hidden=(4,)), torch.rand(2, 1, 5, 5)).shape == (2, 25)


def test_binarised_pixels_and_contours_in_closed_form() -> None:
    x = torch.tensor([[0.0, 0.499, 0.5, 1.0]])[None, None]
    assert taken(x, "binarised").flatten().tolist() == [0, 0, 1, 1]
    assert taken(x, "current") is x
    edge = torch.zeros(1, 2, 5, 6)
    edge[0, 0, :, 3:] = 1.0  # from black to white
    edge[0, 1, :, 3:] = 0.4  # too weak
    found = taken(edge, "contours")
    assert found[0, 0].tolist() == [[0, 0, 1, 1, 0, 0]] * 5  # both sides of the edge, the image's border is none
    assert not found[0, 1].any()
    assert taken(0.51 * edge / 0.4, "contours")[0, 1].any()
    assert torch.equal(taken(edge.mT, "contours"), found.mT)  # the same lying on its side
    assert torch.equal(taken(1 - edge, "contours"), found)


def test_inputs_that_do_not_apply_are_refused() -> None:
    with pytest.raises(ConfigError, match="only images"):
        taken(torch.rand(3, 12), "contours")
    with pytest.raises(ConfigError, match="inputs must be one of current, binarised, contours; got 'edges'"):
        Recipe("mnist", hidden=(4,), inputs="edges")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="teaches no other"):
        Recipe("mnist", hidden=(4,), dropout=0.1, distil=0.5)
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\]"):
        Recipe("mnist", hidden=(4,), distil=1.5)


def test_variants_differ_from_their_base_in_the_inputs_alone() -> None:
    assert len(VARIANTS) == 8
    for name, (base, inputs) in VARIANTS.items():
        expected = replace(RECIPES[base], inputs=inputs, levels=1, seeds=1)
        assert RECIPES[name] == expected


# -- ablations ---------------------------------------------------------------------------------------------


def test_an_ablation_tries_its_values_in_short() -> None:
    tries = Ablation("a", replace(TINY, later=5, seeds=3), "noise", (0.1, 0.3), epochs=4).tries()
    assert {value: recipe.noise for value, recipe in tries.items()} == {0.1: 0.1, 0.3: 0.3}
    assert all((r.epochs, r.later, r.seeds) == (4, 0, 1) for r in tries.values())
    for one in ABLATIONS.values():
        assert all(getattr(recipe, one.field) == value for value, recipe in one.tries().items())
        assert one.base in RECIPES


# -- teaching ----------------------------------------------------------------------------------------------


def test_the_divergence_is_that_of_probabilities_at_a_temperature() -> None:
    ours, theirs = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    p, q = ((part / 2).softmax(1) for part in (theirs, ours))
    assert torch.allclose(learning.divergence(ours, theirs), 4 * (p * (p / q).log()).sum(1).mean())
    assert learning.divergence(ours, ours) == 0


def trained(recipe: Recipe, home: Path) -> dict[str, Any]:
    return learning.train(recipe, rows(), 5, home)


def weights(home: Path, kind: str) -> bytes:
    return (home / kind / learning.WEIGHTS).read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    home = tmp_path_factory.mktemp("plain")
    return trained(TINY, home), home


def test_only_the_spiking_network_is_taught(plain: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    found = trained(replace(TINY, distil=0.5), tmp_path)
    assert weights(tmp_path, learning.ORIGINAL) == weights(plain[1], learning.ORIGINAL)
    assert weights(tmp_path, learning.SPIKING) != weights(plain[1], learning.SPIKING)
    assert found[learning.SPIKING]["loss"][0] == plain[0][learning.SPIKING]["loss"][0]  # shared: not yet
    assert found[learning.SPIKING]["loss"][1:] != plain[0][learning.SPIKING]["loss"][1:]


def test_a_taught_training_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: Any) -> None:
    recipe = replace(TINY, distil=0.5, later=1)
    expected = trained(recipe, tmp_path / "whole")
    look, seen = learning.between, []

    def stops(*arguments: Any) -> list[float]:
        seen.append(1)
        if len(seen) == 5:  # in the spiking network's second epoch of its own
            raise RuntimeError("stopped here")
        return look(*arguments)

    monkeypatch.setattr(learning, "between", stops)
    with pytest.raises(RuntimeError, match="stopped here"):
        trained(recipe, tmp_path / "stopped")
    found = trained(recipe, tmp_path / "stopped")
    for kind in (learning.ORIGINAL, learning.SPIKING):
        assert found[kind] | {"seconds": 0} == expected[kind] | {"seconds": 0}
        assert weights(tmp_path / "stopped", kind) == weights(tmp_path / "whole", kind)


def test_the_spiking_network_may_train_longer(plain: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    found = trained(replace(TINY, later=2), tmp_path)
    assert weights(tmp_path, learning.ORIGINAL) == weights(plain[1], learning.ORIGINAL)
    assert found[learning.ORIGINAL]["epochs"] == 3
    assert found[learning.SPIKING]["epochs"] == len(found[learning.SPIKING]["test"]) == 5
    assert found[learning.SPIKING]["sharpness"][-1] == [1.0, 1.0]


def test_the_last_epochs_may_be_exact(tmp_path: Path, monkeypatch: Any) -> None:
    seen: list[torch.dtype] = []

    def products(net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
        seen.append(net[0](x[:1]).dtype)  # pyright: ignore[reportIndexIssue]
        return 0.5

    monkeypatch.setattr(learning, "accuracy", products)
    trained(replace(TINY, precision="bfloat16", exact=0.34, later=1), tmp_path)
    original, spiking = seen[: 2 * 3], seen[2 * 3 :]
    assert original == 4 * [torch.bfloat16] + 2 * [torch.float32]
    assert len(spiking) == 2 * 3  # its own epochs: 2, 3 and 4 of 4
    assert spiking == 4 * [torch.bfloat16] + 2 * [torch.float32]


def test_layers_sharpen_together_or_bottom_up(tmp_path: Path) -> None:
    recipe = replace(TINY, epochs=4, start=0.25, sharpening=0.5, bottom_up=True)
    progress = trained(recipe, tmp_path)[learning.SPIKING]["sharpness"]
    assert progress == [[], [0.75, 0.0], [1.0, 0.75], [1.0, 1.0]]  # at the beginning of the epochs' last of 4 batches


@pytest.mark.parametrize("steps", [7, 100, 1000])
def test_the_rate_is_that_of_torchs_one_cycle(steps: int) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], 1.0)
    one = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, steps + 1, pct_start=learning.WARM, cycle_momentum=False
    )
    warm = learning.WARM * (steps + 1) - 1
    for step in range(steps + 1):
        assert learning.cycled(step, warm, steps) == pytest.approx(one.get_last_lr()[0], abs=1e-4)
        optimizer.step()
        if step < steps:
            one.step()


# -- TrueNorth ---------------------------------------------------------------------------------------------


def test_events_of_pixels_and_neurons_are_those_of_a_count_by_hand() -> None:
    recipe = replace(TINY, inputs="binarised", convolutions=((2, 3, True),))
    net = learning.network(recipe, (1, 6, 6), 2, 1).eval()
    for unit in Sharpness().layers(net):
        unit.sharpen(1.0)
    x = torch.zeros(1, 1, 6, 6)
    x[0, 0, 0, 0] = 1.0  # in the corner: 4 places of each of 2 maps
    x[0, 0, 2, 3] = 1.0  # within: 9
    network = convert(folded(net), x)
    found = priced(recipe, network, x)
    assert found["pixel_events"] == 2 * (4 + 9)
    run = simulate(network, x, samples=1, steps=1)
    first, pooled, last = (float(counts.sum()) for counts in run.counts.values())
    assert found["neuron_events"] == first * 1 + pooled * 8 + last * 2  # into pools, the units, the read-out
    assert found["joules"] == pytest.approx(26e-12 * (found["pixel_events"] + found["neuron_events"]))


def test_the_network_for_truenorth_fits() -> None:
    net = learning.network(RECIPES[TRUENORTH], (1, 28, 28), 10, 0).eval()
    for unit in Sharpness().layers(net):
        unit.sharpen(1.0)
    needed = demand(convert(folded(net), torch.zeros(1, 1, 28, 28)))
    (limits,) = (one for one in HARDWARE if one.name.startswith("TrueNorth"))
    assert needed.excesses(limits) == []
    assert needed.fan_in <= 256
