"""
Which neural code for which chip
================================

The same trained network can use several neural codes: rates of LIF neurons, digits, the time of a first spike, a
graded spike. They differ in error, in spikes, in ticks, and in what a chip must be able to do.
"""

import torch
from matplotlib import pyplot as plt
from torch import nn

import spikebayes as sb

torch.manual_seed(0)
x = torch.randn(800, 8)
y = torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]
model = nn.Sequential(
    nn.Linear(8, 100), nn.ReLU(), nn.Dropout(0.1), nn.Linear(100, 100), nn.ReLU(), nn.Dropout(0.1), nn.Linear(100, 1)
)
fitted = sb.fit(model, x[:600], y[:600], validation=(x[600:], y[600:]), epochs=40)
rows = fitted.scaling.inputs(x)
inputs = rows[600:640]

# %%
# Each code beside the classical posterior
# ----------------------------------------
# The error is between samples under the same masks, in standard deviations of the prediction: below about 0.1 the
# difference does not matter in practice.

codes = {
    "first spike, 64 ticks": sb.FirstSpike(64),
    "radix, 8 bits": sb.Radix(8),
    "digits, 4 of 4": sb.Digits(4, 4),
    "graded, 8 bits": sb.Graded(8),
}
classical = sb.predict(fitted.model, inputs, samples=50, seed=0)
found = {}
for name, code in codes.items():
    network = sb.convert(fitted.model, rows[:600], code=code, headroom=2.0)
    spiking = sb.predict(network, inputs, samples=50, seed=0)
    verdict = sb.compare(classical, spiking)
    bill = sb.energy(network, inputs[:10], samples=10, model=fitted.model)
    loihi = next(device for device in sb.evaluate.DEVICES if device.name == "Loihi")
    found[name] = (
        bill.spiking_joules(loihi, updates="events") / bill.classical_joules(loihi),
        float(torch.as_tensor(verdict.paired_rmse).median()),
    )
    ticks = spiking.settings["ticks_per_sample"]
    print(f"{name:22} error {found[name][1]:.3f}  {ticks:3} ticks  {verdict.outcome}")

# %%
# The frontier
# ------------
# Energy, if only events cost any, relative to that of the classical network on the same chip.

cost, error = zip(*found.values(), strict=True)
sb.plot.frontier(cost, error, tuple(found))
plt.show()

# %%
# An automatic choice
# -------------------
# ``code="auto"`` takes the code with the fewest ticks that stays within the error you name, on the rows you give;
# with ``cost=loihi`` it would be the one with the fewest joules there.

chosen = sb.convert(fitted.model, rows[:200], code="auto", error=0.1, calibrate=rows[:600])
print(chosen.code)

# %%
# Does it fit on a chip?
# ----------------------

demand = sb.evaluate.demand(chosen)
print(f"{demand.neurons} neurons, fan-in {demand.fan_in}, {demand.synapses:,} synapses")
for chip in sb.evaluate.CHIPS:
    print(f"{chip.name}: {'; '.join(demand.excesses(chip)) or 'fits'}")
