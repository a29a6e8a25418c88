"""
Export to NIR and Nengo, and back
=================================

Every export to NIR can have a certificate: the exported graph is run here, under the importers' own semantics, and
judged against the posterior that it should keep.
"""

import json
import tempfile
from pathlib import Path

import nengo
import torch
from torch import nn

import spikebayes as sb

folder = Path(tempfile.mkdtemp())
torch.manual_seed(0)
x = torch.randn(600, 4)
y = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).long()

# %%
# Threshold units are exported exactly
# ------------------------------------
# A sharpened network needs one step, and all simulators agree on what happens in that step.

net = sb.nn.zoo.sharpened((4,), 2, hidden=(40, 40), width=20, dropout=0.1)
fitted = sb.fit(net, x[:500], y[:500], validation=(x[500:], y[500:]), task="classification", epochs=30)
network, rows = fitted.network(), fitted.scaling.inputs(x[500:])
certificate = sb.export.to_nir(network, folder / "one.nir", profile="threshold", model=fitted.model, x=rows)
print(certificate)

# %%
# A posterior is exported as one graph per sample, with the masks and a manifest beside them
# -------------------------------------------------------------------------------------------

sb.export.to_nir(network, folder / "posterior", profile="threshold", samples=3, seed=0, row=0)
print(sorted(path.name for path in (folder / "posterior").iterdir()))
print(json.loads((folder / "posterior" / "manifest.json").read_text()).keys())

# %%
# And back
# --------
# The graph read back is the network under the mask of that sample: the same answer, spike for spike.

back = sb.export.from_nir(folder / "one.nir")
there = sb.simulate(network, rows[:1], samples=1, seed=0).mean[0]
here = sb.simulate(back, rows[:1], samples=1).mean[0]
print(torch.equal(there, here))

# %%
# Into Nengo, the paper's own simulator
# -------------------------------------
# LIF networks run there in float64 and fire exactly the spikes of the reference engine.

model = nn.Sequential(nn.Linear(4, 30), sb.nn.SoftLIF(), sb.nn.Permadrop(0.1), nn.Linear(30, 1))
spiking = sb.convert(model, x)
made = sb.export.to_nengo(spiking, sample=0, row=0, seed=0, x=x[0])
with nengo.Simulator(made, dt=spiking.dt, progress_bar=False) as simulator:
    simulator.run_steps(300)
trace = torch.tensor(simulator.data[made.probes[0]])
run = sb.simulate(spiking, x[:1].double(), samples=1, seed=0, steps=300, probe=["trace"], engine="reference")
print(f"largest difference of the read-outs over 300 steps: {(trace - run.trace[0, 0]).abs().max():.1e}")
