"""
Sharpening: one time step is enough
===================================

Activations that turn into step functions while the network trains (Sandia 2017; Whetstone, Severa et al. 2019) end up
as threshold neurons: one time step gives the answer. Dropout adds the posterior that they lack.
"""

import torch
from matplotlib import pyplot as plt

import spikebayes as sb

torch.manual_seed(0)
points = 1.2 * torch.randn(1200, 2)
outside = (points.norm(dim=1) > 1.4).long()

# %%
# The activation, from a bounded ReLU to a step
# ---------------------------------------------

unit = sb.nn.Sharpened()
line = torch.linspace(-0.5, 1.5, 300)
figure, axes = plt.subplots(figsize=(5, 2.6))
for sharpness in (0.0, 0.5, 0.9, 1.0):
    unit.sharpen(sharpness)
    axes.plot(line, unit(line).detach(), label=f"{sharpness:g}")
axes.legend(title="sharpness", frameon=False)
plt.show()

# %%
# Train
# -----
# Sharpness rises between 40 and 70 % of the epochs; then the network goes on learning with step functions.

net = sb.nn.zoo.sharpened((2,), 2, hidden=(64, 64), width=20, dropout=0.1)
fitted = sb.fit(
    net, points[:1000], outside[:1000], validation=(points[1000:], outside[1000:]), task="classification", epochs=40
)

# %%
# Every unit is 0 or 1, and one step gives the answer
# ---------------------------------------------------

network = fitted.network()
answer = fitted.predict(points[1000:], network=network, samples=100)
right = (answer.mean.argmax(1) == outside[1000:]).float().mean()
print(f"{answer.settings['steps']} step, accuracy {right:.3f}")

# %%
# Where is it unsure?
# -------------------
# Along the border, and more so where there was little to learn from.

axis = torch.linspace(-4, 4, 60)
grid = torch.cartesian_prod(axis, axis)
unsure = fitted.predict(grid, network=network, samples=50).entropy.reshape(60, 60).T
figure, axes = plt.subplots(figsize=(4.4, 3.6))
shown = axes.contourf(axis, axis, unsure, levels=12, cmap="viridis")
axes.plot(*points[:300].T, ".", ms=2, color="white", alpha=0.6)
figure.colorbar(shown, label="entropy (nats)")
plt.show()
