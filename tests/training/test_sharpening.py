"""Which layer is how sharp when, and that a training which sharpens ends in a network of spiking neurons."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from problems import network, plane, quick_fit, rings
from spikebayes import convert, predict
from spikebayes.errors import ConfigError, SpikebayesError
from spikebayes.network.neurons import Threshold
from spikebayes.nn import Sharpened, SoftLIF, zoo
from spikebayes.training.callbacks import annealing_epochs
from spikebayes.training.sharpening import (
    AdaptiveSharpening,
    BottomUpSharpening,
    FrozenNorms,
    Gamma,
    ScheduledSharpening,
    Sharpening,
    Sharpness,
    annealed_gamma,
)

QUICK: dict[str, Any] = {"rate": 0.75, "late_rate": 0.5}  # of adaptive sharpening


def layers(callback: Sharpening, count: int = 2) -> Any:
    """As at the start of a training of that many layers."""
    callback.progress = [0.0] * count
    return callback


def run(callback: Sharpening, epoch: int, batches: int = 4) -> list[list[float]]:
    """An epoch as the trainer goes through it; the progress at every step, and at its end."""
    seen = []
    for share in [*(b / batches for b in range(batches)), 1.0]:
        callback.advance(epoch, share)
        seen.append(list(callback.progress))
    return seen


# -- schedules ---------------------------------------------------------------------------------------------


@given(st.floats(0, 5), st.floats(0.1, 5), st.integers(0, 9), st.integers(1, 6), st.booleans())
def test_a_schedule_turns_all_layers_evenly(
    start: float, length: float, epoch: int, batches: int, whole: bool
) -> None:
    seen = run(layers(ScheduledSharpening(start, length, whole_epochs=whole), 3), epoch, batches)
    at = np.full(batches + 1, epoch) if whole else epoch + np.arange(batches + 1) / batches
    expected = np.interp(at, [start, start + length], [0, 1])
    np.testing.assert_allclose(seen, expected[:, None].repeat(3, 1), atol=1e-12)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 4))
def test_a_schedule_of_whole_epochs_ends_exactly_at_1(start: int, epochs: int, count: int) -> None:
    callback = layers(ScheduledSharpening(start, epochs), count)
    if epochs:
        run(callback, start + epochs - 1)
    else:
        callback.advance(start, 0.0)
    assert callback.progress == [1.0] * count
    assert callback.done


def test_a_schedule_of_no_length_turns_at_its_start() -> None:
    callback = layers(ScheduledSharpening(1.5, 0))
    assert run(callback, 0)[-1] == [0, 0]
    assert run(callback, 1) == [[0, 0], [0, 0], [1, 1], [1, 1], [1, 1]]


def test_bottom_up_takes_one_layer_after_the_other() -> None:
    callback = layers(BottomUpSharpening(1, 2), 3)
    ends = [run(callback, epoch)[-1] for epoch in range(8)]
    assert ends == [
        [0, 0, 0],
        [0.5, 0, 0],
        [1, 0, 0],
        [1, 0.5, 0],
        [1, 1, 0],
        [1, 1, 0.5],
        [1, 1, 1],
        [1, 1, 1],
    ]
    assert run(layers(BottomUpSharpening(1, 2), 3), 3)[1] == [1, 0.125, 0]


@given(st.floats(0, 3), st.floats(0.1, 3), st.integers(0, 9), st.integers(1, 5))
def test_bottom_up_starts_no_layer_before_the_one_below_is_done(
    start: float, length: float, epoch: int, batches: int
) -> None:
    for progress in run(layers(BottomUpSharpening(start, length), 3), epoch, batches):
        for below, above in pairwise(progress):
            assert above < 1e-9 or below > 1 - 1e-9


@pytest.mark.parametrize("kind", [ScheduledSharpening, BottomUpSharpening])
@pytest.mark.parametrize("bad", [(-1, 2), (1, -2), (float("nan"), 2)])
def test_a_schedule_out_of_range_is_refused(kind: Any, bad: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="start and epochs must be >= 0"):
        kind(*bad)


# -- adaptively --------------------------------------------------------------------------------------------


def test_adaptive_sharpening_waits_then_goes_bottom_up_and_slower_from_three_quarters_on() -> None:
    callback = layers(AdaptiveSharpening())
    for epoch in range(10):
        assert run(callback, epoch)[-1] == [0, 0]
    ends = [run(callback, epoch)[-1] for epoch in range(10, 15)]
    late = [0.75 + 0.0625 + 3 * 0.126 / 4]  # the step that leaves 0.75 is the last of the larger ones
    late += [late[0] + k * 0.126 / 4 for k in range(4)]
    assert late[3] < 1 <= late[3] + 0.126 / 4  # the third step of the epoch arrives, the fourth is the next layer's
    np.testing.assert_allclose(ends, [[0.25, 0], [0.5, 0], [0.75, 0], [late[0], 0], [1, 0.0625]], atol=1e-12)
    assert ends[-1][0] == 1
    for epoch in range(15, 25):
        run(callback, epoch)
    assert callback.progress == [1, 1]
    assert callback.done


@pytest.mark.parametrize("batches", [1, 3, 10])
def test_an_epoch_moves_a_layer_by_the_rate_however_many_batches_it_has(batches: int) -> None:
    callback = layers(AdaptiveSharpening(0))
    assert run(callback, 0, batches)[-1] == pytest.approx([0.25, 0])
    assert run(callback, 1, batches)[-1] == pytest.approx([0.5, 0])


@given(st.floats(0.05, 1.5), st.floats(0.05, 1.5), st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=50)
def test_adaptive_sharpening_arrives_and_starts_no_layer_early(
    rate: float, late_rate: float, batches: int, initial: int
) -> None:
    callback, before = layers(AdaptiveSharpening(initial, rate=rate, late_rate=late_rate), 3), 0.0
    for epoch in range(initial + 100):
        for progress in run(callback, epoch, batches):
            for below, above in pairwise(progress):
                assert above == 0 or below == 1
        assert -1e-12 <= sum(callback.progress) - before <= max(rate, late_rate) + 1e-9
        before = sum(callback.progress)
    assert callback.progress == [1, 1, 1]


def test_a_loss_that_rises_by_15_percent_pauses_for_an_epoch() -> None:
    callback = layers(AdaptiveSharpening(0))
    ends = []
    for epoch, loss in enumerate([1.0, 1.14, 1.4, 1.4, 1.4]):
        ends.append(run(callback, epoch)[-1][0])
        callback.judge(loss, epoch)
        assert callback.pausing == (epoch == 2)
    np.testing.assert_allclose(ends, [0.25, 0.5, 0.75, 0.75, 0.90700], atol=1e-5)
    assert callback.pauses == [2]


def test_a_pause_lasts_while_the_loss_gains() -> None:
    callback = layers(AdaptiveSharpening(0))
    pausing = []
    for epoch, loss in enumerate([1.0, 2.0, 1.6, 1.3, 1.2]):
        callback.judge(loss, epoch)
        pausing.append(callback.pausing)
    assert pausing == [False, True, True, True, False]


def test_patience_counts_epochs_without_a_gain_anew_after_each_gain() -> None:
    callback = layers(AdaptiveSharpening(0, patience=2))
    pausing = []
    for epoch, loss in enumerate([1.0, 2.0, 2.0, 1.0, 1.0, 1.0]):
        callback.judge(loss, epoch)
        pausing.append(callback.pausing)
    assert pausing == [False, True, True, True, True, False]


def test_no_pause_before_sharpening_begins_or_after_it_is_done() -> None:
    callback = layers(AdaptiveSharpening(3))
    for epoch, loss in enumerate([1.0, 2.0, 4.0]):
        callback.judge(loss, epoch)
        assert not callback.pausing
    callback.judge(8.0, 3)
    assert callback.pausing
    done = layers(AdaptiveSharpening(0))
    done.progress = [1.0, 1.0]
    for epoch, loss in enumerate([1.0, 2.0, 4.0]):
        done.judge(loss, epoch)
    assert not done.pausing
    assert done.pauses == []


@given(st.lists(st.floats(0.1, 10), min_size=6, max_size=6), st.integers(0, 5), st.integers(1, 3))
@settings(max_examples=50)
def test_adaptive_sharpening_goes_on_from_its_state_as_if_nothing_had_been(
    losses: list[float], stop: int, patience: int
) -> None:
    whole, part, rest = (layers(AdaptiveSharpening(1, patience=patience)) for _ in range(3))
    for epoch, loss in enumerate(losses):
        now = part if epoch < stop else rest
        if epoch == stop:
            rest.load_state_dict(part.state_dict())
        for callback in (whole, now):
            run(callback, epoch)
            callback.judge(loss, epoch)
    assert rest.state_dict() == whole.state_dict()


@pytest.mark.parametrize(
    "bad",
    [{"initial": -1}, {"rate": 0.0}, {"late_rate": 0.0}, {"late": 1.5}, {"rise": 0.0}, {"patience": 0}],
    ids=lambda bad: next(iter(bad)),
)
def test_adaptive_sharpening_out_of_range_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="adaptive sharpening needs"):
        AdaptiveSharpening(**bad)


# -- dials -------------------------------------------------------------------------------------------------


def test_a_dial_finds_its_layers_in_order_and_turns_them() -> None:
    model = nn.Sequential(Sharpened("relu"), nn.Sequential(SoftLIF(0.02), Sharpened()), SoftLIF(0.02))
    callback = layers(ScheduledSharpening(0, 1))
    callback.progress = [0.25, 1.0]
    callback.turn(model)
    assert [float(m.sharpness) for m in Sharpness().layers(model)] == [0.25, 1.0]
    assert [m.kind for m in Sharpness().layers(model)] == ["relu", "brelu"]
    widths = layers(ScheduledSharpening(0, 1, dial=Gamma(0.04, 0.01)))
    widths.progress = [0.5, 1.0]
    widths.turn(model)
    assert [float(m.gamma) for m in Gamma().layers(model)] == pytest.approx([0.02, 0.01])


@pytest.mark.parametrize("bad", [(0.0, 0.001), (0.02, 0.0), (float("inf"), 0.001), (0.02, -1.0)])
def test_a_width_of_zero_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="gamma must be > 0"):
        Gamma(*bad)


# -- a training --------------------------------------------------------------------------------------------


class Watched(nn.Module):
    """A module that notes its sharpness and gamma at every training step, and may be interrupted at one."""

    def __init__(self, inner: nn.Module, stop_at: int | None = None) -> None:
        super().__init__()
        self.inner, self.stop_at = inner, stop_at
        self.sharpness: list[list[float]] = []
        self.gammas: list[list[float]] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.sharpness.append([float(m.sharpness) for m in Sharpness().layers(self)])
            self.gammas.append([float(m.gamma) for m in Gamma().layers(self)])
            if len(self.sharpness) == self.stop_at:
                raise KeyboardInterrupt
        return self.inner(x)


BATCHES = 2  # of an epoch of the rings below


def steps(seed: int = 0, **settings: Any) -> nn.Sequential:
    """Two layers to sharpen over two inputs."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made: dict[str, Any] = {"hidden": (8,), "width": 9, "dropout": 0.2} | settings
        return zoo.sharpened((2,), 3, **made)


