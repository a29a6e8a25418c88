"""The part of docs/performance.md on sampling synapses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.figures import count
from studies.results import markdown_table

WAYS = {
    "exact": "exact: a draw for every synapse",
    "gaussian": "Gaussian: a normal draw for every sum",
    "law": "law: a draw for every unit",
    "module": "the torch module, by the law",
    "torch_bernoulli": "masks in torch, by `bernoulli_`",
    "torch_uniform": "masks in torch, by uniform numbers",
}


def synapses_section(found: Mapping[str, Any] | None) -> Iterable[str]:
    """Paragraphs and tables; nothing where it was not measured."""
    if not found:
        return
    table, ratios = found["competitors"], found["ratios"]
    yield "## Sampling synapses"
    yield (
        f"A synaptic sampling machine, {found['network']}, keep {found['keep']:g}, random weights, "
        f"{count(found['synapses'])} synapses that blank out; {found['rows']} images x {found['samples']} samples "
        f"on {found['threads']} threads. The first three are `predict` on the converted network, the fourth "
        "`predict` on the module. *Masks in torch* draws xi [N, O, K] for each layer and N samples at a time and "
        "computes ((xi + a) * w) @ z; of several N the fastest is taken. Of a competitor that would take long fewer "
        "images are timed (all samples of each), and what the whole job takes follows from its rate."
    )
    rows = []
    for name, figures in table.items():
        draws = figures.get("draws_per_second")
        took = f"{figures['job_seconds']:.3g}" + (" (by its rate)" if figures["extrapolated"] else "")
        rows.append([WAYS[name], count(figures["image_samples_per_second"]), took])
        rows[-1] += ["" if draws is None else count(draws), str(figures["rows"]), str(figures.get("batch", ""))]
    yield markdown_table(["", "image-samples/s", "whole job, s", "synaptic draws/s", "images timed", "N"], rows)
    yield (
        f"Exact sampling is {ratios['exact_over_torch']:.3g} times as fast as torch's faster masks (by "
        f"`{found['fastest_torch'].removeprefix('torch_')}`), the law {ratios['law_over_exact']:.3g} times as fast "
        f"as exact and {ratios['law_over_torch']:.3g} times as fast as torch."
    )
    memory = found.get("memory", {})
    if "peak" in memory:
        yield (
            f"The whole exact job in a process of its own took {memory['seconds']:.3g} s, the loading of kernels "
            f"included, and {memory['peak'] / 1e6:.0f} MB at its peak ({memory['before'] / 1e6:.0f} MB before it: "
            "interpreter, imports, images and the network)."
        )
    yield from _bound(found["bound"])


def _bound(bound: Mapping[str, Any]) -> Iterable[str]:
    yield (
        "The limit: exact sampling needs a random bit for each synapse (at keep 0.5) and adds each weight under a "
        "mask; sampling by the law needs a product for each. The rates are those of the kernel's own vector code and "
        "of torch's matrix products in loops that do nothing else, on data in cache, run in every round of the "
        "timings above. `of the limit` is least time / time, the median over rounds. Padding of a layer's targets to "
        "whole words and vectors, the encoder, the thresholds and the law's random numbers are not in the limit."
    )
    exact = bound["drawing_seconds"] + bound["adding_seconds"]
    words, adds, products = (_sizes(bound[loop]) for loop in ("word_loop", "add_loop", "product_loop"))
    rows = [
        [
            "random words (Philox)",
            f"{count(bound['word_rate'])} words/s",
            words,
            f"{bound['drawing_seconds']:.3g}",
            "",
        ],
        ["masked additions", f"{count(bound['add_rate'])} weights/s", adds, f"{bound['adding_seconds']:.3g}", ""],
        ["exact: both", "", "", f"{exact:.3g}", f"{100 * bound['exact_fraction']:.0f} %"],
        ["law: matrix products", f"{count(bound['product_rate'])} products/s", products],
    ]
    rows[-1] += [f"{bound['multiplying_seconds']:.3g}", f"{100 * bound['law_fraction']:.0f} %"]
    yield markdown_table(["", "best rate", "by", "least time of the whole job, s", "of the limit"], rows)


def _sizes(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in setting.items())
