"""
All samples from one run
========================

With one simulation per sample, every sample waits for the filters to settle. One run can instead go through the masks
of all samples, if neurons are given the time to forget the previous mask.
"""

import torch
from matplotlib import pyplot as plt

import spikebayes as sb

torch.manual_seed(0)
x = torch.randn(400, 4)
y = torch.tanh(x[:, :1] + x[:, 1:2])
fitted = sb.fit(sb.nn.zoo.mlp(4, 1, (100,)), x[:300], y[:300], validation=(x[300:], y[300:]), epochs=40, error=None)
rows = fitted.scaling.inputs(x[300:340])
network = sb.convert(fitted.model, rows, synapse=sb.Alpha(0.005))
classical = sb.predict(fitted.model, rows, samples=60, seed=0)

# %%
# Redrawing at once mixes samples
# -------------------------------
# With a new mask every few steps, and all steps averaged, each sample is still affected by the masks before it. The
# spread is too small.

naive = sb.predict(network, rows, samples=60, seed=0, redraw=sb.Redraw(hold=10))
print(sb.compare(classical, naive).summary())

# %%
# With gaps between the samples
# -----------------------------
# ``hold`` steps for each mask, of which the first ``gap`` are left out; deeper layers are redrawn ``stagger`` steps
# later, as the change reaches them.

redraw = sb.Redraw(hold=60, gap=30, lead=60, stagger=5)
one_run = sb.predict(network, rows, samples=60, seed=0, redraw=redraw)
print(sb.compare(classical, one_run).outcome, "in", redraw.steps(60), "steps")

# %%
# Sample against sample
# ---------------------
# Each dot is a spiking sample beside the classical one under the same mask.

figure, both = plt.subplots(1, 2, figsize=(7, 3.2), sharex=True, sharey=True)
for axes, (name, made) in zip(both, {"redrawn at once": naive, "with gaps": one_run}.items(), strict=True):
    axes.plot(classical.samples.flatten(), made.samples.flatten(), ".", ms=2, color="#D55E00")
    axes.axline((0, 0), slope=1, color="#767676", ls="--", lw=1)
    axes.set(title=name, xlabel="classical sample")
both[0].set_ylabel("spiking sample")
plt.show()

# %%
# What remains of the previous sample shows in the correlation between successive samples:

for name, made in (("redrawn at once", naive), ("with gaps", one_run)):
    print(f"{name}: share of the previous sample {sb.estimate_carry_over(made.samples):.3f}")
