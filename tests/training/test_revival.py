"""Dead units come back to life, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.nn import Permadrop, Sharpened, few_bits
from spikebayes.noise.masks import evaluating
from spikebayes.training.revival import Revival, dead_units, revive

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch's, once
OFF, ON = 2, 4  # units that are put to death: one never fires, one always does


def dense() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 6), Sharpened("brelu", 1.0), nn.Linear(6, 5), Sharpened("brelu", 1.0))


def normed() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(5, 6, bias=False), nn.BatchNorm1d(6), Sharpened("brelu", 1.0)),
        *(nn.Linear(6, 5), nn.BatchNorm1d(5), Sharpened("brelu", 1.0)),
    )


def images(**conv: Any) -> Callable[[], nn.Sequential]:
    return lambda: nn.Sequential(
        *(nn.Conv2d(2, 6, 3, **conv), nn.BatchNorm2d(6), Sharpened("brelu", 1.0), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 5, 2, padding="same", bias=False), nn.BatchNorm2d(5), Sharpened("sigmoid", 0.9)),
        *(nn.Flatten(), nn.LazyLinear(3)),
    )


MODELS: dict[str, Callable[[], nn.Sequential]] = {
    "linear with bias": dense,
    "linear and batch norm": normed,
    "valid convolution": images(),
    "same convolution": images(padding="same", bias=False),
    "strided, dilated and padded convolution": images(stride=(2, 1), dilation=(1, 2), padding=(1, 2)),
}


def made(name: str) -> tuple[nn.Sequential, Tensor]:
    """A network in training mode with statistics, every unit alive but two of the first layer; and rows."""
    torch.manual_seed(0)
    x = torch.randn(40, 2, 8, 8) if "conv" in name else torch.randn(40, 5)
    model = MODELS[name]()
    for m in model:
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
            m.momentum = None
            nn.init.constant_(m.weight, 0.5)
            nn.init.constant_(m.bias, 0.5)
    with torch.no_grad():
        h = x
        for m in model.train():
            if isinstance(m, nn.Linear) and name == "linear with bias":
                m.bias += 0.5 - m(h).mean(0)
            h = m(h)
        last = model[1] if "linear with bias" not in name else model[0]
        last.weight[[OFF, ON]] = 0.0  # pyright: ignore
        last.bias[[OFF, ON]] = torch.tensor([-1.0, 2.0])  # pyright: ignore
    return model, x


@torch.no_grad()
def outputs(model: nn.Sequential, x: Tensor) -> Tensor:
    """``[R, units, places]`` of the first layer's activation."""
    with evaluating(model):
        for module in model:
            x = module(x)
            if isinstance(module, Sharpened):
                break
    return x.flatten(2) if x.ndim > 2 else x[:, :, None]


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", MODELS)
def test_dead_units_come_to_life_and_the_living_are_left_alone(name: str) -> None:
    model, x = made(name)
    before, alive = state(model), [u for u in range(6) if u not in (OFF, ON)]
    fired = outputs(model, x)
    assert fired[:, OFF].max() == 0
    assert fired[:, ON].min() == 1
    assert dead_units(model, x) == [2, 0]
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())

    assert revive(model, x, torch.Generator().manual_seed(1)) == [2, 0]
    assert all(m.training for m in model.modules())
    assert dead_units(model, x) == [0, 0]
    now = outputs(model, x)
    assert torch.equal(now[:, alive], fired[:, alive])
    for unit in (OFF, ON):
        assert 0.2 < now[:, unit].mean() < 0.8
        assert now[:, unit].std(0).max() > 0.2  # over rows, at one place
    for key, tensor in model.state_dict().items():
        first = key.split(".")[0] in ("0", "1") and tensor.ndim > 0
        untouched = alive if first else slice(None) if tensor.ndim else ()
        assert torch.equal(tensor[untouched], before[key][untouched]), key


