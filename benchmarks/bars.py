"""What the engine is asked to reach, and whether the figures do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEGABYTE, GIBIBYTE = 1e6, 2**30
RATIOS = (  # workload, peer, at least so many times its row-steps per second
    ("A", "spikingjelly_each_step", 25.0),
    ("A", "torch_loop_each_step", 30.0),
    ("A", "spikingjelly", 25.0),
    ("A", "torch_loop", 30.0),
    ("A", "nengo", 400.0),
    ("B", "spikingjelly", 15.0),
    ("C", "spikingjelly", 8.0),
)


@dataclass(frozen=True)
class Bar:
    """One thing to reach.

    Args:
        what: in words, with the unit.
        wanted: the figure to reach.
        got: the figure measured; None where this run did not measure it.
        most: whether ``wanted`` is the most allowed and not the least.
        form: how figures are written.
    """

    what: str
    wanted: float
    got: float | None
    most: bool = False
    form: str = "{:.1f}"

    @property
    def met(self) -> bool | None:
        if self.got is None:
            return None
        return self.got <= self.wanted if self.most else self.got >= self.wanted

    def figures(self) -> dict[str, Any]:
        """As results files hold it."""
        return {"what": self.what, "wanted": self.wanted, "got": self.got, "met": self.met}

    def told(self) -> str:
        """The figure that was got and the one that was wanted, in words."""
        got = "" if self.got is None else self.form.format(self.got)
        return f"{got} ({'at most' if self.most else 'at least'} {self.wanted:g})"

    def verdict(self) -> str:
        """In words.

        Example:
            >>> Bar("times as fast", 25, 20).verdict(), Bar("seconds", 2, 1, most=True).verdict()
            ('missed by 20 %', 'met')
        """
        if self.got is None:
            return "not measured"
        return "met" if self.met else f"missed by {100 * abs(self.got / self.wanted - 1):.2g} %"


def bars(found: Mapping[str, Any]) -> list[Bar]:
    """Every bar with what a results file has for it."""
    return [*_speed(found), *_growth(found), *_fixed(found), *_synapses(found)]


def _speed(found: Mapping[str, Any]) -> list[Bar]:
    made = []
    for name, peer, wanted in RATIOS:
        got = _at(found, "workloads", name, "competitors", peer, "ratio")
        made.append(Bar(f"{name}: row-steps/s, times {peer}'s", wanted, got))
    fraction = _at(found, "workloads", "A", "competitors", "spikebayes", "roofline", "fraction_second")
    made.append(
        Bar(
            "A: share of the roofline (weights in the second cache), %",
            60,
            None if fraction is None else 100 * fraction,
            form="{:.0f}",
        )
    )
    points = (_at(found, "threads", "points") or []) if _at(found, "threads", "workload") == "A" else []
    two = next((point["speedup"] for point in points if point["threads"] == 2), None)
    made.append(Bar("A: two threads, times one thread's speed", 1.8, two, form="{:.2f}"))
    return made


def _growth(found: Mapping[str, Any]) -> list[Bar]:
    grown = found.get("growth") if _at(found, "growth", "workload") == "A" else None
    made = []
    for what in ("steps", "samples"):
        got = 100 * (grown[what] / grown["base"] - 1) if grown else None
        made.append(Bar(f"A: peak memory added by ten times the {what}, %", 5, got, most=True))
    peak = _at(found, "memory", "A", "spikebayes", "peak")
    got = None if peak is None else peak / MEGABYTE
    return [*made, Bar("A: peak memory, MB", 600, got, most=True, form="{:.0f}")]


def _fixed(found: Mapping[str, Any]) -> list[Bar]:
    made = []
    for what, state, wanted in (
        ("first call, kernels cached, s", "warm", 2.0),
        ("first call, cold, s", "cold", 30.0),
    ):
        made.append(Bar(what, wanted, _at(found, "starts", state, "first"), most=True, form="{:.2f}"))
    ratio = _at(found, "classical", "ratio")
    return [*made, Bar("classical prediction, times a plain torch loop's speed", 2.0, ratio, form="{:.2f}")]


def _synapses(found: Mapping[str, Any]) -> list[Bar]:
    ratios = (("exact", "torch"), ("law", "exact"))
    made = [
        Bar(
            f"sampling synapses: {one}, times {other}'s speed",
            10,
            _at(found, "synapses", "ratios", f"{one}_over_{other}"),
        )
        for one, other in ratios
    ]
    peak = _at(found, "synapses", "memory", "peak")
    got = None if peak is None else peak / GIBIBYTE
    return [*made, Bar("sampling synapses: exact, peak memory, GiB", 1, got, most=True, form="{:.2f}")]


def _at(found: Any, *path: str) -> Any:
    """The value at a path of keys, None where something on it is missing."""
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found
