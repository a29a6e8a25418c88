"""Figures: well-formed, the same twice, and drawn where the data are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from spikebayes.app.report import figures
from spikebayes.app.report.svg import short

SVG = "{http://www.w3.org/2000/svg}"
RNG = np.random.default_rng(0)
SAMPLES = RNG.normal(size=(2, 100))
STEPS = np.cumsum(RNG.normal(size=300))
P = RNG.random((3, 60))
NAME = 'yield <b>&"$x_1$" 収量'

FIGURES: dict[str, Callable[[], str]] = {
    "trace": lambda: figures.output_trace(STEPS, 1.0, 200, 1e-3, NAME),
    "trace that swings": lambda: figures.output_trace([-800.0, *STEPS[1:]], 1.0, 200, 1e-3, NAME),
    "one step": lambda: figures.output_trace([0.5], 0.5, 0, 1e-3, NAME),
    "trace with infinities": lambda: figures.output_trace([0.0, np.inf, np.nan, 1.0], np.inf, 1, 1e-3, NAME),
    "worst row": lambda: figures.worst_row(*SAMPLES, 7, "KS statistic 0.2", NAME),
    "worst row, constant": lambda: figures.worst_row([1e9] * 5, [1e9] * 5, 7, "KS statistic 0", NAME),
    "spreads": lambda: figures.spreads(*np.abs(SAMPLES), NAME),
    "spreads, none": lambda: figures.spreads([0.0], [0.0], NAME),
    "spreads, infinite": lambda: figures.spreads([1.0, np.inf], [1.0, np.nan], NAME),
    "KS, control": lambda: figures.ks_histograms(*P)[2],
    "KS, one row": lambda: figures.ks_histograms([1.0], [np.nan], None)[1],
}


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())
def test_figure_is_labelled_well_formed_and_the_same_twice(make: Callable[[], str]) -> None:
    settings = dict(matplotlib.rcParams)
    text = make()
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext(f"{SVG}title")
    assert text == make()
    assert not re.search(r"nan|<metadata", text)
    assert dict(matplotlib.rcParams) == settings


def test_names_are_shown_as_they_are() -> None:
    texts = [t.text for t in ET.fromstring(FIGURES["spreads"]()).iter(f"{SVG}text")]
    assert f"classical std of {NAME}" in texts
    assert short("a\n b") == "a b"


def drawn_line(svg: str, identity: str) -> NDArray[np.float64]:
    """``[V, 2]``, the vertices of the named line in the figure's own coordinates."""
    groups = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("id") == identity]
    path = groups[0].find(f"{SVG}path")
    assert path is not None
    numbers = re.findall(r"[ML] (\S+) (\S+)", path.get("d", ""))
    return np.array(numbers, dtype=np.float64)


def test_trace_is_drawn_to_scale() -> None:
    x, y = drawn_line(figures.output_trace(STEPS, 1.0, 200, 1e-3, "y"), "trace").T
    time = np.arange(1, 301)
    along = x[0] + (x[-1] - x[0]) * (time - 1) / 299
    height = np.interp(along, x, y)  # where the line passes at each step
    slope, offset = np.polyfit(STEPS, height, 1)
    assert slope < 0  # SVG counts downwards
    # simplification moves a line by up to 1/9 px across, which on a steep piece is more in height
    assert np.abs(height - (slope * STEPS + offset)).max() < 0.5


def test_histogram_counts_every_row_once() -> None:
    labels = [ET.fromstring(svg).get("aria-label", "") for svg in figures.ks_histograms(*P)]
    for label, p in zip(labels, P, strict=True):
        counts = [int(c) for c in label.rsplit(": ", 1)[-1].removeprefix("rows per bin from 0 to 1: ").split(", ")]
        assert counts == np.histogram(p, 10, (0, 1))[0].tolist()


def test_large_scatter_stays_small() -> None:
    x = RNG.random((2, 50_000))
    assert len(figures.spreads(*x, "y")) < 400_000
