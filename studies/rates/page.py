"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

import statistics
from typing import Any

from studies.rates.summary import curves
from studies.results import markdown_table

HEADER = ["penalty", "RMSE classical", "spiking", "log-lik. classical", "spiking", "verdicts", "error", "std ratio"]
HEADER += ["spikes", "operations", "all", "awake", "events"]


def render(found: dict[str, Any]) -> str:
    """The page."""
    s, made = found["settings"], curves(found)
    parts = [
        "# How few spikes until the posterior suffers?",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/rates.json`. Do not edit.",
        f"Networks with hidden layers {tuple(s['hidden'])} and dropout {s['dropout']:g}, trained by "
        "`fit(rate_penalty=...)` from the same first weights under each penalty: of SoftLIF, as LIF neurons "
        f"({s['steps']} steps, of which {s['burn_in']} are left out), and of ReLU, in windows of ticks "
        f"({found['code']}). {s['splits']} splits of each set, up to {s['test_rows']} test rows x {s['samples']} "
        "samples each, under the same masks. Figures are means over splits.",
        *_summary(made),
        "![Log-likelihood against synaptic operations](rates/frontier.svg)",
        "A circle marks, and the tables have in bold, the largest penalty up to which the spiking network's "
        "log-likelihood is within one standard error, over the test rows of all splits, of that without penalty. "
        "`verdicts` counts splits by verdict ([how we judge](how-we-judge.md)) against the module of the same "
        "training: kept, undecided, not kept. `error` is the root mean square difference of paired samples in "
        "predictive standard deviations; it and `std ratio`, spiking over classical, are medians over rows. `spikes` "
        "are per neuron and step (tick), `operations` synaptic events per row and sample. The last columns are "
        "joules on Loihi over those of the dense classical passes there: with every neuron updated in every step "
        "(`all`), with updates only of neurons that receive or send (`awake`), and without updates (`events`). RMSE "
        "is in units of the target; log-likelihoods are in nats per row, the spiking one's with its standard error.",
    ]
    for curve in made:
        parts += [f"## {curve['set']}: {curve['kind']}", _table(curve)]
    return "\n\n".join(parts) + "\n"


def _summary(made: list[dict[str, Any]]) -> list[str]:
    """A sentence for each kind of network."""
    said = []
    for kind in dict.fromkeys(c["kind"] for c in made):
        here = [c for c in made if c["kind"] == kind]
        left = [c["fewest"]["operations"] / c["lines"][0]["operations"] for c in here]
        joules = [(c["lines"][0]["joules"]["awake"], c["fewest"]["joules"]["awake"]) for c in here]
        each = ", ".join(
            f"{share:.2f} on {c['set']} (penalty {_penalty(c)}, {c['lines'][0]['spikes']:.3f} to "
            f"{c['fewest']['spikes']:.3f} spikes per neuron and {'tick' if 'ticks' in kind else 'step'})"
            for share, c in zip(left, here, strict=True)
        )
        before, after = (statistics.median(side) for side in zip(*joules, strict=True))
        kept = [sum(f["outcomes"]["kept"] for f in side) for side in _sides(here)]
        splits = sum(c["fewest"]["splits"] for c in here)
        said.append(
            f"**{kind}**: the log-likelihood stays within one standard error down to these shares of the synaptic "
            f"operations that it takes without penalty: {each}. Joules over classical ones (awake, median over sets) "
            f"go from {before:.2f} without penalty to {after:.2f}. Spikes keep the module's posterior in {kept[0]} "
            f"of {splits} splits without penalty, in {kept[1]} at these shares."
        )
    return said


def _penalty(curve: dict[str, Any]) -> str:
    last = curve["fewest"] is curve["lines"][-1]
    return f"{curve['fewest']['penalty']:g}{', the largest tried' if last else ''}"


def _sides(here: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [c["lines"][0] for c in here], [c["fewest"] for c in here]


def _table(curve: dict[str, Any]) -> str:
    rows = []
    for line in curve["lines"]:
        penalty, spiking = f"{line['penalty']:g}", line["spiking"]
        rows.append(
            [
                f"**{penalty}**" if line is curve["fewest"] else penalty,
                *(f"{line[side]['rmse']:.4g}" for side in ("classical", "spiking")),
                f"{line['classical']['log_likelihood']:.3f}",
                f"{spiking['log_likelihood']:.3f} ± {spiking['standard_error']:.3f}",
                ", ".join(str(count) for count in line["outcomes"].values()),
                f"{line['error']:.3f}",
                f"{line['std_ratio']:.3f}",
                f"{line['spikes']:.4f}",
                f"{line['operations']:,.0f}",
                *(f"{line['joules'][name]:.2f}" for name in ("all", "awake", "events")),
            ]
        )
    return markdown_table(HEADER, rows)