def sharpen(model: nn.Module, sharpening: Sharpening | None = None, **settings: Any) -> Any:
    return quick_fit(model, *rings(75), sharpening=sharpening, **({"epochs": 5} | settings))


KINDS = ["brelu", "sigmoid", "relu", "leaky_relu"]


@pytest.mark.parametrize("kind", KINDS)
def test_unless_told_otherwise_all_layers_sharpen_in_the_middle(kind: str) -> None:
    model = Watched(steps(activation=lambda: Sharpened(kind)))
    fitted = sharpen(model, epochs=10)
    expected = np.interp(np.arange(BATCHES * 10) / BATCHES, [4, 7], [0, 1])
    np.testing.assert_allclose(model.sharpness, expected[:, None].repeat(2, 1), atol=1e-12)
    assert [float(m.sharpness) for m in Sharpness().layers(fitted.model)] == [1, 1]


@pytest.mark.parametrize(
    ("sharpening", "history"),
    [
        (ScheduledSharpening(1, 2), [[0, 0], [0.5, 0.5], [1, 1], [1, 1], [1, 1]]),
        (BottomUpSharpening(1, 1), [[0, 0], [1, 0], [1, 1], [1, 1], [1, 1]]),
        (AdaptiveSharpening(1, **QUICK, rise=1e6), [[0, 0], [0.75, 0], [1, 0.375], [1, 1], [1, 1]]),
    ],
    ids=["scheduled", "bottom-up", "adaptive"],
)
def test_a_training_ends_in_threshold_neurons(sharpening: Sharpening, history: list[list[float]]) -> None:
    fitted = sharpen(steps(), sharpening)
    assert sharpening.history == history
    assert [float(m.sharpness) for m in Sharpness().layers(fitted.model)] == [1, 1]
    x = fitted.scaling.inputs(rings(20, seed=1)[0])
    spiking = convert(fitted.model, x)
    assert [p.neuron for p in spiking.populations] == [Threshold(0.5)] * 2
    classical, made = (predict(m, x, samples=10, seed=4).samples for m in (fitted.model, spiking))
    assert torch.equal(made.argmax(-1), classical.argmax(-1))


