"""The study from images to results/models.json and its page."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spikebayes import Code, ConversionError, Digits, Graded, Task, convert, predict
from studies.codes.measure import paired_error
from studies.models.networks import OF_TIMM, WRITTEN, Model, images, ready
from studies.models.page import render
from studies.results import provenance, write_page, write_results

MODELS = (*WRITTEN, *OF_TIMM)
#: and their headroom
CODES: tuple[tuple[Code, float], ...] = (
    (Digits(3, 8), 32.0),
    (Digits(4, 4), 4.0),
    (Graded(10), 4.0),
    (Graded(14), 8.0),
)
CALIBRATION, ROWS, SAMPLES = 100, 4, 10  # images to convert by, and to judge on; masks of each


def run_models(
    data: Path,
    results: Path,
    page: Path,
    *,
    models: Sequence[Model] = MODELS,
    codes: Sequence[tuple[Code, float]] = CODES,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Convert every model by every code; write the JSON file and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. page: Markdown page to write.
        models, codes: what is tried.
        seed: of weights and masks.
        say: is told each line.

    Returns:
        What the JSON file holds.
    """
    origin, started, lines = provenance("python -m studies.models", seed), time.perf_counter(), []
    for model in models:
        x = images(data, model, 2 * CALIBRATION)
        made = ready(model, x, seed)
        for code, headroom in codes:
            line = {"model": model.name, "side": model.side, "code": str(code), "headroom": headroom}
            line |= {"parameters": sum(p.numel() for p in made.parameters())}
            line |= _line(made, x, code, headroom, model.task, seed)
            lines.append(line)
            say(f"{model.name}, {code}: {line.get('refused') or format(line['error'], '.3f')}")
    found = {
        **origin,
        "calibration": CALIBRATION,
        "rows": ROWS,
        "samples": SAMPLES,
        "lines": lines,
        "seconds": time.perf_counter() - started,
    }
    write_results(found, results)
    write_page(render(found), page)
    return found


def _line(model: nn.Module, x: Tensor, code: Code, headroom: float, task: Task, seed: int) -> dict[str, Any]:
    """A model under a code, beside the model itself under the same masks; or why it is refused."""
    started = time.perf_counter()
    try:
        network = convert(model, x[:1], code=code, calibrate=x[:CALIBRATION], headroom=headroom)
    except ConversionError as error:
        return {"refused": str(error)}
    seconds = time.perf_counter() - started
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the model's outputs are log-probabilities|.*lie above its highest level")
        classical, spiking = (predict(m, x[-ROWS:], samples=SAMPLES, seed=seed, task=task) for m in (model, network))
    settings = spiking.settings
    return {
        "neurons": network.neurons,
        "error": paired_error(classical, spiking),
        "spikes": sum(settings["spikes_per_prediction"].values()) / network.neurons,
        "ticks": settings["ticks_per_sample"],
        "saturated": max(settings["saturated"].values()),
        "seconds": seconds,
    }