@pytest.mark.parametrize("name", MODELS)
def test_their_input_has_mean_and_deviation_one_half(name: str) -> None:
    model, x = made(name)
    revive(model, x, torch.Generator().manual_seed(1))
    with torch.no_grad(), evaluating(model):
        drive = x
        for module in model:
            if isinstance(module, Sharpened):
                break
            drive = module(drive)
    drive = drive.transpose(0, 1).flatten(1)[[OFF, ON]]
    within = 0.05 if "conv" in name else 1e-3  # what is padded on one side is not looked at
    torch.testing.assert_close(drive.mean(1), torch.full((2,), 0.5), rtol=0, atol=within)
    torch.testing.assert_close(drive.std(1), torch.full((2,), 0.5), rtol=0, atol=within)


@pytest.mark.parametrize("name", ["linear and batch norm", "same convolution"])
def test_a_seed_draws_the_same_rows(name: str) -> None:
    found = []
    for seed in (1, 1, 2):
        model, x = made(name)
        revive(model, x, torch.Generator().manual_seed(seed))
        found.append(model[0].weight.detach().clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_layer_that_is_dead_because_of_the_one_below_comes_back_with_it() -> None:
    model, x = made("linear with bias")
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(-1.0)
    assert dead_units(model, x) == [6, 5]
    counts = revive(model, x, torch.Generator().manual_seed(1))
    assert counts[0] == 6
    assert counts[1] < 5  # judged once the layer below spoke again
    assert dead_units(model, x) == [0, 0]


def test_a_network_in_which_all_live_is_left_alone() -> None:
    model, x = made("same convolution")
    generator = torch.Generator().manual_seed(1)
    revive(model, x, generator)
    before, drawn = state(model), generator.get_state()
    assert revive(model, x, generator) == [0, 0]
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert torch.equal(generator.get_state(), drawn)


def test_layers_at_other_places_than_behind_a_linear_one_are_left() -> None:
    """A norm without weights or statistics, a layer norm, groups; a permanent dropout is no hindrance."""
    torch.manual_seed(0)
    between: list[list[nn.Module]] = [
        [nn.BatchNorm1d(6, affine=False)],
        [nn.BatchNorm1d(6, track_running_stats=False)],
        [nn.LayerNorm(6)],
        [nn.Sigmoid()],
        [nn.Identity()],
    ]
    for modules in between:
        model = nn.Sequential(nn.Linear(5, 6), *modules, Sharpened(), Permadrop(0.5), nn.Linear(6, 4), Sharpened())
        with torch.no_grad():
            model[0].weight.zero_()
            model[0].bias.fill_(-1.0)
            model[-2].bias[0], model[-2].weight[0] = -2.0, 0.0
        first = 6 if isinstance(modules[0], nn.Identity) else 0
        before = state(model[:2])
        x = torch.randn(20, 5)
        counts = revive(model, x, torch.Generator())
        assert counts[:-1] == ([first] if first else [])
        assert counts[-1] >= 1
        same = [torch.equal(tensor, before[key]) for key, tensor in model[:2].state_dict().items()]
        assert all(same) == (first == 0)
    grouped = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), Sharpened())
    nn.init.zeros_(grouped[0].weight)  # pyright: ignore[reportArgumentType]
    assert revive(grouped, torch.randn(4, 2, 5, 5), torch.Generator()) == []


def test_layers_that_have_no_bias_to_set_are_left() -> None:
    """Their units would answer with any mean, and be drawn again at every look."""
    torch.manual_seed(0)
    for layer, x in (
        (nn.Linear(5, 4, bias=False), torch.rand(20, 5)),
        (nn.Conv2d(2, 4, 3, bias=False), torch.rand(20, 2, 6, 6)),
    ):
        nn.init.zeros_(layer.weight)
        model = nn.Sequential(layer, Sharpened("brelu", 1.0))
        assert dead_units(model, x) == []
        assert revive(model, x, torch.Generator()) == []
        assert not layer.weight.any()
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, bias=False), Sharpened("brelu", 1.0))
    nn.init.zeros_(model[0].weight)  # pyright: ignore[reportArgumentType]
    assert revive(model, torch.rand(20, 5), torch.Generator()) == []


