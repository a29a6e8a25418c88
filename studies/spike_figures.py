"""Spikes of feature maps as pictures: every map by itself, and a few maps as one coloured sum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from spikebayes import ConfigError, DataError
from spikebayes.app.report.svg import draw, short
from spikebayes.plot.style import GUIDE, INK

Spikes = NDArray[np.uint8]

WIDTH = 7.2  # inches, of a whole figure
LINE, MARGIN = 0.24, 0.08  # inches: a caption, and the space around
ACROSS = 16  # most maps side by side
MOST_SUMMED = 4  # maps: 16 colours
MOST_IMAGES = 8  # side by side
ORDINALS = ("1st", "2nd", "3rd", "4th")
NONE = "#FFFFFF"
# by the sum: Okabe & Ito's for up to three maps
COLOURS = (NONE, "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#222222")
MORE = ("#CC79A7", "#8C510A", "#A6CEE3", "#B2DF8A", "#FFFFB3", "#6A3D9A", "#FB9A99", "#767676")  # with a fourth


def feature_maps(
    image: ArrayLike,
    layers: Mapping[str, ArrayLike],
    *,
    name: str = "feature maps",
    caption: str = "image",
    most: int = 32,
) -> str:
    """An image, and below it the spikes of every layer's maps: black where a neuron fired.

    Args:
        image: ``[H, W]``, any numbers, dark to bright.
        layers: by title, ``[C, H, W]`` of 0 and 1; sizes may differ between layers.
        name: of the figure; unique on a page.
        caption: of the image.
        most: maps of a layer that are shown, the first ones.

    Returns:
        ``<svg>`` text.

    Raises:
        DataError: an image that is no ``[H, W]``, no layers, or spikes that are no ``[C, H, W]`` of 0 and 1.
        ConfigError: ``most`` below 1.

    Reference:
        Sandia 2017, "Steep Deep Spiking Networks" (spikes of the feature maps of digits).

    Example:
        >>> feature_maps(np.eye(4), {"first": np.ones((2, 4, 4))}).count("<image")
        2
    """
    if most < 1:
        raise ConfigError(f"at least 1 map of a layer must be shown; got most={most}")
    if not layers:
        raise DataError("there are no layers to draw")
    maps = [_spikes(part, title) for title, part in layers.items()]
    across = min(ACROSS, max(4, *(min(most, len(part)) for part in maps)))
    tile = min(1.0, (WIDTH - 2 * MARGIN) / across)  # inches
    above, side = _image(image), max(0.9, 1.5 * tile)
    # rows of the figure: caption, picture, its width and its height in inches
    rows = [(short(caption, 100), above, side * above.shape[1] / max(above.shape[:2]), side)]
    for title, part in zip(layers, maps, strict=True):
        columns = min(across, most, len(part))
        high = math.ceil(min(most, len(part)) / columns) * tile * part.shape[1] / part.shape[2]
        rows.append((_title(title, part, most), _mosaic(part[:most], columns), columns * tile, high))
    height = sum(high + LINE + MARGIN for _, _, _, high in rows)

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")
        top = height
        for row, (title, picture, wide, high) in enumerate(rows):
            top -= LINE
            figure.text(MARGIN / WIDTH, (top + 0.05) / height, title, fontsize=8, color=INK)
            _show(figure.add_axes(_box(MARGIN, top - high, wide, high, height)), picture, framed=row == 0)
            top -= high + MARGIN

    label = f"{caption}, and the spikes of the feature maps of {', '.join(layers)}"
    return draw(name, label, paint, (WIDTH, height))


def aggregate(spikes: ArrayLike) -> Spikes:
    """Maps as one: at each pixel the sum over the maps of 2^i times map i's spike.

    Args:
        spikes: ``[C, H, W]`` of 0 and 1, C at most 4.

    Returns:
        ``[H, W]`` uint8, 0 to 2^C - 1.

    Raises:
        DataError: another shape, other values, or more maps.

    Reference:
        Sandia 2017, "Steep Deep Spiking Networks" (aggregation of filters).

    Example:
        >>> aggregate([[[1, 0, 1]], [[0, 0, 1]], [[0, 1, 1]]]).tolist()
        [[1, 4, 7]]
    """
    maps = _spikes(spikes, "the maps")
    if len(maps) > MOST_SUMMED:
        raise DataError(f"at most {MOST_SUMMED} maps make one picture; got {len(maps)}: choose some of them")
    return (maps << np.arange(len(maps), dtype=np.uint8)[:, None, None]).sum(0, dtype=np.uint8)


def active(number: int) -> str:
    """Which maps spike where :func:`aggregate` gives a number.

    Example:
        >>> [active(number) for number in (0, 1, 6, 7)]
        ['none', '1st', '2nd + 3rd', '1st + 2nd + 3rd']
    """
    return " + ".join(word for i, word in enumerate(ORDINALS) if number >> i & 1) or "none"


def aggregated(
    images: Sequence[ArrayLike],
    spikes: Sequence[ArrayLike],
    captions: Sequence[str],
    *,
    name: str = "aggregation",
) -> str:
    """Images, and below each its feature maps as one: a colour for every set of maps that spike at a pixel.

    Args:
        images: N of ``[H, W]``, any numbers, dark to bright; 1 to 8.
        spikes: N of ``[C, H, W]`` of 0 and 1, all of one shape, C at most 4; see :func:`aggregate`.
        captions: N, of the images.
        name: of the figure; unique on a page.

    Returns:
        ``<svg>`` text.

    Raises:
        DataError: other shapes or values, or numbers of images, maps and captions that differ.

    Reference:
        Sandia 2017, "Steep Deep Spiking Networks" (aggregation of filters).

    Example:
        >>> text = aggregated([np.eye(4)], [np.ones((2, 4, 4))], ["a line"])
        >>> "1st + 2nd" in text, "+ 3rd" in text
        (True, False)
    """
    if not len(images) == len(spikes) == len(captions) or not 1 <= len(images) <= MOST_IMAGES:
        raise DataError(
            f"1 to {MOST_IMAGES} images need as many maps and captions; got "
            f"{len(images)} images, {len(spikes)} maps and {len(captions)} captions"
        )
    above = [_image(image) for image in images]
    maps = [_spikes(part, f"the maps of image {i}") for i, part in enumerate(spikes)]
    for i, part in enumerate(maps):
        if part.shape != maps[0].shape:
            raise DataError(f"the maps of image {i} are {list(part.shape)}, those of image 0 {list(maps[0].shape)}")
    sums = [aggregate(part) for part in maps]
    palette = np.array([[round(255 * v) for v in to_rgba(c)] for c in COLOURS + MORE], np.uint8)
    numbers = range(1 << len(maps[0]))
    legend, gap = 1.9, 0.1  # inches
    side = min(1.5, (WIDTH - legend - MARGIN) / len(images) - gap)
    lines = [f"{number}: {active(number)}" for number in reversed(numbers)]
    step = min(LINE, (2 * side + gap) / len(lines)) if len(lines) > 8 else LINE
    height = LINE + max(2 * side + gap, step * len(lines)) + 2 * MARGIN

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")
        top = height - LINE
        for i, (image, total) in enumerate(zip(above, sums, strict=True)):
            left = MARGIN + i * (side + gap)
            figure.text(left / WIDTH, (top + 0.06) / height, short(captions[i], 24), fontsize=8)
            for row, picture in enumerate((image, palette[total])):
                bottom = top - side - row * (side + gap)
                _show(figure.add_axes(_box(left, bottom, side, side, height)), picture)
        left = MARGIN + len(images) * (side + gap) + 0.1
        for row, (number, line) in enumerate(zip(reversed(numbers), lines, strict=True)):
            bottom = top - (row + 1) * step
            axes = figure.add_axes(_box(left, bottom + 0.15 * step, 0.7 * step, 0.7 * step, height))
            _show(axes, palette[np.full((1, 1), number)])
            figure.text((left + 0.9 * step) / WIDTH, (bottom + 0.25 * step) / height, line, fontsize=8)

    label = f"Which of {len(maps[0])} feature maps spike at each pixel: {', '.join(captions)}"
    return draw(name, label, paint, (WIDTH, height))


def _image(image: ArrayLike) -> Spikes:
    """``[H, W, 4]``: grey levels, the darkest black and the brightest white."""
    values = np.asarray(image, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise DataError(f"an image must be [H, W], finite numbers; got shape {list(values.shape)}")
    low, high = values.min(), values.max()
    grey = np.round(255 * (values - low) / (high - low)) if high > low else np.zeros_like(values)
    return _rgba(grey.astype(np.uint8))


def _spikes(maps: ArrayLike, what: str) -> Spikes:
    values = np.asarray(maps)
    if values.ndim != 3 or not values.size:
        raise DataError(f"{what}: spikes must be [C, H, W]; got shape {list(values.shape)}")
    if not ((values == 0) | (values == 1)).all():
        raise DataError(f"{what}: spikes must be 0 or 1")
    return values.astype(np.uint8)


def _mosaic(maps: Spikes, columns: int) -> Spikes:
    """``[H', W', 4]``: maps row by row in frames of one pixel; nothing where there is none."""
    count, height, width = maps.shape
    rows = math.ceil(count / columns)
    frame = [round(255 * v) for v in to_rgba(GUIDE)]
    picture = np.zeros((rows * (height + 1) + 1, columns * (width + 1) + 1, 4), np.uint8)
    for i, spikes in enumerate(maps):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        picture[top : top + height + 2, left : left + width + 2] = frame
        picture[top + 1 : top + 1 + height, left + 1 : left + 1 + width] = _rgba(255 * (1 - spikes))
    return picture


def _rgba(grey: Spikes) -> Spikes:
    return np.dstack([grey, grey, grey, np.full_like(grey, 255)])


def _title(title: str, maps: Spikes, most: int) -> str:
    count, height, width = maps.shape
    part = f"the first {most} of {count} maps" if count > most else f"{count} map{'s' if count > 1 else ''}"
    return f"{short(title, 60)}: {part} of {height} x {width}, {100 * maps.mean():.1f} % of the neurons spike"


def _box(left: float, bottom: float, wide: float, high: float, height: float) -> tuple[float, float, float, float]:
    """Inches from the lower left corner as shares of the figure."""
    return left / WIDTH, bottom / height, wide / WIDTH, high / height


def _show(axes: Axes, picture: Spikes, *, framed: bool = True) -> None:
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(framed)
