"""Samples of torch modules: what is computed once per row, what is run whole, and threads."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules import Net
from spikebayes import ConfigError, DataError, predict
from spikebayes.nn import Permadrop, SoftLIF
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks, evaluating
from spikebayes.prediction import module_samples

ROWS = 23


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def plain(model: nn.Module, x: Tensor, samples: int, seed: int = 0, scope: str = "row") -> Tensor:
    """``[S, B, C]`` by one pass over all pairs."""
    position, which = torch.arange(len(x)).repeat(samples), torch.arange(samples).repeat_interleave(len(x))
    keys = position if scope == "row" else torch.zeros_like(position)
    with torch.no_grad(), evaluating(model), Masks(Keys(seed, which, keys)):
        return model(x[position]).flatten(1).unflatten(0, (samples, len(x)))


def counted(forward: Callable[..., Any], sizes: list[int], **parts: nn.Module | Tensor) -> Net:
    """A module that notes the number of lines of every pass."""

    def noting(m: Any, x: Tensor) -> Any:
        sizes.append(len(x))
        return forward(m, x)

    torch.manual_seed(0)
    return Net(noting, **parts)


def parts() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "a": nn.Linear(6, 40),
        "b": nn.Linear(40, 30),
        "c": nn.Linear(30, 2),
        "drop": Permadrop(0.3),
        "lif": SoftLIF(),
    }


def layers(m: Any, x: Tensor) -> Tensor:
    return m.c(m.drop(m.lif(m.b(m.drop(m.lif(m.a(x)))))))


def functional(m: Any, x: Tensor) -> Tensor:
    return m.c(F.dropout(m.lif(m.b(F.dropout(m.a(x), 0.0))), p=0.4, training=False))


def towers(m: Any, x: Tensor) -> Tensor:
    """Two dropout calls that see undropped tensors, and one on their sum."""
    return m.c(m.drop(m.b(m.drop(m.a(x)) + m.drop(m.lif(m.a(-x))))))


def at_the_input(m: Any, x: Tensor) -> Tensor:
    return m.c(m.b(m.a(F.dropout(x, 0.2))))


def at_the_end(m: Any, x: Tensor) -> Tensor:
    return m.drop(m.c(m.b(m.a(x))))


def in_place(m: Any, x: Tensor) -> Tensor:
    return m.c(m.b(m.drop(m.a(x)).relu_()).add_(1))


def feature_maps(m: Any, x: Tensor) -> Tensor:
    maps = F.dropout2d(m.a(x).view(-1, 10, 2, 2), 0.5)
    return m.c(m.b(maps.transpose(1, 2).flatten(1)))


SHARED = {f.__name__: f for f in (layers, functional, towers, at_the_input, at_the_end, in_place, feature_maps)}


def residual(m: Any, x: Tensor) -> Tensor:
    h = m.a(x)
    return m.c(m.b(h + m.drop(h)))


def baked_size(m: Any, x: Tensor) -> Tensor:
    size = len(x)
    return m.c(m.b(m.drop(m.a(x)).view(size, 40)))


def scaled_by_size(m: Any, x: Tensor) -> Tensor:
    """Runs on shared rows without an error, but gives something else."""
    dropped = m.drop(m.a(x))
    return m.c(m.b(dropped * (len(dropped) / len(x))))


WHOLE = {f.__name__: f for f in (residual, baked_size, scaled_by_size)}


# -- the samples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [2, 100])
@pytest.mark.parametrize("scope", ["row", "pass"])
@pytest.mark.parametrize("forward", [*SHARED.values(), *WHOLE.values()])
def test_samples_are_those_of_one_pass_over_all_pairs(forward: Any, scope: Any, samples: int) -> None:
    model, x = Net(forward, **parts()), torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(1))
    found = predict(model, x, samples=samples, seed=4, mask_scope=scope).samples
    torch.testing.assert_close(found, plain(model, x, samples, 4, scope), rtol=1e-4, atol=1e-5)


def test_in_float64_too() -> None:
    model, x = Net(towers, **parts()).double(), torch.randn(ROWS, 6, dtype=torch.float64)
    found = predict(model, x, samples=9).samples
    torch.testing.assert_close(found, plain(model, x, 9).float(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("forward", SHARED.values())
def test_what_comes_before_the_first_dropout_is_computed_once_per_row(forward: Any) -> None:
    sizes: list[int] = []
    predict(counted(forward, sizes, **parts()), torch.randn(500, 6), samples=100)
    assert sum(sizes) < 0.05 * 500 * 100


@pytest.mark.parametrize("forward", WHOLE.values())
def test_what_cannot_be_shared_is_run_on_all_lines(forward: Any) -> None:
    sizes: list[int] = []
    predict(counted(forward, sizes, **parts()), torch.randn(50, 6), samples=100)
    assert 50 * 100 <= sum(sizes) < 2 * 50 * 100


def test_a_pass_over_wide_tensors_has_fewer_lines() -> None:
    def most(width: int) -> int:
        sizes: list[int] = []
        wide = {"a": nn.Linear(6, width), "c": nn.Linear(width, 1), "drop": Permadrop(0.5)}
        predict(counted(lambda m, x: m.c(m.a(x) + m.drop(m.a(x))), sizes, **wide), torch.randn(50, 6), samples=50)
        return max(sizes)

    assert most(8) * 8 <= most(10_000) * 10_000 < 2_000_000


# -- bits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forward", [layers, towers, residual])
@pytest.mark.parametrize("samples", [3, 60])
def test_bits_depend_on_nothing_but_the_pair(forward: Any, samples: int) -> None:
    """Several passes, so that a row is at another place in each."""
    model, x = Net(forward, **parts()), torch.randn(150, 6, generator=torch.Generator().manual_seed(1))
    whole = predict(model, x, samples=samples).samples
    for batch_size in (1, 40):
        few = slice(0, 150 if batch_size > 1 else 4)
        assert torch.equal(predict(model, x[few], samples=samples, batch_size=batch_size).samples, whole[:, few])
    order = torch.randperm(150, generator=torch.Generator().manual_seed(2))
    assert torch.equal(predict(model, x[order], rows=order, samples=samples).samples, whole[:, order])
    assert torch.equal(predict(model, x[77:], rows=range(77, 150), samples=samples).samples, whole[:, 77:])
    assert torch.equal(predict(model, x, samples=samples - 1).samples, whole[:-1])


@pytest.mark.parametrize("forward", [layers, residual])
def test_bits_do_not_depend_on_the_number_of_threads(forward: Any) -> None:
    model, x = Net(forward, **parts()), torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    two = predict(model, x, samples=50).samples
    for count in (1, 3):
        torch.set_num_threads(count)
        assert torch.equal(predict(model, x, samples=50).samples, two)
        assert torch.get_num_threads() == count
    torch.set_num_threads(2)


# -- threads -------------------------------------------------------------------------------------------------


class Watched(nn.Module):
    """Notes which threads run it; ``act`` may do something first."""

    def __init__(self, act: Callable[[nn.Module, Tensor], Tensor] = lambda m, x: x) -> None:
        super().__init__()
        self.act, self.names, self.layer = act, set[str](), nn.Linear(6, 200)

    def forward(self, x: Tensor) -> Tensor:
        self.names.add(threading.current_thread().name)
        return F.dropout(self.layer(self.act(self, x)), 0.5)


MANY = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))


def test_passes_run_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting, met = threading.Barrier(2, timeout=30), set[str]()
    begun, stateless = threading.Event(), module_samples._stateless

    def last_before_the_tiles(*arguments: Any) -> bool:
        begun.set()
        return stateless(*arguments)

    def act(m: nn.Module, x: Tensor) -> Tensor:
        name = threading.current_thread().name
        if begun.is_set() and name not in met:
            meeting.wait()  # for the other thread
            met.add(name)
        return x

    monkeypatch.setattr(module_samples, "_stateless", last_before_the_tiles)
    predict(Watched(act), MANY, samples=50)
    assert len(met) == 2


def keep_attribute(m: Any, x: Tensor) -> Tensor:
    m.kept = x
    return m.kept


def keep_item(m: Any, x: Tensor) -> Tensor:
    m.items["x"] = x
    return m.items["x"]


def write_tensor(m: Any, x: Tensor) -> Tensor:
    m.buffer[: len(x)] = x
    return m.buffer[: len(x)]


@pytest.mark.parametrize("act", [keep_attribute, keep_item, write_tensor])
def test_a_module_that_keeps_something_of_a_pass_runs_in_one_thread(act: Any) -> None:
    model: Any = Watched(act)
    model.items, model.buffer = {}, torch.zeros(4096, 6)
    found = predict(model, MANY, samples=50).samples
    assert len(model.names) == 1
    model.buffer = torch.zeros(len(MANY) * 50, 6)
    torch.testing.assert_close(found, plain(model, MANY, 50), rtol=1e-4, atol=1e-5)


def test_a_module_with_hooks_runs_in_one_thread() -> None:
    model = Watched()
    model.layer.register_forward_hook(lambda module, arguments, output: 2 * output)
    predict(model, MANY, samples=50)
    assert len(model.names) == 1


@pytest.mark.parametrize("mode", [torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), torch.enable_grad()])
def test_the_callers_modes_hold_in_every_thread(mode: Any) -> None:
    seen: set[tuple[bool, ...]] = set()

    def act(m: nn.Module, x: Tensor) -> Tensor:
        seen.add((torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()))
        return x

    model = Watched(act)
    with mode:
        inference, autocast = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
        predict(model, MANY, samples=50)
    assert seen == {(inference, autocast, False)}
    assert len(model.names) > 1


def test_new_threads_have_torchs_number_of_threads_afterwards() -> None:
    predict(Watched(), MANY, samples=50)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [2]


def failing(error: BaseException) -> Watched:
    """A module that fails at the last rows."""

    def act(m: nn.Module, x: Tensor) -> Tensor:
        if bool((x == 99).any()):
            raise error
        return x

    return Watched(act)


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (RuntimeError("no"), DataError, r"the model does not take rows of shape \[6\]: no"),
        (ConfigError("not so"), ConfigError, "not so"),
        (KeyError("other"), KeyError, "other"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_errors_of_a_late_pass(raised: Exception, expected: type[Exception], message: str, threads: int) -> None:
    x = MANY.clone()
    x[-1] = 99
    torch.set_num_threads(threads)
    before = threading.active_count()
    with pytest.raises(expected, match=message):
        predict(failing(raised), x, samples=50)
    assert threading.active_count() == before
    torch.set_num_threads(2)


def test_ctrl_c_ends_it_and_leaves_no_thread() -> None:
    calls: list[int] = []

    def act(m: nn.Module, x: Tensor) -> Tensor:
        with lock:
            calls.append(1)
            now = len(calls) == 20
        if now:
            signal.raise_signal(signal.SIGINT)
        return x

    lock = threading.Lock()
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        predict(Watched(act), MANY.repeat(20, 1), samples=100)
    deadline = time.monotonic() + 10
    while threading.active_count() > before:  # a thread that was interrupted at its start ends by itself
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(calls) < 60  # of about 800
