"""The penalty of spikes: what it measures is what ``energy`` counts, it lowers it, and 0 changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from problems import network, plane, quick_fit, rings
from spikebayes import Digits, convert, energy
from spikebayes.errors import ConfigError
from spikebayes.evaluate.energy.fan_out import Reach, Stages
from spikebayes.network.operators import Conv
from spikebayes.nn import Coded, DiscreteSoftLIF, LIFRate, Permadrop, Sharpened, SoftLIF, zoo
from spikebayes.training.activity import REFERENCE, Activity
from spikebayes.training.fitted import Fitted

PENALTIES = (0.0, 0.3, 3.0)


def relu(width: int = 16, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return zoo.mlp(2, 1, (width,), 0.1, activation=nn.ReLU)


def recorded(model: nn.Module, x: Tensor, **converted: Any) -> float:
    """A of one call, without dropout of its own."""
    activity = Activity.of(model, convert(model, x, **converted), x)
    with activity.recorded(), torch.no_grad():
        model.eval()(x)
    return float(activity.mean())


# -- what it measures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "convolutional", "discrete"])
def test_it_is_what_energy_counts(kind: str) -> None:
    torch.manual_seed(1)
    if kind == "dense":
        model, x = zoo.mlp(3, 2, (40, 10, 20), 0.3, activation=LIFRate), torch.randn(20, 3)
    elif kind == "discrete":
        model, x = zoo.discrete(3, 2, (30, 20), 0.2).eval(), torch.randn(20, 3)
        for m in model.modules():
            if isinstance(m, DiscreteSoftLIF):
                m.gamma.fill_(1e-3)
    else:
        model = nn.Sequential(
            *(nn.Conv1d(1, 4, 3, padding=1), LIFRate(), Permadrop(0.2), nn.Conv1d(4, 2, 3, stride=2), LIFRate()),
            *(nn.Flatten(), Permadrop(0.4), nn.Linear(8, 1)),
        )
        x = torch.randn(20, 1, 9)
    spiking, steps, samples = convert(model, x), 400, 20
    counts = energy(spiking, x, samples=samples, steps=steps, burn_in=0).spiking
    activity = Activity.of(model, spiking, x)
    measured = sum(activity.measured(model, x, seed) for seed in range(samples)) / samples
    expected = measured * activity.total * REFERENCE * steps * spiking.dt * len(x) * samples
    assert counts.synaptic_events == pytest.approx(expected, rel=0.05)  # filters start from 0


def test_a_layer_of_relu_by_hand() -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Dropout(0.5), nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        model[0].bias.fill_(0.0)
        model[3].weight.fill_(1.0)
        model[3].bias.fill_(0.0)
    x = torch.linspace(-1, 1, 101)[:, None]
    first = x.abs().mean() / 2  # of two units of which one is on; the largest value is 1
    second = x.abs().mean()  # three units alike
    weights = 0.5 * 2 * 3, 3 * 1  # half of the two are dropped, each reaches three; three reach one
    expected = (weights[0] * first + weights[1] * second) / sum(weights)
    assert recorded(model, x) == pytest.approx(float(expected), rel=1e-5)


def test_smaller_values_gain_nothing() -> None:
    model, (x, _) = relu(), plane()
    before = recorded(model, x)
    with torch.no_grad():
        model[0].weight.div_(8)
        model[0].bias.div_(8)
    assert recorded(model, x) == pytest.approx(before, rel=1e-5)


def test_a_coded_unit_has_its_own_top() -> None:
    model = nn.Sequential(nn.Linear(1, 1), Coded(Digits(4, 2), top=2.0), nn.Dropout(0.1), nn.Linear(1, 1))
    with torch.no_grad():
        model[0].weight.fill_(0.0)
        model[0].bias.fill_(0.4)  # 3 of 15 levels
    x = torch.rand(100, 1)
    assert recorded(model, x) == pytest.approx(0.2)


def test_fan_out_is_the_sum_over_targets() -> None:
    operator = Conv(torch.ones(2, 3, 3), (2,), (1,), (1,))
    reach = Reach(Stages().of(operator, (3, 5)), (3, 5))
    laid_out = torch.stack([reach.arriving(unit[None])[0] for unit in torch.eye(15)])
    assert torch.equal(reach.fan_out, laid_out.sum(1))
    assert reach.fan_out.sum() == reach.synapses


# -- what it does ------------------------------------------------------------------------------------------


def events(fitted: Fitted, x: Tensor, **code: Any) -> tuple[int, int]:
    """Spikes and synaptic events of some samples."""
    counts = energy(fitted.network(**code), fitted.scaling.inputs(x), samples=10).spiking
    return sum(counts.spikes.values()), counts.synaptic_events


def test_lif_neurons_fire_less() -> None:
    x, y = plane(200)
    given: dict[str, Any] = {"epochs": 20, "error": None}
    fitted = [quick_fit(network(), x, y, rate_penalty=p, **given) for p in PENALTIES]
    spikes, operations = zip(*(events(f, x[:20]) for f in fitted), strict=True)
    assert spikes[0] > 1.05 * spikes[1] > 1.1 * spikes[2]
    assert operations[0] > operations[1] > operations[2]
    assert fitted[1].history["activity"] > fitted[2].history["activity"]
    assert [f.history.get("rate_penalty") for f in fitted] == [None, 0.3, 3.0]


def test_relu_units_send_fewer_spikes() -> None:
    x, y = plane(200)
    given: dict[str, Any] = {"epochs": 20, "error": None}
    fitted = [quick_fit(relu(), x, y, rate_penalty=p, **given) for p in PENALTIES]
    spikes, operations = zip(*(events(f, x, code=Digits(4, 4)) for f in fitted), strict=True)
    assert spikes[0] > spikes[1] > 1.1 * spikes[2]
    assert operations[0] > operations[1] > operations[2]


def weights(fitted: Fitted) -> Tensor:
    return torch.cat([value.flatten().double() for value in fitted.model.state_dict().values()])


def test_none_changes_nothing() -> None:
    plain = quick_fit(network(), *plane())
    none, some = (quick_fit(network(), *plane(), rate_penalty=p) for p in (0.0, 1.0))
    assert torch.equal(weights(plain), weights(none))
    assert plain.history.keys() == none.history.keys()
    assert plain.history["validation_loss"] == none.history["validation_loss"]
    assert not torch.equal(weights(plain), weights(some))
    assert not any(m._forward_hooks for m in some.model.modules())


def test_the_loss_is_that_of_the_rows_plus_the_penalty() -> None:
    told: list[dict[str, Any]] = []
    given: dict[str, Any] = {"learning_rate": 1e-30, "weight_decay": 0.0, "epochs": 2, "logger": told.append}
    model = zoo.mlp(2, 1, (16,), 1e-7, activation=SoftLIF)
    x, y = plane()
    for p in (0.0, 2.0):
        quick_fit(model, x, y, rate_penalty=p, batch_size=96, gamma=(0.01, 0.01), **given)
    free, penalised = told[1], told[3]
    rows = (x - x[:96].mean(0)) / x[:96].std(0)
    expected = 2.0 * recorded(model, rows[:96])
    assert penalised["loss"] - free["loss"] == pytest.approx(expected, rel=1e-2)


def test_classes_and_bfloat16() -> None:
    x, y = rings()
    free, low = (quick_fit(network(3), x, y, rate_penalty=p, precision="bfloat16", epochs=12) for p in (1e-9, 1.0))
    assert low.history["activity"] < 0.9 * free.history["activity"]


# -- what it refuses ---------------------------------------------------------------------------------------


class Functions(nn.Module):
    """An activation that no module shows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(8, 1)
        self.seen, self.drop = nn.ReLU(), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(F.relu(self.second(self.seen(self.first(x))))))


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (network(), {"rate_penalty": -0.1}, "rate_penalty must be 0 or more; got -0.1"),
        (network(), {"rate_penalty": float("nan")}, "rate_penalty must be 0 or more; got nan"),
        (network(), {"rate_penalty": 0.1, "spiking": False}, "leave it at 0 with spiking=False"),
        (Functions(), {"rate_penalty": 0.1}, r"gave \[\[8\]\], the populations are \[\[8\], \[8\]\]: call nn.ReLU"),
        (
            nn.Sequential(nn.Linear(2, 8), Sharpened(), Permadrop(0.1), nn.Linear(8, 1)),
            {"rate_penalty": 0.1},
            "the model has Sharpened: leave rate_penalty at 0",
        ),
    ],
)
def test_it_refuses_what_it_cannot_weigh(model: nn.Module, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quick_fit(model, *plane(200), **given)
