"""Options that several verbs have, each declared once, and where all of them print."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Group, Parameter
from rich.console import Console

OUT = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # names are printed as they are
ONCE = Parameter(allow_repeating=False)  # of several things in one text: the last alone would count
SAMPLING, SIMULATION = Group.create_ordered("Samples"), Group.create_ordered("The spiking network")

Samples = Annotated[int, Parameter(group=SAMPLING, help="Monte Carlo samples per row.")]
Masks = Annotated[
    Literal["row", "pass"],
    Parameter(group=SAMPLING, help="row: every row has its own masks; pass: one mask per sample for all rows."),
]
Engine = Annotated[
    Literal["auto", "cpu", "windows", "reference"], Parameter(group=SIMULATION, help="auto takes the fastest.")
]
Steps = Annotated[
    int | None,
    Parameter(
        group=SIMULATION,
        help="time steps per sample; by default as many as fit found, or 1 for the networks sharpened and s2m. A "
        "code takes none: it knows its ticks.",
    ),
]
BurnIn = Annotated[
    int | None,
    Parameter(
        group=SIMULATION,
        help="steps left out of the average at the start, which cost as much as the others; by default as many as "
        "fit found, or 0 for the networks sharpened and s2m. A code takes none.",
    ),
]
Dt = Annotated[float, Parameter(group=SIMULATION, help="time step in seconds.")]
Tau = Annotated[
    float | None,
    Parameter(
        group=SIMULATION,
        help="time constant of the Alpha synapses of LIF neurons in seconds; by default as fit found. With another "
        "tau or dt, the default steps and burn_in are worked out from the filters.",
    ),
]
CodeName = Annotated[
    str,
    Parameter(
        group=SIMULATION,
        help="how neurons encode values. lif: as rates of LIF neurons; Digits(4,4), FirstSpike(64), Radix(8) and "
        "Graded(8): in windows of ticks, a sample in each; auto takes the code with the fewest ticks whose error is "
        "at most 0.07 standard deviations of the prediction. Codes are for the network lif.",
    ),
]
Headroom = Annotated[
    float,
    Parameter(group=SIMULATION, help="a code's highest value, relative to the largest activation on training rows."),
]


def split_names(text: str) -> list[str]:
    """Names that commas separate.

    Example:
        >>> split_names("a, b,")
        ['a', 'b']
    """
    return [name.strip() for name in text.split(",") if name.strip()]
