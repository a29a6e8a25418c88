"""The table of docs/how-we-judge.md, from what the JSON file holds; the text around it is written by hand."""

from __future__ import annotations

from typing import Any

from spikebayes import ConfigError
from studies.results import markdown_table

BEGIN, END = "<!-- simulations: begin -->", "<!-- simulations: end -->"
TITLES = {
    "one distribution": "One distribution: *kept* is right, *undecided* where the budget is too small",
    "asked for": "One distribution, at the budget that undecided comparisons named",
    "within the margins": "Differences within the margins: *kept* is right",
    "faults": "Faults: *not kept* is right, *undecided* where the budget is too small",
    "at a margin": "Exactly at a margin: neither *kept* nor *not kept* may be frequent",
}


def render(page: str, found: dict[str, Any]) -> str:
    """The page with its tables made anew.

    Args:
        page: the page as it is, with a line that begins and one that ends the tables.
        found: what the JSON file holds.

    Raises:
        ConfigError: a page without these lines.

    Example:
        >>> render("Text.", {})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        spikebayes.errors.ConfigError: the page needs the lines <!-- simulations: begin --> and ...
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables(found)}\n\n{END}{after}"


def tables(found: dict[str, Any]) -> str:
    """All tables, and how they were made."""
    parts = [
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['runs']:,} runs of "
        f"every line, {found['seconds']:.0f} s) from `results/judge.json`. Shares in per cent; *old* is the share "
        "that the previous rule accepted. *Needed* is the median of the budgets, samples x rows, that "
        f"undecided runs name. `compare` takes {found['compare_seconds']:.2f} s of one core for 1,000 samples x 400 "
        "rows."
    ]
    for group, title in TITLES.items():
        lines = [line for line in found["lines"] if line["group"] == group]
        parts += [f"### {title}", _table(lines)]
    return "\n\n".join(parts)


def _table(lines: list[dict[str, Any]]) -> str:
    rows = [
        [
            line["case"],
            f"{line['samples']:,} x {line['rows']:,}",
            *(f"{100 * line[outcome]:.1f}" for outcome in ("kept", "undecided", "not kept", "old_accepted")),
            "" if line["needed"] is None else f"{line['needed'][1]:,} x {line['needed'][0]:,}",
        ]
        for line in lines
    ]
    return markdown_table(["case", "samples x rows", "kept", "undecided", "not kept", "old", "needed"], rows)
