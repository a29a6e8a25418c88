"""
Many rows, many machines
========================

Predictions are made some rows at a time, in memory that does not grow with their number; other processes and machines
can share the work. The result is always that of a single call, bit for bit.
"""

import torch
from torch import nn

import spikebayes as sb


def main() -> None:
    """A script that starts processes needs a main guard."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 60), sb.nn.SoftLIF(1e-3), sb.nn.Permadrop(0.1), nn.Linear(60, 1))
    network = sb.convert(model, torch.randn(100, 6), synapse=sb.Lowpass(0.002))
    x = torch.randn(600, 6)
    whole = sb.predict(network, x, samples=20, seed=0)

    # %%
    # Batches, from any iterator
    # --------------------------
    # Row numbers continue from batch to batch, so that the masks are those of a single call.

    batches = (x[at : at + 128] for at in range(0, len(x), 128))
    streamed = sb.predict(network, batches, samples=20, seed=0)
    print("batches:", torch.equal(streamed.samples, whole.samples))

    # %%
    # Processes
    # ---------
    # ``local:2`` starts two here; the address of a Dask scheduler uses machines elsewhere.

    shared = sb.distribute(network, x, cluster="local:2", samples=20, seed=0)
    print("two processes:", torch.equal(shared.samples, whole.samples))


if __name__ == "__main__":
    main()

# %%
# A table of any length
# ---------------------
# On the command line rows stream from file to file, with a progress bar and an estimate of the time left; finished
# rows survive if the process is killed:
#
# .. code-block:: text
#
#    spikebayes predict run --data rows.parquet --samples 100 --out predictions.parquet
#    spikebayes predict run --data rows.parquet --samples 100 --out predictions.parquet --resume
#    spikebayes predict run --data rows.parquet --samples 100 --out predictions.parquet --cluster local:4