def test_adaptive_sharpening_judges_epochs_by_their_mean_training_loss() -> None:
    losses: list[float] = []

    class Noted(AdaptiveSharpening):
        def judge(self, loss: float, epoch: int) -> None:
            assert epoch == len(losses)
            losses.append(loss)
            super().judge(loss, epoch)

    class Ignorant(nn.Module):
        """Three classes alike in training, whatever the weights."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return 0 * self.inner(x) if self.training else self.inner(x)

    sharpening = Noted(0, **QUICK)
    sharpen(Ignorant(steps()), sharpening)
    assert losses == pytest.approx([np.log(3)] * 5)
    assert sharpening.loss == losses[-1]


def test_what_is_kept_is_from_after_the_sharpening() -> None:
    """Nothing improves, and a patience of one: only the sharpening holds the end back."""
    model = Watched(steps())
    fitted = sharpen(model, ScheduledSharpening(3, 2), epochs=20, patience=1, learning_rate=1e-12)
    assert 5 < fitted.history["epochs"] <= 8
    assert [float(m.sharpness) for m in Sharpness().layers(fitted.model)] == [1, 1]


@pytest.mark.parametrize(
    "sharpening",
    [ScheduledSharpening(2, 9), ScheduledSharpening(2, 3), BottomUpSharpening(2, 2), AdaptiveSharpening()],
    ids=["much too long", "sharp after the last validation", "bottom-up", "not begun"],
)
def test_a_sharpening_that_takes_too_long_is_an_error_that_says_so(sharpening: Sharpening) -> None:
    with pytest.raises(SpikebayesError, match="activations are not sharp after 5 epochs"):
        sharpen(steps(), sharpening)


def schedules() -> list[Sharpening]:
    return [ScheduledSharpening(1, 4.5), BottomUpSharpening(1, 2.25), AdaptiveSharpening(1, **QUICK, rise=0.01)]


@pytest.mark.parametrize("which", [0, 1, 2], ids=["scheduled", "bottom-up", "adaptive"])
def test_a_resumed_training_ends_where_the_whole_one_does(tmp_path: Path, which: int) -> None:
    """Interrupted in the fourth epoch, in the middle of the sharpening."""
    whole, first, rest = (schedules()[which] for _ in range(3))
    settings: dict[str, Any] = {"epochs": 12 if which == 2 else 7}
    model = Watched(steps())
    full = sharpen(model, whole, **settings)
    with pytest.raises(KeyboardInterrupt):
        sharpen(Watched(steps(), stop_at=3 * BATCHES + 2), first, **settings, checkpoints=tmp_path)
    again = Watched(steps(seed=5))
    resumed = sharpen(again, rest, **settings, checkpoints=tmp_path, resume=True)
    assert again.sharpness == model.sharpness[3 * BATCHES :]
    assert 0 < max(again.sharpness[0]) < 1 or which == 2
    assert rest.state_dict() == whole.state_dict()
    assert resumed.history["validation_loss"] == full.history["validation_loss"]
    states = [fitted.model.state_dict() for fitted in (resumed, full)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


@pytest.mark.parametrize("which", [0, 1, 2], ids=["scheduled", "bottom-up", "adaptive"])
def test_a_test_after_the_training_leaves_what_was_noted(which: int) -> None:
    """Of a trainer of one's own: history and progress had been empty behind it."""
    way = schedules()[which]
    way.progress, way.history = [0.5, 1.0], [[0.5, 1.0]]
    for stage in ("validate", "test", "predict"):
        way.setup(None, None, stage)  # pyright: ignore[reportArgumentType]
    assert (way.progress, way.history, way.done) == ([0.5, 1.0], [[0.5, 1.0]], False)
    way.setup(None, None, "fit")  # pyright: ignore[reportArgumentType]
    assert (way.progress, way.history) == ([], [])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (ScheduledSharpening(2, 2), r"ScheduledSharpening\(start=2, epochs=2, whole_epochs=0\)\)"),
        (BottomUpSharpening(1, 1), r"BottomUpSharpening\(start=1, epochs=1\)\)"),
        (None, r"ScheduledSharpening\)"),
    ],
)
def test_a_checkpoint_of_another_sharpening_is_refused(tmp_path: Path, changed: Sharpening, says: str) -> None:
    """Of one with other numbers a training went on, half by one and half by the other."""
    sharpen(steps(), ScheduledSharpening(1, 2), checkpoints=tmp_path)
    before = r"sharpening \(ScheduledSharpening\(start=1, epochs=2, whole_epochs=0\)"
    with pytest.raises(ConfigError, match=rf"changed: {before}, and now {says}; give those"):
        sharpen(steps(seed=5), changed, checkpoints=tmp_path, resume=True)
    sharpen(steps(seed=5), ScheduledSharpening(1.0, 2), checkpoints=tmp_path, resume=True)


