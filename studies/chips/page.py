"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from studies.results import markdown_table

LIMIT = 0.15  # an error up to which a code is said to stand a chip
SHOWN = {"jitter": (0.15, 0.25, 0.5, 1.0), "loss": (1e-3, 1e-2, 1e-1), "bits": (8, 6, 4)}
NEVER = "-"


def render(found: dict[str, Any]) -> str:
    """The page."""
    cases = found["cases"]
    parts = [
        "# Which code for which chip",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/chips.json`. Do not edit.",
        "Chips are not perfect: spikes come early or late, some get lost, weights have few bits. `jitter` is the "
        "standard deviation of a spike's displacement in ticks, rounded to whole ticks; a spike counts for the tick "
        "in which it arrives, for the first one if it would come before its window, and not at all after it "
        "(`sb.with_spike_noise`). A lost spike is lost to all its targets. Weights of few bits have a scale for each "
        "unit (`sb.quantised`). The error is the rms difference to the module under the same masks over the "
        "predictive standard deviation, the median over rows, of ReLU networks with dropout 0.1.",
        "![Error against jitter, lost spikes and bits of weights, a colour for each code](chips/curves.svg)",
        "## Advice",
        _advice(cases),
        "## What each code tolerates",
        f"With an error of {LIMIT:g} at most: jitter in ticks; how many times the jitter the window lasts then; the "
        "share of spikes that may get lost; bits of weights.",
        _limits(cases),
        "## Errors",
        _errors(cases),
    ]
    return "\n\n".join(parts) + "\n"


def _advice(cases: list[dict[str, Any]]) -> str:
    every = [code for case in cases for code in case["codes"]]
    timed = [code for code in every if code["jitter"]]
    hardiest = min(timed, key=lambda c: _at(c, "jitter", 0.5))["code"]
    quickest = min(timed, key=_window)["code"]
    hardy, broken = _split(timed, hardiest)
    quick, slow = _split(timed, quickest)

    def errors(codes: list[dict[str, Any]], what: str, amount: float) -> str:
        return _span([_at(code, what, amount) for code in codes])

    return "\n".join(
        [
            "* **Spikes stay in their ticks, as on digital chips.** Any code; docs/codes.md has their costs. A "
            f"jitter of 0.1 ticks moves one spike in two million: errors are {errors(timed, 'jitter', 0.1)}, those "
            f"of a perfect chip {_span([code['perfect'][0] for code in timed])}.",
            f"* **Spikes jitter, and the tick is given.** Take {hardiest}: its error grows gradually, to "
            f"{errors(hardy, 'jitter', 0.5)} at half a tick. The others fail: a spike that moves to the next tick "
            f"changes its digit by one, the first digit too, and errors are {errors(broken, 'jitter', 0.5)}; what "
            f"they predict spreads {_span([_at(code, 'jitter', 0.5, 2) for code in broken])} times as far.",
            "* **Spikes jitter, by a time that stays the same if the tick is made longer.** Take "
            f"{quickest}: few long ticks. For an error of {LIMIT:g} its window lasts "
            f"{_span([_window(code) for code in quick], '{:.0f}')} times the jitter, those of the others "
            f"{_span([_window(code) for code in slow], '{:.0f}')} times.",
            "* **Spike times carry no information.** Take payloads, where the chip has them: no jitter in a window "
            "changes them.",
            "* **Spikes get lost.** No code helps much: with one in a thousand errors are "
            f"{errors(every, 'loss', 1e-3)}, with one in a hundred {errors(every, 'loss', 1e-2)}. Where numbers have "
            "several spikes they lose a little less than where the only one is lost. A chip that loses one spike in "
            "a hundred has to send them again.",
            "* **Weights have few bits.** The code hardly matters: with eight bits errors are "
            f"{errors(every, 'bits', 8)}, with six {errors(every, 'bits', 6)}, with four {errors(every, 'bits', 4)}. "
            "A network for fewer than six should be trained with them.",
        ]
    )


def _span(values: list[float], form: str = "{:.2f}") -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def _split(codes: list[dict[str, Any]], name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [code for code in codes if code["code"] == name], [code for code in codes if code["code"] != name]


def _at(code: dict[str, Any], what: str, amount: float, column: int = 1) -> float:
    """The error that was measured there, or in column 2 the ratio of the spreads."""
    return next(line[column] for line in code[what] if line[0] == amount)


def _stands(code: dict[str, Any], what: str) -> float:
    """Up to where the error stays within the limit, on straight lines between what was measured."""
    line = [(0.0, code["perfect"][0]), *((amount, error) for amount, error, _ in code[what])]
    for (a, low), (b, high) in pairwise(line):
        if high > LIMIT:
            return a + (b - a) * max(0.0, LIMIT - low) / (high - low)
    return line[-1][0]


def _window(code: dict[str, Any]) -> float:
    """Of how many times the jitter that it stands."""
    return code["ticks"] / max(_stands(code, "jitter"), 1e-9)


def _bits(code: dict[str, Any]) -> str:
    """The fewest from which on errors stay within the limit."""
    wrong = [bits for bits, error, _ in code["bits"] if error > LIMIT]
    return str(min((bits for bits, _, _ in code["bits"] if bits > max(wrong, default=0)), default=NEVER))


def _limits(cases: list[dict[str, Any]]) -> str:
    rows = []
    for case in cases:
        for k, code in enumerate(case["codes"]):
            timed = bool(code["jitter"])
            rows.append(
                [
                    case["name"] if k == 0 else "",
                    code["code"],
                    str(code["ticks"]),
                    f"{_stands(code, 'jitter'):.2f}" if timed else "any",
                    f"{_window(code):.0f}" if timed else NEVER,
                    f"{100 * _stands(code, 'loss'):.2f} %",
                    _bits(code),
                ]
            )
    return markdown_table(["network", "code", "ticks", "jitter", "window / jitter", "lost", "bits"], rows)


def _errors(cases: list[dict[str, Any]]) -> str:
    columns = [(what, amount) for what, amounts in SHOWN.items() for amount in amounts]
    names = {"jitter": "jitter {:g}", "loss": "lost {:.3g}", "bits": "{:g} bits"}
    header = ["network", "code", "perfect", *(names[what].format(amount) for what, amount in columns)]
    rows = []
    for case in cases:
        for k, code in enumerate(case["codes"]):
            errors = [f"{_at(code, what, amount):.3f}" if code[what] else NEVER for what, amount in columns]
            rows.append([case["name"] if k == 0 else "", code["code"], f"{code['perfect'][0]:.3f}", *errors])
    return markdown_table(header, rows)
