"""The part of docs/performance.md on networks of threshold units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.figures import count
from studies.results import markdown_table

WAYS = {
    "float": "this engine, weights as converted",
    "integer": "this engine, 8-bit weights",
    "torch": "the torch module",
    "torch_channels_last": "the torch module, channels last",
}


def thresholds_section(found: Mapping[str, Any] | None) -> Iterable[str]:
    """Paragraphs and tables; nothing where it was not measured."""
    if not found:
        return
    yield "## Networks of threshold units"
    yield (
        f"The networks of the Whetstone study with random weights on {found['rows']} random images, "
        f"{found['threads']} threads: `simulate` for one step on the converted network, its preparation included, "
        f"and the module in `eval` and `inference_mode`, {found['batch']} images at a time. 8-bit weights are "
        "integers within +-127 times a power of two for each operator. Products are counted for every synapse of "
        "every unit, spike or not. The limit takes float32 products with the inputs and one 8-bit product for each "
        "synapse behind spikes, at the best rates of torch's matrix products in the same rounds; weights as "
        "converted have two or three 8-bit digits. `faster by` is against torch's faster layout. Of a competitor "
        "that would take long fewer images are timed."
    )
    rows = []
    for name, case in found["networks"].items():
        for way, figures in case["competitors"].items():
            rows.append([name, WAYS[way], count(figures["images_per_second"]), count(figures["products_per_second"])])
            rows[-1] += [f"{figures['ratio']:.2f}", f"{100 * figures['of_limit']:.0f} %", str(figures["rows"])]
    yield markdown_table(["", "", "images/s", "products/s", "faster by", "of the limit", "images"], rows)
    header = ["", "neurons", "products an image: inputs", "spikes", "float32 products/s", "8-bit products/s"]
    header += ["classes as torch's", "outputs are the reference's"]
    rows = []
    for name, case in found["networks"].items():
        with_inputs, with_spikes = case["products_with_inputs"], case["products_with_spikes"]
        rows.append([name, count(case["neurons"]), count(with_inputs), count(with_spikes)])
        rows[-1] += [count(case["float_rate"]), count(case["integer_rate"]), f"{100 * case['as_torch']:.0f} %"]
        rows[-1].append("yes" if case["as_reference"] else "no")
    yield markdown_table(header, rows)
    yield (
        "Classes of random weights hang on single spikes near their thresholds, which the order of torch's sums and "
        "the grid of the converted weights may flip; the outputs of the reference engine, its classes among them, "
        "are met bit for bit where the first layer's float32 sums are."
    )