def test_adaptive_sharpening_goes_on_from_the_middle_of_an_epoch() -> None:
    """As from a checkpoint of a trainer of one's own; it went through the first half of the epoch twice."""
    whole, first, rest = (layers(AdaptiveSharpening(0, **QUICK)) for _ in range(3))
    for callback in (whole, first):
        for batch in range(3):
            callback.advance(0, batch / 4)
            callback.after_batch(float(batch))
    kept = first.state_dict()
    first.advance(0, 1.0)  # what goes on meanwhile is not in it
    rest.load_state_dict(kept)
    for callback in (whole, rest):
        callback.advance(0, 3 / 4)
        callback.after_batch(9.0)
    assert rest.progress == whole.progress == [0.75 * 3 / 4, 0]
    assert rest.state_dict() == whole.state_dict()


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm])
def test_norms_of_every_kind_are_frozen(norm: Any) -> None:
    model = nn.Sequential(norm(2), nn.ReLU())
    freeze = FrozenNorms(1)
    for epoch in range(2):
        freeze.on_train_epoch_start(SimpleNamespace(current_epoch=epoch), model)  # pyright: ignore[reportArgumentType]
        assert [m.training for m in model] == [epoch == 0, True]


def test_a_callback_that_has_seen_a_training_begins_the_next_anew() -> None:
    sharpening = AdaptiveSharpening(1, **QUICK, rise=1e6)
    with pytest.raises(KeyboardInterrupt):
        sharpen(Watched(steps(), stop_at=3 * BATCHES), sharpening)
    first, second = Watched(steps()), Watched(steps())
    for model in (first, second):
        sharpen(model, sharpening)
        assert len(sharpening.history) == 5
    assert first.sharpness == second.sharpness
    states = first.state_dict(), second.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# -- gamma -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annealing", [0.3, 0.75])
def test_gamma_falls_epoch_by_epoch_as_it_always_has(annealing: float) -> None:
    epochs, gamma = 8, (0.04, 0.002)
    model = Watched(network())
    quick_fit(model, *plane(75), epochs=epochs, annealing=annealing, gamma=gamma)
    falls = annealing_epochs(annealing, epochs)
    expected = [annealed_gamma(*gamma, step // BATCHES / falls) for step in range(epochs * BATCHES)]
    np.testing.assert_allclose(np.array(model.gammas)[:, 0], expected, rtol=1e-6)


def test_gamma_and_sharpness_are_turned_side_by_side() -> None:
    torch.manual_seed(0)
    model = Watched(nn.Sequential(nn.Linear(2, 6), SoftLIF(), nn.Linear(6, 5), Sharpened(), nn.Linear(5, 3)))
    sharpen(model, epochs=10, annealing=0.5, gamma=(0.02, 0.001))
    epoch = np.arange(10 * BATCHES) / BATCHES
    expected = [annealed_gamma(0.02, 0.001, e / 5) for e in epoch.astype(int)]
    np.testing.assert_allclose(np.array(model.gammas)[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(np.array(model.sharpness)[:, 0], np.interp(epoch, [4, 7], [0, 1]), atol=1e-12)
