"""The bench of whole predictions: what it measures, and what its page says of it."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import measure, posteriors, race, trained
from benchmarks.roofline import roofline
from spikebayes import ConfigError, predict
from spikebayes.nn import zoo


@pytest.mark.slow
def test_predictions_of_a_trained_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = trained.RECIPES["tabular"]
    small = trained.Recipe(recipe.title, recipe.build, recipe.load, recipe.task, 200, 20, 2, 64)
    monkeypatch.setitem(trained.RECIPES, "tabular", small)
    monkeypatch.setattr(race, "alternate", functools.partial(race.alternate, least=0.0))
    one = trained.trained("tabular", tmp_path, tmp_path, 0)
    again = trained.trained("tabular", tmp_path, tmp_path, 0)  # from the folder
    given: dict[str, Any] = {"samples": 3, "seed": 0}
    assert torch.equal(*(predict(each.network, each.x[0], **given).samples for each in (one, again)))
    assert one.network.timing is not None
    limit = roofline(1, widths=(64,), kibibytes=(64, 256), neurons=(128,), repeats=1, amount=20_000)
    found = posteriors.measure("tabular", one, limit, {}, 2, 0, None, lambda _: None)
    assert found["steps"] == one.network.timing.steps < found["default_steps"]
    assert found["rows"] == 20
    assert found["ratios"]["tuned"]["predict(module)"] > 0
    origin = {"command": "c", "seed": 0, "commit": "d", "seconds": 1.0, "machine": {"processor": "p", "cores": 2}}
    page = posteriors.render(
        origin | {"settings": {"repeats": 2, "threads": 1, "error": 0.03}, "networks": {"tabular": found}}
    )
    assert f"| {found['steps']} | {found['default_steps']} |" in page


def test_a_loop_of_passes_repeats_rows_for_each_sample() -> None:
    module = zoo.mlp(2, 1, [50], 0.5)
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    made = posteriors.passes(module, (x,), 40, 7)
    assert made.shape == (40, 3, 1)
    assert bool((made.std(0) > 0).all())
    assert not module.training


def test_rounds_on_a_busy_machine_do_not_count() -> None:
    busy = iter([True, False, True, True, False, True, True])
    ran: list[int] = []
    watch: Any = SimpleNamespace(quiet=lambda: next(busy))
    timed = measure.alternate({"a": lambda: ran.append(1)}, 1, least=0.0, watch=watch)
    assert len(timed["a"].rounds) == 1
    assert len(ran) == 3  # warm-up, a round beside other work, and a quiet one
    with pytest.raises(ConfigError, match="busy with other work: only 0 of 2 rounds"):
        measure.alternate({"a": lambda: None}, 2, least=0.0, watch=SimpleNamespace(quiet=lambda: False))  # pyright: ignore


def test_a_watch_sees_what_a_thread_gets() -> None:
    assert 0 < measure.Watch(1).share() <= 1.01
    assert not measure.Watch(1, least=1.5).quiet()