def test_a_linear_layer_on_sequences_is_left() -> None:
    """Its units are on the last axis, however many steps there are."""
    for steps in (3, 4):
        x, model = torch.randn(20, steps, 5), nn.Sequential(nn.Linear(5, 4), Sharpened("brelu", 1.0))
        with torch.no_grad():
            model[0].weight[:2], model[0].bias[:2] = 0.0, -1.0
        before = state(model)
        assert dead_units(model, x) == []
        assert revive(model, x, torch.Generator()) == []
        assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


# -- the callback ------------------------------------------------------------------------------------------


LAST = 4  # epoch


def ends(revival: Revival, epoch: int) -> None:
    trainer = SimpleNamespace(current_epoch=epoch, max_epochs=LAST + 1)
    revival.on_train_epoch_end(trainer, SimpleNamespace())  # pyright: ignore


def test_the_callback_looks_every_so_many_epochs_and_reports() -> None:
    model, x = made("linear and batch norm")
    revival = Revival(model, x, every=2, seed=3)
    ends(revival, 0)
    assert revival.revived == []
    assert dead_units(model, x) == [2, 0]
    ends(revival, 1)
    ends(revival, 2)
    ends(revival, 3)
    ends(revival, LAST)  # what it drew would not be trained
    assert revival.revived == [[2, 0], [0, 0]]
    other, x = made("linear and batch norm")
    revive(other, x, torch.Generator().manual_seed(3))
    assert torch.equal(model[0].weight, other[0].weight)


def test_the_callback_stops_when_it_is_told_to() -> None:
    model, x = made("linear and batch norm")
    revival = Revival(model, x, until=2, seed=3)
    for epoch in range(LAST + 1):
        ends(revival, epoch)
    assert revival.revived == [[2, 0]]


@pytest.mark.parametrize(("until", "looks"), [(0, 0), (1, 0), (LAST, LAST - 1), (LAST + 1, LAST), (99, LAST)])
def test_the_callback_never_looks_after_the_last_epoch(until: int, looks: int) -> None:
    model, x = made("linear and batch norm")
    revival = Revival(model, x, until=until, seed=3)
    for epoch in range(LAST + 1):
        ends(revival, epoch)
    assert len(revival.revived) == looks


def test_the_callback_looks_on_where_the_trainer_knows_no_last_epoch() -> None:
    model, x = made("linear and batch norm")
    for most in (-1, None):
        revival = Revival(model, x)
        trainer = SimpleNamespace(current_epoch=7, max_epochs=most)
        revival.on_train_epoch_end(trainer, SimpleNamespace())  # pyright: ignore
        assert len(revival.revived) == 1


def test_the_callback_goes_on_from_its_state() -> None:
    def kill(model: nn.Sequential) -> None:
        with torch.no_grad():
            model[1].weight[0], model[1].bias[0] = 0.0, -1.0

    found = []
    for interrupted in (False, True):
        model, x = made("linear and batch norm")
        revival = Revival(model, x, seed=3)
        ends(revival, 0)
        if interrupted:
            kept = revival.state_dict()
            revival = Revival(model, x, seed=99)
            revival.load_state_dict(kept)
        kill(model)
        ends(revival, 1)
        assert revival.revived == [[2, 0], [1, 0]]
        found.append(state(model))
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


@pytest.mark.parametrize(("rows", "every"), [(1, 1), (4, 0)])
def test_too_few_rows_or_epochs_are_refused(rows: int, every: int) -> None:
    with pytest.raises(ConfigError, match="revival needs at least 2 rows and 1 epoch between looks"):
        Revival(dense(), torch.zeros(rows, 5), every=every)


def test_a_negative_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="until must be at least 0 epochs, or None; got -1"):
        Revival(dense(), torch.zeros(4, 5), until=-1)


def test_units_with_weights_of_few_bits_get_the_weights_behind() -> None:
    model = nn.Sequential(nn.Linear(5, 3, bias=False), nn.BatchNorm1d(3), Sharpened("brelu", 1.0), nn.Linear(3, 2))
    nn.init.zeros_(model[0].weight)  # pyright: ignore[reportArgumentType]
    model, x = few_bits(model), torch.randn(50, 5)
    assert revive(model, x, torch.Generator().manual_seed(0)) == [3]
    assert dead_units(model, x) == [0]
