"""
Reading a verdict
=================

``compare`` says whether one prediction keeps another's distribution: *kept*, *not kept*, or *undecided*; if
undecided, it says how many rows and samples would decide. Here is one of each.
"""

import torch
from matplotlib import pyplot as plt

import spikebayes as sb

torch.manual_seed(0)
x = torch.randn(500, 4)
y = (x[:, :1] - x[:, 1:2] ** 2) / 2
model = sb.nn.zoo.mlp(4, 1, (50,), dropout=0.1)
fitted = sb.fit(model, x[:400], y[:400], validation=(x[400:], y[400:]), epochs=40)
rows = fitted.scaling.inputs(x[400:])
network = fitted.network()

# %%
# Kept
# ----
# Both predictions use the same masks: every sample has a counterpart, and the only difference is the error of the
# spikes.

classical = sb.predict(fitted.model, rows, samples=100, seed=0)
print(sb.compare(classical, sb.predict(network, rows, samples=100, seed=0)).summary())

# %%
# Under different masks, with a control
# -------------------------------------
# Under different masks samples differ by chance. The control compares the classical network with itself, which shows
# beside every figure what chance alone does. The plot shows each effect in units of its margin: inside the grey band
# a difference is negligible.

control = sb.predict(fitted.model, rows, samples=100, seed=2)
verdict = sb.compare(classical, sb.predict(network, rows, samples=100, seed=1), control=control)
print(verdict.summary())
sb.plot.effects(verdict)
plt.show()

# %%
# Under equal distributions, p-values of Kolmogorov-Smirnov tests over rows are uniform: the paper's own check
# (Wycoff 2019, figure 2).

sb.plot.ks_histogram(verdict)
plt.show()

# %%
# Not kept
# --------
# Too few steps: the network is read before its filters have settled.

hasty = sb.predict(network, rows, samples=100, seed=0, steps=12, burn_in=4)
verdict = sb.compare(classical, hasty)
print(verdict.summary())
sb.plot.effects(verdict)
plt.show()

# %%
# Undecided
# ---------
# Five rows and ten samples are not enough to decide. The verdict says so, and how many would be.

few = sb.compare(
    sb.predict(fitted.model, rows[:5], samples=10, seed=0), sb.predict(network, rows[:5], samples=10, seed=1)
)
print(few.outcome, few.needed)
print(few.summary())
