"""Options that several verbs have, each declared once, and where all of them print."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Group, Parameter
from rich.console import Console

OUT = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # names are printed as they are
SAMPLING, SIMULATION = Group.create_ordered("Samples"), Group.create_ordered("The spiking network")

Samples = Annotated[int, Parameter(group=SAMPLING, help="Monte Carlo samples per row.")]
Masks = Annotated[
    Literal["row", "pass"],
    Parameter(group=SAMPLING, help="row gives every row masks of its own, pass one mask per sample for all rows."),
]
Engine = Annotated[
    Literal["auto", "cpu", "windows", "reference"], Parameter(group=SIMULATION, help="auto takes the fastest.")
]
Steps = Annotated[
    int | None,
    Parameter(
        group=SIMULATION,
        help="time steps per sample; those that fit found unless given, 1 for a network that is not of LIF neurons.",
    ),
]
BurnIn = Annotated[
    int | None,
    Parameter(
        group=SIMULATION,
        help="steps left out of the average at the start, which cost as much as the others; as fit found unless "
        "given, 0 for a network not of LIF neurons.",
    ),
]
Dt = Annotated[float, Parameter(group=SIMULATION, help="time step in seconds.")]
Tau = Annotated[
    float | None,
    Parameter(
        group=SIMULATION,
        help="time constant of the Alpha synapses of LIF neurons in seconds; as fit found unless given. With another "
        "tau or dt, steps and burn_in are worked out from the filters.",
    ),
]
CodeName = Annotated[
    str,
    Parameter(
        group=SIMULATION,
        help="how neurons tell numbers. lif has LIF neurons that step freely; Digits(4,4), FirstSpike(64), Radix(8) "
        "and Graded(8) tell them in windows of ticks, a sample in each; auto takes the cheapest of these.",
    ),
]
Headroom = Annotated[
    float,
    Parameter(group=SIMULATION, help="how far a code reaches beyond the largest activation on the training rows."),
]


def split_names(text: str) -> list[str]:
    """Names that commas separate.

    Example:
        >>> split_names("a, b,")
        ['a', 'b']
    """
    return [name.strip() for name in text.split(",") if name.strip()]
