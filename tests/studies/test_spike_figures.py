"""Pictures of spikes: well-formed, the same twice, true to the spikes, and of spikes alone."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spikebayes.errors import ConfigError, DataError
from studies.spike_figures import COLOURS, MORE, active, aggregate, aggregated, feature_maps

SVG = "{http://www.w3.org/2000/svg}"
RNG = np.random.default_rng(0)
IMAGE = RNG.random((6, 5))
SPIKES = RNG.integers(0, 2, (3, 6, 5))


def pictures(text: str) -> list[np.ndarray]:
    """The embedded pictures ``[H, W, 4]``, in order."""
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(found))).convert("RGBA"))
        for found in re.findall(r'href="data:image/png;base64,\s*([^"]*)"', text)
    ]


def texts(text: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(text).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: feature_maps(IMAGE, {"first": SPIKES, 'second <"&$x$>': SPIKES[:1, :2]}, name="maps"),
        lambda: feature_maps(np.zeros((3, 3)), {"silent": np.zeros((70, 1, 1))}),
        lambda: aggregated([IMAGE] * 2, [SPIKES, 1 - SPIKES], ["a", "b"], name="sum"),
        lambda: aggregated([IMAGE], [RNG.integers(0, 2, (4, 3, 3)) * 0 + 1], ["all four"]),
    ],
    ids=["maps", "silent", "sums", "four"],
)
def test_figures_are_well_formed_and_the_same_twice(make: Callable[[], str]) -> None:
    text = make()
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext(f"{SVG}title")
    assert text == make()


def test_every_map_is_there_black_where_it_spikes() -> None:
    text = feature_maps(IMAGE, {"layer": SPIKES}, caption="a thing")
    image, mosaic = pictures(text)
    assert image.shape == (6, 5, 4)
    assert np.array_equal(image[..., 0] == 255, IMAGE.max() == IMAGE)
    assert mosaic.shape == (6 + 2, 3 * (5 + 1) + 1, 4)
    for i, maps in enumerate(SPIKES):
        tile = mosaic[1:7, 1 + 6 * i : 6 + 6 * i, :3]
        assert np.array_equal(tile, np.repeat(255 * (1 - maps)[..., None], 3, axis=2))
    share = f"{100 * SPIKES.mean():.1f}"
    assert texts(text) == ["a thing", f"layer: 3 maps of 6 x 5, {share} % of the neurons spike"]


def test_only_the_first_of_many_maps_are_shown() -> None:
    many = np.concatenate([np.ones((20, 2, 2)), np.zeros((30, 2, 2))])
    text = feature_maps(np.eye(2), {"wide": many}, most=20)
    assert "wide: the first 20 of 50 maps of 2 x 2, 40.0 % of the neurons spike" in texts(text)
    mosaic = pictures(text)[1]
    assert mosaic.shape == (2 * 3 + 1, 16 * 3 + 1, 4)
    assert (mosaic[..., 3] == 0).any()  # nothing after the 20th
    assert not (mosaic[..., :3][mosaic[..., 3] > 0] == 255).any()


def test_sums_name_the_maps_that_spike() -> None:
    assert np.array_equal(aggregate(SPIKES), SPIKES[0] + 2 * SPIKES[1] + 4 * SPIKES[2])
    slides = ["none", "1st", "2nd", "1st + 2nd", "3rd", "1st + 3rd", "2nd + 3rd", "1st + 2nd + 3rd"]
    assert [active(number) for number in range(8)] == slides
    text = aggregated([IMAGE], [SPIKES], ["a"])
    assert texts(text) == ["a", *(f"{i}: {words}" for i, words in reversed(list(enumerate(slides))))]
    _, total, *legend = pictures(text)
    colours = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in COLOURS]
    assert [tuple(entry[0, 0, :3]) for entry in legend] == colours[::-1]
    assert np.array_equal(total[..., :3], np.array(colours)[aggregate(SPIKES)])


def test_every_sum_has_a_colour_of_its_own() -> None:
    assert len(set(COLOURS + MORE)) == 16
    text = aggregated([IMAGE], [np.ones((4, 6, 5))], ["a"])
    assert "15: 1st + 2nd + 3rd + 4th" in texts(text)


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (lambda: feature_maps(np.zeros((1, 6, 5)), {"a": SPIKES}), r"image must be \[H, W\].*\[1, 6, 5\]"),
        (lambda: feature_maps([[np.nan]], {"a": SPIKES}), "finite"),
        (lambda: feature_maps(IMAGE, {}), "no layers"),
        (lambda: feature_maps(IMAGE, {"flat": SPIKES[0]}), r"flat: spikes must be \[C, H, W\]; got shape \[6, 5\]"),
        (lambda: feature_maps(IMAGE, {"rates": SPIKES / 2}), "rates: spikes must be 0 or 1"),
        (lambda: feature_maps(IMAGE, {"empty": SPIKES[:0]}), r"empty: .*\[0, 6, 5\]"),
        (lambda: aggregate(np.ones((5, 2, 2))), "at most 4 maps make one picture; got 5"),
        (lambda: aggregated([IMAGE], [SPIKES], []), "1 images, 1 maps and 0 captions"),
        (lambda: aggregated([], [], []), "1 to 8 images"),
        (lambda: aggregated([IMAGE] * 2, [SPIKES, SPIKES[:2]], ["a", "b"]), r"\[2, 6, 5\], those of image 0 \[3"),
    ],
)
def test_other_arrays_are_refused(refused: Callable[[], Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        refused()


def test_at_least_one_map_is_shown() -> None:
    with pytest.raises(ConfigError, match="most=0"):
        feature_maps(IMAGE, {"a": SPIKES}, most=0)
