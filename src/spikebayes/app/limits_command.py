"""The verb ``limits``: what a run needs of neuromorphic chips, and whether it fits on them."""

from __future__ import annotations

from pathlib import Path

from spikebayes.app.shared_options import OUT, BurnIn, CodeName, Dt, Headroom, Samples, Steps, Tau


def limits_of_run(
    run: Path,
    *,
    samples: Samples = 100,
    steps: Steps = None,
    burn_in: BurnIn = None,
    dt: Dt = 1e-3,
    tau: Tau = None,
    code: CodeName = "lif",
    headroom: Headroom = 4.0,
    json: Path | None = None,
) -> None:
    """Say what a run needs of chips: neurons, fan-in, memory for synapses, time; and on which chips it fits.

    Times are given for chips whose makers state their shortest step. Inputs and outputs are not counted.

    Args:
        run: folder that fit wrote.
        json: file to write the figures to.
    """
    from dataclasses import asdict

    from spikebayes.app.code_option import network_of
    from spikebayes.app.run_folder import load_run, read_by
    from spikebayes.app.table_run import networks_of, share_of
    from spikebayes.evaluate.energy.hardware_limits import CHIPS, demand, latency
    from spikebayes.evaluate.energy.room import rooms
    from spikebayes.machine.checked_files import write_json
    from spikebayes.machine.files import check_output
    from spikebayes.machine.versions import versions

    if json is not None:
        check_output(json, read_by(run))
    loaded = load_run(run)
    spiking = network_of(loaded, dt, tau, code, headroom)
    networks, several = networks_of(spiking), share_of(spiking, samples)
    needed = max(map(demand, networks), key=lambda one: one.weights)
    takes = max((latency(one, several, steps, burn_in) for one in networks), key=lambda one: one.prediction)
    each = (
        "the network"
        if len(networks) == 1
        else f"the largest of {len(networks)} networks, each on a chip of its own,"
    )
    words = "ticks" if networks[0].code is not None else "steps"
    OUT.print(
        f"{run}: {each} has {needed.neurons:,} neurons with at most {needed.fan_in:,} synapses, {needed.synapses:,} "
        f"in all, from {needed.weights:,} stored numbers"
    )
    OUT.print(f"the first sample takes {takes.sample:,} {words}, {several} take {takes.prediction:,}")
    found = rooms(needed, takes)
    sources = [f"{chip.name}: {chip.source}" for chip in CHIPS]
    for line in [*found.lines, "sources of the chips' figures:", *sources]:
        OUT.print(line)
    if json is not None:
        chips = [
            {**asdict(room.chip), "memory_needed": room.memory, "ms": list(room.ms), "excesses": room.excesses}
            for room in found.chips
        ]
        told = {"demand": asdict(needed), "latency": asdict(takes), "samples": samples, "chips": chips}
        write_json(json, told | {"versions": versions()}, "spikebayes.limits/1")
        OUT.print(f"written to {json}")
