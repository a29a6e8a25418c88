"""Where torch computes: what it does not have is refused, and what other devices are given agrees with the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import spikebayes as sb
from spikebayes import ConfigError, ConversionError, DataError
from spikebayes.engine.windows.tell import Teller
from spikebayes.network.operators import Pick, target_shape
from spikebayes.noise.keys import Keys


@pytest.fixture(scope="module")
def coded() -> sb.SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 40), nn.ReLU(), nn.Dropout(0.2), nn.Linear(40, 5), nn.Tanh(), nn.Linear(5, 1))
    return sb.convert(model, torch.randn(200, 3))


@pytest.mark.parametrize("device", ["nowhere", "meta"])
def test_a_device_that_cannot_compute_is_refused(coded: sb.SpikingNetwork, device: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot compute on device '{device}' here: .*use device='cpu'"):
        sb.predict(coded, torch.zeros(2, 3), samples=2, device=device)


def test_nothing_is_done_with_what_has_no_values(coded: sb.SpikingNetwork) -> None:
    """Tensors on the meta device have shapes alone."""
    x = torch.zeros(3, 3, device="meta")
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4, 1))
    for call in (sb.predict, sb.simulate, sb.energy):
        with pytest.raises(DataError, match="an input has no values: it is on the meta device"):
            call(coded, x)
    with pytest.raises(ConversionError, match="the example input has no values"):
        sb.convert(model, x)
    model.to("meta")
    rows = torch.randn(20, 3)
    cure = r"no values in 0.weight, .* it is on the meta device; call model.to_empty\(device='cpu'\), then load"
    with pytest.raises(ConfigError, match=cure):
        sb.predict(model, rows, samples=2)
    with pytest.raises(ConfigError, match=cure):
        sb.fit(model, rows, rows[:, :1], validation=(rows, rows[:, :1]))
    for convert in (sb.convert, sb.folded):
        with pytest.raises(ConversionError, match=cure):
            convert(model, rows)
    (found,) = sb.check(model, rows).obstacles
    assert "meta device" in found.reason


class Strict(Pick):
    """Takes what is on its own device, as operators on a GPU do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.device != self.index.device:
            raise RuntimeError("expected all tensors to be on the same device")
        return super().forward(x)


def test_shapes_are_told_wherever_an_operator_is() -> None:
    """A network is laid out on the device that it is to run on."""
    operator = Strict(1, torch.tensor([0, 0, 1]))
    assert target_shape(operator, (4,)) == target_shape(operator.to("meta"), (4,)) == (3,)


def test_the_kernel_and_torch_tell_the_same_numbers(coded: sb.SpikingNetwork) -> None:
    """Other devices take the way of torch's operations."""
    lines = torch.arange(50)
    keys = Keys(3, lines % 7, lines)
    for p in coded.populations:
        teller = Teller(p.neuron, p.dropout, p.shape)
        x = torch.randn(50, *p.shape, generator=torch.Generator().manual_seed(1)) * 200
        numbers = p.neuron.response.numbers(x)
        one = teller._by_kernel(numbers, teller.dropout, keys, None, ramp=False)
        other = teller._by_torch(numbers, teller.dropout, keys, None, numbers=True)
        assert torch.equal(one.numbers, other.numbers)
        assert torch.equal(one.spikes, other.spikes)
        assert torch.equal(one.saturated, other.saturated)
        assert (one.largest, pytest.approx(one.norm)) == (other.largest, other.norm)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch has no GPU here")
def test_a_gpu_gives_the_same_numbers(coded: sb.SpikingNetwork) -> None:
    x = torch.randn(20, 3)
    here, there = (sb.predict(coded, x, samples=20, device=device) for device in ("cpu", "cuda"))
    assert torch.equal(here.samples, there.samples)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch has no GPU here")
def test_rows_and_samples_on_a_gpu_are_taken(coded: sb.SpikingNetwork) -> None:
    x, draw = torch.randn(20, 3), sb.Draw(0, "row", torch.arange(20))
    here = sb.predict(coded, x, samples=20, noise_std=1.0)
    there = sb.predict(coded, x.cuda(), samples=20, rows=draw.rows.cuda(), noise_std=torch.ones(1).cuda())
    moved = sb.Predictive(here.samples.cuda(), draw, noise_std=torch.ones(1).cuda())
    for other in (there, moved):
        assert torch.equal(here.samples, other.samples)
        assert torch.equal(here.log_likelihood(x[:, :1]), other.log_likelihood(x[:, :1].cuda()))


def test_networks_that_step_freely_run_on_the_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(2, 5), sb.nn.SoftLIF(1e-3), nn.Dropout(0.2), nn.Linear(5, 1))
    network = sb.convert(model, torch.zeros(1, 2))
    monkeypatch.setattr("spikebayes.prediction.sampling.known_device", torch.device)
    with pytest.raises(ConfigError, match="the cpu engine runs on the CPU alone"):
        sb.predict(network, torch.zeros(2, 2), samples=2, device="meta")
