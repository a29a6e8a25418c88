"""Fixed costs: how long a fresh process takes to its first prediction, with kernels compiled before and without."""

from __future__ import annotations

import statistics
import tempfile
from typing import Any

from benchmarks.measure import fresh

# the clock starts before the first import, which -m benchmarks.child could not do
FIRST_CALL = """
import time
started = time.perf_counter()
import json, torch
torch_imported = time.perf_counter()
import spikebayes as sb
imported = time.perf_counter()
torch.manual_seed(0)
x = torch.randn(8, 10)
network = sb.convert(sb.nn.zoo.mlp(10, 1, (100, 100)), x)
converted = time.perf_counter()
sb.predict(network, x, samples=10)
first = time.perf_counter()
sb.predict(network, x, samples=10)
second = time.perf_counter()
print(json.dumps({"import_torch": torch_imported - started, "import": imported - started,
    "convert": converted - imported, "first": first - converted, "second": second - first}))
"""


def starts(*, repeats: int = 3) -> dict[str, Any]:
    """Seconds of import, conversion and first prediction (8 rows x 10 samples of a 10-100-100-1 network).

    The first process finds an empty cache of compiled kernels; those after it find what the first one compiled.

    Args:
        repeats: processes with a warm cache; medians are taken.

    Returns:
        ``cold`` and ``warm`` seconds, and whether the cold one said on standard error that it compiles.
    """
    with tempfile.TemporaryDirectory() as folder:
        cache = {"NUMBA_CACHE_DIR": folder}
        cold, message = fresh("-c", FIRST_CALL, environment=cache)
        warm = [fresh("-c", FIRST_CALL, environment=cache)[0] for _ in range(repeats)]
    return {
        "cold": cold,
        "warm": {key: statistics.median(run[key] for run in warm) for key in cold},
        "said_so": "compil" in message.lower(),
        "repeats": repeats,
    }
