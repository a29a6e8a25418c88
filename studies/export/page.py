"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

from studies.results import markdown_table


def render(found: dict[str, Any]) -> str:
    """The page, from what the JSON file holds."""
    s = found["settings"]
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    parts = [
        "# What other simulators make of an export",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/export.json`. Do not edit.",
        f"Networks with hidden layers {tuple(s['hidden'])}, trained on {s['set']}, are exported by `sb.export` under "
        f"the masks of {s['masks']} samples, and are given {s['rows']} test rows ({packages}). *Spikes equal* is the "
        "share of neurons and steps in which the simulator and this library, which reads the same file, agree "
        "whether there is a spike, in the layer where it is lowest. *Read-outs apart* is the rms difference of "
        "their averages, in standard deviations of the predictive distribution. *Time* is that of the runs in the "
        f"simulator, files read and modules made, and in this library. Networks that step freely run {s['steps']} "
        f"steps, of which {s['burn_in']} are left out and the others averaged by a Hann window; the others run one.",
        _table(found["lines"]),
    ]
    if found["missing"]:
        absent = "; ".join(f"{name} ({', '.join(needed)})" for name, needed in found["missing"].items())
        parts.append(f"Not installed, and so left out: {absent}.")
    parts += [
        "## Do they keep the posterior?",
        "The certificates' verdicts on what the files say, under the same masks as the module, on "
        f"{s['judge_rows']} rows with {s['judge_samples']} samples each (how-we-judge.md); *error* is the median "
        "over rows of the paired rms difference, in standard deviations.",
        _verdicts(found["certificates"]),
        f"## Portable networks on UCI sets: hidden layers {tuple(s['wide'])}, dropout 0.1",
        "`nn.zoo.discrete`, whose neurons take steps of 1 ms, have no refractory time and are reset to 0, judged as "
        f"above after each of {s['trainings']} trainings with seeds of their own. Of the *steps*, those *left out* "
        "are at the start. *Offset* and *spread* are the pooled mean offset in standard deviations and the pooled "
        "ratio of spreads, *rows* is the share of rows within 0.2 standard deviations: for each the worst training. "
        "*RMSE* is that of the modules' means, beside that of networks of SoftLIF units trained alike, except for "
        f"the learning rate: {s['learning_rate']:g} with batch norms, and 0.003.",
        _sets(found["sets"], s["trainings"]),
    ]
    if found["tried"]:
        parts += [
            "Other neurons and readings, each trained and judged alike on rows held out of training, in errors as "
            "above. The defaults were first chosen on test rows; this checks that choice. Reset by subtraction, "
            "which NIR cannot express, runs in this library's engine:",
            _tried(found["tried"]),
        ]
    if found["images"] is not None:
        i = found["images"]
        parts += [
            f"## A wide one: MNIST, hidden layers {tuple(s['images'])}",
            f"{i['neurons']:,} neurons, {s['images_epochs']} epochs, {100 * i['error_rate']:.1f} % errors of 2,000 "
            f"test digits; {s['judge_rows']} of them with {s['images_samples']} samples each: {i['outcome']} in "
            f"{i['steps']} steps, error {i['error']:.3f}, offset {i['offset']:+.3f}, spread {i['ratio']:.3f}, rows "
            f"{i['within']:.2f}.",
        ]
    return "\n\n".join(parts) + "\n"


def _table(lines: list[dict[str, Any]]) -> str:
    header = ["importer", "profile", "spikes equal %", "read-outs apart, std", "time s", "ours s"]
    rows = []
    for line in lines:
        if "failed" in line:
            figures = [line["failed"], "", "", ""]
        else:
            figures = [
                f"{100 * line['equal']:.3f}",
                f"{line['std']:.1e}",
                f"{line['seconds']:.1f}",
                f"{line['ours']:.1f}",
            ]
        rows.append([line["importer"], line["profile"], *figures])
    return markdown_table(header, rows)


def _verdicts(certificates: dict[str, dict[str, Any]]) -> str:
    rows = [
        [profile, said["outcome"], f"{said['error']:.3f}", "; ".join(said["differs"]) or "nothing"]
        for profile, said in certificates.items()
    ]
    return markdown_table(["profile", "verdict", "error", "what differs from the network"], rows)


def _sets(lines: list[dict[str, Any]], trainings: int) -> str:
    header = ["set", "kept", "steps", "left out", "error", "offset", "spread", "rows", "RMSE", "RMSE of SoftLIF"]
    rows = [
        [
            line["set"],
            f"{line['kept']} of {trainings}",
            f"{line['steps']}",
            f"{line['burn_in']}",
            f"{line['error']:.3f}",
            f"{line['offset']:+.3f}",
            f"{line['ratio']:.3f}",
            f"{line['within']:.2f}",
            _several(line["rmse"]),
            _several(line["rmse_soft_lif"]),
        ]
        for line in lines
    ]
    return markdown_table(header, rows)


def _tried(lines: list[dict[str, Any]]) -> str:
    header = ["setting", *lines[0]["errors"], "largest"]
    rows = [
        [line["setting"], *(f"{e:.3f}" for e in line["errors"].values()), f"{max(line['errors'].values()):.3f}"]
        for line in lines
    ]
    return markdown_table(header, rows)


def _several(numbers: list[float]) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers)
