"""The page: what it shows is what was compared, it stands alone, and nothing in the data can break it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikebayes as sb
from spikebayes.app.report.contents import ReportData, report_data
from spikebayes.app.report.page import _details as page_figures
from spikebayes.app.report.page import render, write_report
from spikebayes.app.report.tables import key_figures, network_rows, score_rows
from spikebayes.app.report.words import number
from spikebayes.errors import ConfigError, DataError

HOSTILE = "<script>alert(\"1\")</script> & '$x$'"
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that tags are balanced; keeps text by tag, ids, and table rows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.text: dict[str, list[str]] = {}
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.ids += [value for key, value in attrs if key == "id" and value]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.ids += [value for key, value in attrs if key == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data.strip()

    def row(self, name: str) -> list[str]:
        return next(row[1:] for row in self.rows if row and row[0] == name)


@cache
def parts() -> tuple[nn.Module, sb.SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 30), sb.nn.SoftLIF(), sb.nn.Permadrop(0.25), nn.Linear(30, 2))
    x = torch.randn(60, 3)
    return model, sb.convert(model, x, synapse=sb.Alpha(0.005)), x


@cache
def predictions(
    seeds: tuple[int, ...], rows: int = 60, scope: Any = "row", task: sb.Task = sb.Task.REGRESSION
) -> tuple[sb.Predictive, ...]:
    """The classical prediction, the spiking one and, given a third seed, the control."""
    model, network, x = parts()
    options: dict[str, Any] = {"samples": 30, "mask_scope": scope, "rows": torch.arange(rows) + 40, "task": task}
    sides: Sequence[Any] = (model, network, model)
    return tuple(
        sb.predict(side, x[:rows], seed=seed, steps=120, burn_in=60, **options)
        for side, seed in zip(sides, seeds, strict=False)
    )


def contents(
    seeds: tuple[int, ...] = (1, 2, 3),
    rows: int = 60,
    scope: str = "row",
    task: sb.Task = sb.Task.REGRESSION,
    **changes: Any,
) -> ReportData:
    classical, spiking, *control = predictions(seeds, rows, scope, task)
    verdict = sb.compare(classical, spiking, control=control[0] if control else None)
    model, network, x = parts()
    return replace(report_data("A run", model, network, x[:rows], classical, spiking, verdict), **changes)


CASES: dict[str, dict[str, Any]] = {
    "control": {},
    "without control": {"seeds": (1, 2)},
    "paired": {"seeds": (1, 1)},
    "pass scope": {"scope": "pass"},
    "paired, pass scope": {"seeds": (1, 1), "scope": "pass"},
    "one row": {"rows": 1, "targets": torch.ones(1, 2)},
    "classes": {"task": sb.Task.CLASSIFICATION, "targets": torch.arange(60) % 2},
    "classes without targets": {"task": sb.Task.CLASSIFICATION},
    "targets": {"targets": torch.zeros(60, 2)},
    "outside": {"targets": torch.zeros(60, 2), "outside": ("a|b", *[""] * 58, "b")},
    "trace not finite": {"trace": torch.tensor([[1.0, 1.0], [torch.nan, 1.0], [torch.inf, 1.0]])},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.slow
def test_page_stands_alone_and_is_the_same_twice(case: dict[str, Any]) -> None:
    data = contents(**case)
    html = render(data)
    page = Page(html)
    assert html == render(data)
    assert len(html) < 1_500_000
    addresses = set(re.findall(r"\w+://[^\"'\s<]*", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|<link|<script|<img|url\((?!#)", html)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags["svg"] == len(re.findall(r'role="img" aria-label="', html))
    assert (
        page.tags["figcaption"]
        == page.tags["figure"]
        == 4
        + (data.verdict.ks_pvalues is not None)
        + (data.targets is not None or data.spiking.task is sb.Task.REGRESSION)
    )
    assert all(len(caption) > 0 for caption in page.text["figcaption"])


def test_the_verdict_is_the_comparison() -> None:
    data = contents()
    page = Page(render(data))
    verdict, control = data.verdict, data.verdict.control
    assert control is not None
    assert data.verdict.summary() in page.text["p"]
    shown = {
        "Mean offset": lambda v: v.pooled_mean_difference,
        "Ratio of spreads": lambda v: v.pooled_spread_ratio,
        "Share of rows within their margins": lambda v: v.share_within,
        "Uniformity of the KS p-values": lambda v: v.uniformity_pvalue,
        "Wasserstein distance": lambda v: np.median(v.wasserstein),
        "KS statistic": lambda v: np.median(v.ks_statistic),
        "Rows rejected": lambda v: v.rejections,
        "Rows compared": lambda v: len(v.rows),
    }
    for name, read in shown.items():
        _, spiking, other = page.row(name)
        for text, value in ((spiking, read(verdict)), (other, read(control))):
            assert float(text.replace("−", "-")) == pytest.approx(value, rel=5e-3), name


@pytest.mark.parametrize(
    ("outcome", "badge"), [("kept", "✓ Kept"), ("not kept", "✗ Not kept"), ("undecided", "? Undecided")]
)
def test_badge_follows_the_verdict(outcome: str, badge: str) -> None:
    data = contents()
    verdict = replace(data.verdict, outcome=sb.Outcome(outcome))
    page = Page(render(replace(data, verdict=verdict)))
    assert page.text["strong"] == [badge]


def test_drawn_numbers_are_those_compare_judged() -> None:
    data = contents()
    classical, spiking = (side.std(0, ddof=1) for side in data.drawn())
    np.testing.assert_allclose(spiking / classical, data.of_output(data.verdict.std_ratio))
    for output in (0, 1):
        one = sb.compare(*predictions((1, 2)), output=output)
        data = contents((1, 2), verdict=one)
        np.testing.assert_array_equal(data.drawn()[1], data.spiking.samples[..., output].numpy())
        assert data.of_output(one.wasserstein) is one.wasserstein


def test_of_several_outputs_the_one_that_differs_most_is_drawn() -> None:
    classical, spiking = predictions((1, 2))
    for output in (0, 1):
        off = replace(spiking, samples=spiking.samples.clone())
        off.samples[..., output] += 3
        data = contents((1, 2), spiking=off, verdict=sb.compare(classical, off))
        assert data.output == output
        worst = next(figure for figure in page_figures(data) if figure.heading == "The worst row")
        assert data.classical.names[output] in str(worst.panels[0])


def test_classes_are_drawn_by_the_favourite() -> None:
    data = contents(task=sb.Task.CLASSIFICATION)
    together = torch.cat([data.classical.samples, data.spiking.samples]).mean(0)
    np.testing.assert_allclose(np.concatenate(data.drawn()).mean(0), together.max(-1).values.numpy(), rtol=1e-6)


@pytest.mark.parametrize("scope", ["row", "pass"])
def test_trace_is_the_simulation_of_the_first_sample(scope: Any) -> None:
    model, network, x = parts()
    data = contents((1, 2), scope=scope)
    run = sb.simulate(network, x[:1], seed=2, steps=120, rows=torch.tensor([40]), probe=["trace"], mask_scope=scope)
    assert run.trace is not None
    assert torch.equal(data.trace, run.trace[0, 0])
    torch.testing.assert_close(data.trace[60:].mean(0), data.spiking.samples[0, 0])
    paired = sb.predict(model, x, seed=2, samples=30, rows=torch.arange(60) + 40, mask_scope=scope)
    torch.testing.assert_close(data.trace_reference, paired.samples[0, 0])
    assert data.trace_row == 40


def test_trace_is_rescaled_with_the_predictions() -> None:
    model, network, x = parts()
    classical, spiking = predictions((1, 2))
    plain = contents((1, 2))
    verdict = plain.verdict
    scaled = report_data("t", model, network, x, classical, spiking, verdict, rescale=lambda z: 10 * z + 3)
    torch.testing.assert_close(scaled.trace, 10 * plain.trace + 3)
    torch.testing.assert_close(scaled.trace_reference, 10 * plain.trace_reference + 3)


def test_markup_in_the_data_is_shown_not_obeyed() -> None:
    data = contents((1, 2))
    parts = data.network
    old = parts.populations[0].name

    def renamed(name: str) -> str:
        return HOSTILE if name == old else name

    network = replace(
        parts,
        populations=tuple(replace(p, name=renamed(p.name)) for p in parts.populations),
        connections=tuple(replace(c, source=renamed(c.source), target=renamed(c.target)) for c in parts.connections),
    )
    classical, spiking = (replace(p, names=(HOSTILE, "b")) for p in (data.classical, data.spiking))
    settings = {HOSTILE: HOSTILE, "list": [HOSTILE], "odd": float("nan"), "path": Path("a.csv")}
    targets = torch.ones(60, 2)
    html = render(
        ReportData(
            HOSTILE,
            network,
            classical,
            spiking,
            data.verdict,
            data.trace,
            data.trace_reference,
            data.trace_row,
            targets,
            settings,
            subject=HOSTILE,
            outside=(f"{HOSTILE}|b", *[""] * 59),
            commands=(HOSTILE,),
        )
    )
    page = Page(html)
    assert "<script" not in html
    assert page.text["h1"] == [HOSTILE]
    assert page.text["code"][-1] == HOSTILE
    assert page.row(HOSTILE)


def test_network_table_adds_up() -> None:
    data = contents()
    page = Page(render(data))
    name = data.network.populations[0].name
    spikes = data.spiking.settings["spikes_per_prediction"][name]
    _, neuron, noise, units, rate, shown = page.row(name)
    assert neuron.startswith("LIF")
    assert noise == "dropout 0.25"
    assert units == "30"
    assert float(shown) == pytest.approx(spikes, rel=5e-3)
    assert float(rate) == pytest.approx(spikes / (30 * 120 * 1e-3), rel=5e-3)
    assert page.row("All neurons")[3:] == ["30", rate, shown]


def test_the_network_table_says_what_becomes_of_spikes() -> None:
    ordinary = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Dropout(0.25), nn.Linear(3, 1))
    chip = sb.with_spike_noise(sb.convert(ordinary, torch.rand(100, 2), code=sb.Radix(4)), jitter=0.2, loss=0.001)
    rows = {row["name"]: row for row in network_rows(replace(contents(), network=chip))}
    assert rows["layer1"]["noise"] == "dropout 0.25; jitter of 0.2 ticks, 0.1 % of spikes lost"


def test_settings_say_how_to_repeat_the_run() -> None:
    commands = ("spikebayes fit 'a b.csv'", "spikebayes compare run")
    data = contents(settings={"given": "by hand", "versions": {"spikebayes": "9.9"}}, commands=commands)
    page = Page(render(data))
    assert (
        tuple(text for text in page.text["code"] if text.startswith("spikebayes fit ") or " run" in text) == commands
    )
    expected = {"steps": "120", "burn_in": "60", "dt": "0.001", "synapse": "Alpha(tau=0.005)", "engine": "cpu"}
    expected |= {"given": "by hand", "spikebayes": "9.9", "seeds": "[1, 2]"}
    for key, value in expected.items():
        assert page.row(key) == [value]


def test_scores_by_hand() -> None:
    rows = sb.Draw(0, "row", torch.arange(2))
    samples = torch.tensor([[[1.0], [3.0]], [[3.0], [3.0]]])  # means 2 and 3
    classical = sb.Predictive(samples, rows)
    spiking = replace(classical, samples=samples + 1, noise_std=torch.tensor([1.0]))
    verdict = sb.compare(*predictions((1, 2), 1))
    verdict = replace(verdict, rows=np.arange(2))
    trace, targets = torch.zeros(5, 1), torch.tensor([2.0, 5.0])
    data = ReportData("t", parts()[1], classical, spiking, verdict, trace, trace[0], 0, targets)
    table = {row["name"]: (row["classical"], row["spiking"]) for row in score_rows(data)}
    assert table["RMSE"] == ("1.41", "1.00")  # errors 0 and 2; 1 and 1
    assert table["R²"] == ("0.111", "0.556")  # 1 - 4/4.5, 1 - 2/4.5
    # row 1: samples 1 and 3 about 2, 2 apart: 1 - 2/2, also when moved by 1; row 2: both are 2 off, then 1
    assert table["CRPS without observation noise"] == ("1.00", "0.500")
    assert table["Mean log-likelihood (nats)"][0] == "–"


def test_scores_of_classes_by_hand() -> None:
    rows = sb.Draw(0, "row", torch.arange(2))
    samples = torch.tensor([[[0.75, 0.25], [0.5, 0.5]], [[0.75, 0.25], [0.0, 1.0]]])  # means 3/4, 1/4 on both rows
    classical = sb.Predictive(samples, rows, sb.Task.CLASSIFICATION)
    spiking = replace(classical, samples=samples.flip(-1))
    verdict = replace(sb.compare(*predictions((1, 2), 1)), rows=np.arange(2))
    trace, targets = torch.zeros(5, 2), torch.tensor([0, 1])
    data = ReportData("t", parts()[1], classical, spiking, verdict, trace, trace[0], 0, targets)
    assert {row["name"]: (row["classical"], row["spiking"]) for row in score_rows(data)} == {
        "Accuracy": ("1.00", "0.00"),
        "Negative log-likelihood (nats)": ("0.288", "1.39"),  # -log 3/4, -log 1/4
        "Brier score": ("0.125", "1.12"),  # 2/16, 2 * 9/16
        "Expected calibration error": ("0.250", "0.750"),
        "Area under the risk-coverage curve": ("0.00", "1.00"),
        "Targets inside the 90% set": ("1.00", "1.00"),  # 3/4 is too little: both classes are in each
        "Mean size of the 90% set (classes)": ("2.00", "2.00"),
    }


def test_absent_numbers_are_words() -> None:
    verdict = replace(contents((1, 1)).verdict, pooled_mean_difference=float("nan"), pooled_spread_ratio=float("inf"))
    shown = {row["name"]: row["spiking"] for row in key_figures(verdict)}
    assert shown["Mean offset"] == "undefined"
    assert shown["Ratio of spreads"] == "∞"
    assert "KS statistic" not in shown
    assert number(-0.5) == "−0.500"
    assert [number(v) for v in (999.4, 999.6, -999.6)] == ["999", "1,000", "−1,000"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    data = contents()
    with pytest.raises(DataError, match="targets must be"):
        replace(data, targets=torch.zeros(3))
    with pytest.raises(DataError, match="trace must be"):
        replace(data, trace=torch.zeros(5, 7))
    with pytest.raises(DataError, match="none of the predicted rows"):
        replace(data, trace_row=0)
    model, network, x = parts()
    with pytest.raises(ConfigError, match="make it with predict"):
        report_data("t", model, network, x, data.classical, data.classical, data.verdict)
    with pytest.raises(ConfigError, match="does not exist"):
        write_report(data, tmp_path / "missing" / "report.html")


def test_page_is_written_as_rendered(tmp_path: Path) -> None:
    data = contents()
    write_report(data, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(data)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_network_of_one_step_has_no_output_over_time() -> None:
    data = contents()
    assert "Output over time" in render(data)
    assert "Output over time" not in render(replace(data, trace=data.trace[:1]))


def test_too_few_calibration_rows_are_said_once_on_the_page() -> None:
    data = contents((1, 2), rows=60, targets=torch.zeros(60, 2))
    few = replace(data.spiking, samples=data.spiking.samples[:, :5], draw=sb.Draw(2, "row", torch.arange(5)))
    known = few.calibrate(torch.zeros(5, 2))
    page = Page(render(replace(data, spiking=replace(data.spiking, conformal=known))))
    assert sum("5 calibration rows guarantee" in text for text in page.text["p"]) == 1


@pytest.mark.parametrize("case", ["targets", "classes", "classes without targets"])
def test_headings_go_down_one_step_at_a_time_and_what_scrolls_takes_the_keyboard(case: str) -> None:
    html = render(contents(**CASES[case]))
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    scrolling = re.findall(r'<div class="scroll"([^>]*)>', html)
    assert scrolling
    assert all('tabindex="0" role="region" aria-label="' in attributes for attributes in scrolling)
    order = [html.index(f'id="{name}"') for name in ("answer", "spikes", "cost", "repeat")]
    assert order == sorted(order)
    assert (
        html.index("</h1>")
        < html.index('class="tiles"')
        < html.index('class="verdict')
        < html.index("<summary>The w")
    )


def test_colours_of_figures_follow_the_page() -> None:
    html = render(contents((1, 2)))
    assert "fill: var(--spiking, #d55e00)" in html
    assert not re.search(r"[:] #(222222|ffffff|d55e00)", html.split("</style>", 1)[1], re.IGNORECASE)
