"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

from studies.results import markdown_table

VERDICT = (
    " `verdict` is that of docs/how-we-judge.md under other masks, `pairs` under the same ones; margins and levels "
    "are its defaults."
)


def render(found: dict[str, Any]) -> str:
    """The page, from what the JSON file holds."""
    s = found["settings"]
    parts = [
        "# Does the spiking network keep the posterior?",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/posterior.json`. Do not edit.",
        f"Networks with hidden layers {tuple(s['hidden'])}; "
        f"up to {s['test_rows']} test rows x {s['samples']} samples; "
        f"{s['steps']} steps of {1000 * s['dt']:g} ms of which the first {s['burn_in']} are left out of the average; "
        f"{s['synapse']}. Each row has its own masks. `uniform p` tests the randomised exact KS p-values over rows; "
        "`control p` is the same for two classical predictions. Errors and spreads are in units of the classical "
        "predictive standard deviation, medians over rows, under the same masks. Log-likelihoods in nats per row."
        + (VERDICT if _judged(found["cases"]) else ""),
    ]
    for method, words in (
        (
            "spikebayes",
            "## SoftLIF with its defaults: output 1 at 500 Hz (amplitude 0.002, gain 30, bias 4, refractory time 1 "
            "ms)",
        ),
        ("plain", "## The plain method: output 1 at 16 Hz (amplitude 0.063, gain 1, bias 1, refractory time 2 ms)"),
    ):
        total = found["summary"][method]
        parts += [
            words,
            (_verdicts(total) if _judged(found["cases"]) else "")
            + f"Uniform in {total['uniform']} of {total['cases']} cases (control {total['control_uniform']}); "
            f"median error {total['paired_rmse_median']:.3f}, largest {total['paired_rmse_largest']:.3f}; "
            f"std ratio {total['std_ratio_median']:.3f} (from {total['std_ratio_smallest']:.3f} to "
            f"{total['std_ratio_largest']:.3f}); largest gap in log-likelihood "
            f"{total['log_likelihood_gap_largest']:.4f}; mean rate {total['rate_hz_mean']:.0f} Hz.",
            _table([case for case in found["cases"] if case["method"] == method]),
        ]
    return "\n\n".join(parts) + "\n"


def _judged(cases: list[dict[str, Any]]) -> bool:
    """Whether results hold verdicts in three words; those of before do not."""
    return "outcome" in cases[0]


def _verdicts(total: dict[str, Any]) -> str:
    return (
        f"Kept in {total['kept']} of {total['cases']} cases, not kept in {total['not kept']}, undecided in the "
        f"others (control {total['control_kept']}, {total['control_not kept']}); in pairs kept in "
        f"{total['paired_kept']}, not kept in {total['paired_not kept']}. "
    )


def _table(cases: list[dict[str, Any]]) -> str:
    judged = _judged(cases)
    header = ["set", "dropout", "rate Hz", *(["verdict", "pairs"] if judged else []), "uniform p", "control p"]
    header += [
        "rmse/std",
        "std ratio",
        "log-lik. classical",
        "spiking",
        "RMSE classical",
        "spiking",
        "train s",
        "classical s",
        "spiking s",
    ]
    rows = [
        [
            c["set"],
            f"{c['dropout']:g}",
            f"{c['rate_hz']:.0f}",
            *([c["outcome"], c["paired_outcome"]] if judged else []),
            f"{c['uniformity_pvalue']:.3f}",
            f"{c['control_uniformity_pvalue']:.3f}",
            f"{c['paired_rmse']:.3f}",
            f"{c['std_ratio']:.3f}",
            f"{c['log_likelihood_classical']:.3f}",
            f"{c['log_likelihood_spiking']:.3f}",
            f"{c['rmse_classical']:.4g}",
            f"{c['rmse_spiking']:.4g}",
            f"{c['train_seconds']:.0f}",
            f"{c['classical_seconds']:.1f}",
            f"{c['spiking_seconds']:.1f}",
        ]
        for c in cases
    ]
    return markdown_table(header, rows)
