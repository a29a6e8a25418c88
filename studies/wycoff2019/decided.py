"""The page's section on what the posterior is for."""

from __future__ import annotations

from typing import Any

from studies.results import markdown_table


def decided(found: dict[str, Any]) -> list[str]:
    """The section of the page."""
    d = found["decisions"]
    held, silent, outliers = d["coverage"], d["abstain"], d["outliers"]
    header = ["", "in all", *(f"fifth {k} of the std" for k in range(1, 6))]
    rows = [
        ["calibrated intervals hold", f"{held['calibrated']:.3f}", *(f"{c:.3f}" for c in held["fifths"])],
        ["RMSE", "", *(f"{e:.1f}" for e in held["rmse"])],
    ]
    answered = "none: even on the rows that it is surest of it cannot promise that"
    if silent["wrong of those"] is not None:
        wrong = f"{100 * silent['wrong of those']:.1f} %"
        answered = f"{100 * silent['answered']:.0f} % of the rows, of which {wrong} are wrong"
    pairs = [
        [
            " + ".join(pair["drugs"]),
            pair["cell"],
            *(f"{pair[name]:.3g}" for name in ("mean", "model_std", "information")),
        ]
        for pair in d["next"]
    ]
    return [
        "## Decisions",
        f"Spiking ({d['method']['name']}), {d['rows']:,} test rows x {d['samples']} samples; as many held-out rows "
        f"tell the noise of a score ({d['noise_std']:.1f}), and as many others calibrate. 90 % intervals of samples "
        f"alone hold {100 * held['samples alone']:.0f} % of the scores: dropout is no noise. Calibrated ones, "
        f"{held['width']:.0f} wide:",
        markdown_table(header, rows),
        f"An answer is wrong where it is off by more than {silent['tolerance']:.1f} (half a standard deviation of "
        f"the scores): {100 * silent['wrong of all']:.1f} % of all. Asked for at most {100 * silent['risk']:g} %, it "
        f"answers {answered}.",
        f"Rows whose second drug has each feature from another drug lie among the calibration rows' most uncertain "
        f"5 % in {100 * outliers['strange rows below']:.0f} of 100 cases, test rows in "
        f"{100 * outliers['test rows below']:.0f} (area under the curve {outliers['area']:.2f}).",
        "Pairs to measure next, where a score would tell most about the network (mutual information, nats):",
        markdown_table(["drugs", "cell line", "predicted score", "spread of the model", "information"], pairs),
    ]
