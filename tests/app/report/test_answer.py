"""What stands first on the page, by hand: scores, coverage, the least certain rows, those outside, the cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikebayes as sb
from spikebayes.app.report import answer, costs
from spikebayes.app.report.contents import ReportData
from spikebayes.app.report.page import render
from spikebayes.app.report.words import number
from spikebayes.nn import zoo

NETWORK = sb.convert(zoo.mlp(2, 1, [4]), torch.zeros(1, 2))


def about(side: sb.Predictive, targets: Tensor | None = None, **more: Any) -> ReportData:
    """A report of one prediction, of a network that plays no part in it."""
    classical = replace(side, draw=replace(side.draw, seed=side.draw.seed + 1))
    trace = torch.zeros(5, side.samples.shape[2])
    row = int(side.draw.rows[0])
    return ReportData(
        "t", NETWORK, classical, side, sb.compare(classical, side), trace, trace[0], row, targets, **more
    )


def values(means: Tensor, stds: Tensor, **more: Any) -> sb.Predictive:
    """A prediction of two samples with these means and standard deviations of the noise, [B] or [B, C]."""
    means, stds = (part.reshape(len(part), -1) for part in (means, stds))
    return sb.Predictive(
        torch.stack([means, means]), sb.Draw(0, "row", torch.arange(len(means)) + 7), noise_std=stds, **more
    )


def test_values_are_scored_and_covered() -> None:
    rows = 100
    stds = torch.linspace(1, 2, rows)
    y = torch.arange(rows).float()
    means = y.clone()
    means[:20] += 3 * stds[:20]  # the surest fifth is missed
    data = about(values(means, stds), y, outside=("",) * 98 + ("a|b", "b"))
    shown = {tile.name: tile for tile in answer.tiles(data)}
    error = float((3 * stds[:20]).square().sum() / rows) ** 0.5
    assert shown["error (RMSE)"].value == f"{error:#.3g}"
    assert "28.9 if their mean were predicted" in shown["error (RMSE)"].beside  # std of 0 to 99
    assert float(shown["R²"].value) == pytest.approx(1 - error**2 / np.var(np.arange(rows)), abs=6e-4)
    held = shown["of observations in their 90% interval"]
    assert held.value == "80%"
    assert held.beside == "fewer than asked (71 to 87%)"  # Clopper & Pearson of 80 in 100
    assert float(shown["median width of a 90% interval"].value) == pytest.approx(2 * 1.645 * 1.5, abs=0.01)
    assert shown["rows outside the training data"].value == "2 of 100"
    groups = answer.coverage(data)[1]
    assert [group["share"] for group in groups] == ["0%", *["100%"] * 4]
    assert [group["rows"] for group in groups] == ["20"] * 5
    assert (groups[0]["group"], groups[4]["group"]) == ("1 (most certain)", "5 (least certain)")


def test_the_least_certain_rows_come_first_and_misses_are_marked() -> None:
    stds = torch.tensor([1.0, 4.0, 2.0, 3.0])
    y = torch.tensor([0.0, 0.0, 10.0, 0.0])
    table = answer.least_certain(about(values(torch.zeros(4), stds), y, outside=("", "a", "", "")))
    assert [name for name, _ in table.columns] == ["Row", "Mean", "Lower", "Upper", "Std", "Observed", "Outside in"]
    assert [row[0] for row in table.rows] == ["8", "10", "9", "7"]
    assert table.rows[0] == ("8", "0.00", "−6.58", "6.58", "4.00", "0.00", "a")
    assert [row[5] for row in table.rows] == ["0.00", "0.00", "10.0 ✗", "0.00"]
    within = answer.least_certain(about(values(torch.zeros(4), stds), outside=("",) * 4))
    assert [name for name, _ in within.columns] == ["Row", "Mean", "Lower", "Upper", "Std"]
    assert len(answer.least_certain(about(values(torch.zeros(40), torch.ones(40)))).rows) == answer.LEAST


def test_of_several_outputs_each_is_scored_under_its_name() -> None:
    y = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    data = about(values(y + torch.tensor([1.0, 2.0]), torch.ones(2, 2), names=("a", "b")), y)
    shown = {tile.name: tile.value for tile in answer.tiles(data)}
    assert (shown["error (RMSE) of a"], shown["error (RMSE) of b"]) == ("1.00", "2.00")
    assert sum("interval of" in name for name in shown) == 2  # of the output that is drawn
    page = render(data)
    assert f"The least certain rows of {data.spiking.names[data.output]}</h3>" in page


def classes(p: list[list[float]], names: tuple[str, ...] = ()) -> sb.Predictive:
    samples = torch.tensor(p)[None].expand(2, -1, -1)
    return sb.Predictive(samples, sb.Draw(0, "row", torch.arange(len(p))), sb.Task.CLASSIFICATION, names=names)


def test_classes_are_counted_by_what_they_are_taken_for() -> None:
    side = classes([[0.95, 0.05, 0.0], [0.5, 0.3, 0.2], [0.08, 0.92, 0.0], [0.6, 0.4, 0.0]], ("x", "y", "z"))
    data = about(side, torch.tensor([0, 2, 1, 1]))
    found = answer.confusion(data)
    assert found is not None
    assert found.counts == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]
    assert found.mistakes.rows == (("y", "x", "1"), ("z", "x", "1"))
    shown = {tile.name: tile for tile in answer.tiles(data)}
    assert shown["right (accuracy)"].value == "50%"
    assert shown["right (accuracy)"].beside == "2 of 4 rows; 50% if the most common class were predicted"
    assert shown["of 90% sets contain the class"].value == "100%"
    assert shown["classes in a set, on average"].value == "1.75"  # 1, 3, 1, 2
    table = answer.least_certain(data)
    assert table.rows[0] == ("1", "x", "x:\xa00.50\xa0· y:\xa00.30\xa0· z:\xa00.20", "x, y, z", "z ✗")
    assert table.rows[1] == ("3", "x", "x:\xa00.60\xa0· y:\xa00.40", "x, y", "y ✗")


def test_many_classes_have_their_mistakes_listed_not_a_matrix() -> None:
    k = answer.MOST_CLASSES + 1
    data = about(classes((torch.eye(k) * 0.9 + 0.1 / k).tolist()), torch.arange(k).roll(1))
    found = answer.confusion(data)
    assert found is not None
    assert not found.counts
    assert len(found.mistakes.rows) == answer.LEAST
    assert found.mistakes.rows[0] == ("y0", "y1", "1")
    assert answer.confusion(replace(data, targets=None)) is None


def test_rows_outside_are_counted_by_column() -> None:
    names = ("a|b", "", "b", *["b"] * 9)
    said, table = answer.outside(about(values(torch.zeros(12), torch.ones(12)), outside=names))
    assert said.startswith("11 of 12 rows")
    assert "by column: b (11), a (1)" in said
    assert table is not None
    assert table.rows[:2] == (("7", "a, b"), ("9", "b"))
    assert len(table.rows) == answer.LEAST
    said, table = answer.outside(about(values(torch.zeros(2), torch.ones(2)), outside=("", r"a\|b|c")))
    assert "by column: a|b (1), c (1)" in said
    assert table is not None
    assert table.rows == (("8", "a|b, c"),)
    within = answer.outside(about(values(torch.zeros(2), torch.ones(2)), outside=("", "")))
    assert within[0].startswith("All rows are like the training data")
    assert within[1] is None
    assert answer.outside(about(values(torch.zeros(2), torch.ones(2)))) == ("", None)


@pytest.mark.parametrize("wrong", [(), ("a",), ("", "", "")])
def test_outside_must_be_about_the_rows(wrong: tuple[str, ...]) -> None:
    with pytest.raises(sb.DataError, match="outside must name columns of 2 rows"):
        about(values(torch.zeros(2), torch.ones(2)), outside=wrong)


def test_what_intervals_rest_on_is_said() -> None:
    side = values(torch.zeros(30), torch.ones(30))
    known = side.calibrate(torch.randn(30, generator=torch.Generator().manual_seed(0)))
    assert "calibrated on 30 rows" in answer.sureness(about(replace(side, conformal=known)))
    assert "not calibrated" in answer.sureness(about(side))
    assert "without the noise" in answer.sureness(about(replace(side, noise_std=None)))


def test_the_cost_is_that_of_energy() -> None:
    data = about(values(torch.zeros(3), torch.ones(3), settings={"spikes_per_prediction": {"a": 1.5, "b": 2}}))
    assert costs.sentence(data) == "A prediction of a row, 2 samples, takes 7.00 spikes of 4 neurons."
    assert costs.devices(data) is None
    bill = sb.energy(NETWORK, torch.zeros(3, 2), samples=2)
    priced = replace(data, energy=bill)
    loihi = bill.devices[0]
    ratio = bill.spiking_joules(loihi) / bill.classical_joules(loihi)
    assert f"on Loihi it is {ratio:.3g} times dearer than the classical passes" in costs.sentence(priced)
    table = costs.devices(priced)
    assert table is not None
    assert float(table.rows[0][3].replace(",", "")) == pytest.approx(ratio, rel=5e-3)


def test_what_a_coded_network_tells_once_is_counted_once() -> None:
    """Its first layer comes before the mask."""
    x = torch.randn(150, 2, generator=torch.Generator().manual_seed(0))
    layers = nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 1)
    network, few = sb.convert(nn.Sequential(*layers).eval(), x, code=sb.Graded(8)), x[:2]
    bill = sb.energy(network, few, samples=20)
    assert bill.spiking.spikes["layer1"] > 0
    each = sum(bill.spiking.spikes.values()) / 2
    data = replace(about(sb.predict(network, few, samples=20)), network=network)
    assert f"20 samples, takes {number(each)} spikes of 11 neurons" in costs.sentence(data)
