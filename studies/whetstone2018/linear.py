"""Logistic regression on the hyperspectral pixels, beside their network: ``python -m studies.whetstone2018.linear``.

It depends on the data alone, so that results that are there can be completed without any training.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spikebayes import ConfigError
from studies import command_line
from studies.command_line import OUT, RESULTS, places
from studies.results import provenance, read_results, write_page, write_results
from studies.stages import Stages
from studies.whetstone2018.figures import figures
from studies.whetstone2018.images import Rows
from studies.whetstone2018.merging import ordered
from studies.whetstone2018.page import render
from studies.whetstone2018.run import Run
from studies.whetstone2018.settings import JASPER, PUBLISHED, Settings

STRENGTHS = (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)  # of the fit against the penalty (scikit-learn's C)
ITERATIONS = 5000  # at most


def linear(data: Rows) -> dict[str, Any]:
    """A logistic regression on standardised bands whose penalty has the least log loss on validation rows.

    Returns:
        ``strength`` that was chosen, ``tried``: log loss by strength; ``validation`` and ``test``: accuracies; the
        number of test ``rows``, and of ``parameters``.
    """
    x, x_validation, x_test = (part.flatten(1).double().numpy() for part in (data.x, data.x_validation, data.x_test))
    y, y_validation, y_test = (part.numpy() for part in (data.y, data.y_validation, data.y_test))
    tried, models = {}, {}
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=ITERATIONS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # validation rows judge it as it is
            models[strength] = model.fit(x, y)
        classes = model.classes_
        tried[strength] = float(log_loss(y_validation, model.predict_proba(x_validation), labels=classes))
    best = min(tried, key=tried.__getitem__)
    model = models[best]
    return {
        "strength": best,
        "tried": {f"{strength:g}": loss for strength, loss in tried.items()},
        "validation": float(model.score(x_validation, y_validation)),
        "test": float(model.score(x_test, y_test)),
        "rows": len(y_test),
        "parameters": int(model[-1].coef_.size + model[-1].intercept_.size),
    }


def linear_stage(name: str, run: Run) -> tuple[dict[str, Any], Stages]:
    """Of a network's rows, kept as a stage of its own."""
    kept = run.stages("linear", name, {"data": run.settings.recipes[name].data, "strengths": STRENGTHS})
    return kept.run(f"linear, {name}", lambda: linear(run.rows(run.settings.recipes[name].data))), kept


def rivalled(settings: Settings) -> list[str]:
    """Networks that stand beside a logistic regression: those of pixels, which have no neighbours to look at."""
    return [name for name, recipe in settings.recipes.items() if recipe.data == JASPER]


def complete(*, data: Path | None = None, results: Path = RESULTS, docs: Path | None = None) -> None:
    """Put logistic regressions beside the networks that are in the study's results; nothing is trained but them.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder of whetstone2018.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
    """
    at = places("whetstone2018", results, docs, data)
    found = read_results(at.results)
    settings, s = PUBLISHED, found["settings"]
    if (s["rows"], s["test_rows"]) != (settings.rows, settings.test_rows):
        raise ConfigError(f"{at.results} holds a small study; run it again, or complete the published one")
    origin = provenance(found["command"], found["seed"])
    run = Run(at.data, at.work, settings, found["seed"], origin["commit"], OUT.print)
    told: dict[str, Any] = {}
    for name in rivalled(settings):
        if name in found["networks"]:
            one, kept = linear_stage(name, run)
            found["linear"] = found.get("linear", {}) | {name: one}
            told |= kept.told()
    if not told:
        raise ConfigError(f"{at.results} has no network of pixels; train one: --networks {rivalled(settings)[0]}")
    found["stages"]["judging"] |= told
    found = ordered(found, found["networks"], settings)
    write_results(found, at.results)
    write_page(render(found), at.page, figures(found))
    OUT.print(f"written to {at.results} and {at.page}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(complete, "studies.whetstone2018.linear", arguments)


if __name__ == "__main__":
    sys.exit(main())
