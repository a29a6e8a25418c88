"""This engine and the peers on one workload, in alternation with the loops of the roofline."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import engine
from benchmarks.measure import Run, Timing, Watch, affordable, alternate, clock
from benchmarks.operations import Operations, operations
from benchmarks.peers import MATCHED, Outcome, Peer, match_rates
from benchmarks.roofline import Rates, Roofline
from benchmarks.workloads import Workload
from spikebayes import ConfigError

ADDING, SECOND, UPDATING, END_TO_END = "weights added", "from the second cache", "states updated", "simulate()"


class Work(NamedTuple):
    """What a run must do: weights to add and neurons to update."""

    events: float
    updates: float


def race(
    workload: Workload,
    peers: Mapping[str, Peer],
    limit: Roofline,
    *,
    repeats: int = 5,
    seconds: float = 5.0,
    say: Callable[[str], None] = lambda _: None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Time all competitors on one workload.

    Args:
        workload: what to simulate.
        peers: by name; one that refuses the workload is listed with its reason.
        limit: the machine's best rates; its loops run in every round too, since a machine's pace changes.
        repeats: rounds.
        seconds: a competitor whose run takes longer gets fewer rows.
        say: told what is being done.
        watch: throws rounds beside other work away.

    Returns:
        Counts of the workload, figures of the engine, of each peer that ran, and reasons of those that did not.
    """
    say(f"{workload.name}: preparing")
    costs = operations(workload.network, workload.inputs)
    ours: list[Callable[[], Any]] = []
    preparation = clock(lambda: ours.append(engine.prepare(workload)))
    found = engine.outcome(workload, ours[0]())
    runs: dict[str, Run] = {engine.NAME: ours[0], END_TO_END: engine.end_to_end(workload)}
    entrants: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    outcomes: dict[str, Outcome] = {}
    few = workload.take(min(MATCHED, workload.rows))
    rates = engine.outcome(few, engine.prepare(few)()).rates  # layers of a trained network differ in theirs
    for name, peer in peers.items():
        say(f"{workload.name}: matching the rates of {name}")
        try:
            run, entrants[name] = _enter(peer, workload, rates, seconds)
        except ConfigError as error:
            refused[name] = str(error)
        except Exception as error:  # another library's: the rest is still worth measuring
            refused[name] = f"it failed: {type(error).__name__}: {error}"
        else:
            runs[name] = _keeping(outcomes, name, run)
    runs |= {ADDING: limit.adding.run, SECOND: limit.adding_second.run, UPDATING: limit.updating.run}
    say(f"{workload.name}: timing {', '.join([engine.NAME, *entrants])}")
    timings = alternate(runs, repeats, watch=watch)

    mine = timings[engine.NAME]
    row_steps = workload.rows * workload.steps
    row = _figures(workload.rows, workload, mine, found, costs)
    row |= {"prepare_seconds": preparation, "end_to_end_seconds": timings[END_TO_END].figures()}
    spikes = _spikes(found, costs, row_steps)
    work = Work(costs.events(spikes), costs.updates(row_steps))
    kept = Work(costs.kept_events(spikes), costs.kept_updates(row_steps))
    loops = (timings[name].rounds for name in (ADDING, SECOND, UPDATING))
    paces = [limit.rates(*seconds) for seconds in zip(*loops, strict=True)]
    row["roofline"] = _against(paces, mine, work, kept) | {"fraction_of_best": limit.best.bound(*work) / mine.median}
    table = {engine.NAME: row}
    for name, entrant in entrants.items():
        outcome, rows = outcomes[name], entrant.pop("rows")
        table[name] = _figures(rows, workload, timings[name], outcome, costs) | entrant
        table[name]["ratio"] = row["row_steps_per_second"] / table[name]["row_steps_per_second"]
        table[name]["rate_gap"] = _gap(outcome, found)
        table[name]["finite"] = bool(outcome.output.isfinite().all())
    return {
        "name": workload.name,
        "title": workload.title,
        "rows": workload.rows,
        "steps": workload.steps,
        "rate": workload.rate,
        "neurons": sum(costs.neurons.values()),
        "spikes": round(sum(spikes.values())),
        "synaptic_events": round(work.events),
        "readout_events": round(costs.readout_events(spikes)),
        "neuron_updates": round(work.updates),
        "competitors": table,
        "refused": refused,
    }


def _enter(
    peer: Peer, workload: Workload, rates: Mapping[str, float], seconds: float
) -> tuple[Callable[[], Outcome], dict[str, Any]]:
    """A peer's run on as many rows as it can do in the time, and what is known of it before it is timed."""
    shifts = match_rates(peer, workload, rates)
    run, rows, preparation = affordable(lambda some: peer.prepare(some, shifts), workload, workload.rows, seconds)
    return run, {"rows": rows, "prepare_seconds": preparation, "shifts": dict(shifts)}


def _keeping(outcomes: dict[str, Outcome], name: str, run: Callable[[], Outcome]) -> Run:
    """The run, whose last outcome is kept."""

    def kept() -> None:
        outcomes[name] = run()

    return kept


def _figures(rows: int, workload: Workload, timing: Timing, outcome: Outcome, costs: Operations) -> dict[str, Any]:
    row_steps = rows * workload.steps
    spikes = _spikes(outcome, costs, row_steps)
    return {
        "rows": rows,
        "seconds": timing.figures(),
        "row_steps_per_second": row_steps / timing.median,
        "synaptic_events_per_second": costs.events(spikes) / timing.median,
        "rate": sum(spikes.values()) / (row_steps * sum(costs.neurons.values())),
        "rates": dict(outcome.rates),
    }


def _spikes(outcome: Outcome, costs: Operations, row_steps: float) -> dict[str, float]:
    """Spikes by population, from spikes per neuron and step."""
    return {name: outcome.rates[name] * n * row_steps for name, n in costs.neurons.items()}


def _gap(outcome: Outcome, ours: Outcome) -> float:
    """Largest relative difference of a population's rate from this engine's."""
    return max(abs(outcome.rates[name] / rate - 1) if rate else 0.0 for name, rate in ours.rates.items())


def _against(paces: Sequence[Rates], timing: Timing, work: Work, kept: Work) -> dict[str, float]:
    """The engine's time against the bounds: medians over rounds, bound and time both of one round."""

    def fraction(bound: Callable[[Rates], float]) -> float:
        return statistics.median(bound(p) / t for p, t in zip(paces, timing.rounds, strict=True))

    return {
        "fraction": fraction(lambda pace: pace.bound(*work)),
        "fraction_second": fraction(lambda pace: pace.second_bound(*work)),
        "fraction_kept": fraction(lambda pace: pace.bound(*kept)),
        "bound_seconds": statistics.median(pace.bound(*work) for pace in paces),
        "event_rate": statistics.median(pace.events for pace in paces),
        "second_event_rate": statistics.median(pace.second for pace in paces),
        "update_rate": statistics.median(pace.updates for pace in paces),
    }
