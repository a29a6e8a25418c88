"""
Serving predictions over HTTP
=============================

A trained run answers requests of the Open Inference Protocol with the mean and its interval; the same seed gives the
same bits, whatever other requests are served at the same time.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd

folder = Path(tempfile.mkdtemp())
cli = [sys.executable, "-m", "spikebayes.app.cli"]
draw = np.random.default_rng(0)
table = pd.DataFrame(draw.normal(size=(300, 2)), columns=["a", "b"])
table["y"] = np.sin(table["a"]) + 0.1 * draw.normal(size=300)
table.to_csv(folder / "train.csv", index=False)
fit = [*cli, "fit", "train.csv", "--target", "y", "--epochs", "30", "--out", "run"]
subprocess.run(fit, cwd=folder, capture_output=True, check=True)

# %%
# Start
# -----
# The server listens to this machine only; ``--host`` opens it to others, which needs a token. ``--port 0`` takes a
# free port and prints it.

serve = [*cli, "serve", "run", "--port", "0"]
server = subprocess.Popen(serve, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
url = None
for line in server.stdout:
    found = re.search(r"http://[\w.:]+", line)
    if found:
        url = found[0]
        break
print(json.dumps(json.load(urlopen(f"{url}/v2/models/run")), indent=1)[:400], "...")

# %%
# Ask
# ---


def ask(rows: list[list[float]], **parameters: object) -> dict[str, list[float]]:
    """Mean, std and interval of rows."""
    body = {
        "parameters": parameters,
        "inputs": [{"name": "input", "datatype": "FP64", "shape": [len(rows), 2], "data": np.ravel(rows).tolist()}],
    }
    request = Request(f"{url}/v2/models/run/infer", json.dumps(body).encode(), {"Content-Type": "application/json"})
    return {one["name"]: one["data"] for one in json.load(urlopen(request))["outputs"]}


for name, values in ask([[0.3, 1.2], [5.0, -4.0]], samples=200, seed=1).items():
    print(f"{name:6}", np.round(values, 3))

# %%
# The same seed, the same bits; another seed, another sample.

first, again, other = (ask([[0.3, 1.2]], samples=50, seed=seed)["mean"] for seed in (1, 1, 2))
print(first == again, first == other)

# %%
# Stop
# ----
# On SIGTERM the server finishes the requests it has begun, and exits.

server.send_signal(signal.SIGTERM)
print("exit code", server.wait(timeout=30))
