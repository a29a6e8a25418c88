"""
Your own ReLU network as a spiking posterior
============================================

A convolutional network that was not trained with spikes in mind, with ordinary ReLUs, max pooling and dropout, is
converted as it is. Nothing is retrained. The spiking network then gives the same prediction *with* its uncertainty.
"""

import torch
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from torch import nn

import spikebayes as sb

# %%
# Train any module
# ----------------
# Scikit-learn's digits are images of 8 x 8 pixels. The training is plain torch.

images, labels = load_digits(return_X_y=True)
x = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
y = torch.tensor(labels)
train, test = slice(0, 1400), slice(1400, None)

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Dropout(0.2),
    nn.Flatten(),
    nn.Linear(256, 64),
    nn.ReLU(),
    nn.Dropout(0.2),
    nn.Linear(64, 10),
)
optimizer = torch.optim.Adam(model.parameters(), 3e-3)
for _epoch in range(15):
    for batch in torch.randperm(1400).split(64):
        loss = nn.functional.cross_entropy(model(x[train][batch]), y[train][batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %%
# Is anything in the way?
# -----------------------
# :func:`spikebayes.check` lists every part that could not be converted, each with its cure. Here there is none.

print(sb.check(model, x[train]).obstacles)

# %%
# Convert
# -------
# Time is divided into windows of ticks, and a neuron encodes its value in *when* it fires within a window.
# ``Digits(4, 4)`` has four digits of four levels each. Some rows of the training data show how large activations
# become.

network = sb.convert(model, x[train], code=sb.Digits(4, 4), headroom=4.0)
print(network)

# %%
# Predict, classically and with spikes
# ------------------------------------
# The two calls are the same. With the same seed both draw the same masks, so that their samples can be compared one
# by one.

budget = {"samples": 50, "seed": 0, "task": "classification"}
classical = sb.predict(model, x[test], **budget)
spiking = sb.predict(network, x[test], **budget)
for name, made in (("classical", classical), ("spiking", spiking)):
    right = (made.mean.argmax(1) == y[test]).float().mean()
    print(f"{name}: accuracy {right:.3f}, mean entropy {made.entropy.mean():.3f} nats")

# %%
# Did the posterior survive?
# --------------------------

verdict = sb.compare(classical, spiking)
print(verdict.summary())

# %%
# What it is good for
# -------------------
# The digits that the network is least sure of are those that are hard to read.

least = spiking.entropy.argsort(descending=True)[:8]
figure, axes = plt.subplots(1, 8, figsize=(8, 1.6))
for axis, row in zip(axes, least, strict=True):
    axis.imshow(x[test][row, 0], cmap="gray_r")
    likely = spiking.mean[row].argmax()
    axis.set_title(f"{likely}? ({y[test][row]})", fontsize=9)
    axis.set_axis_off()
figure.suptitle("least certain: predicted (and true)", fontsize=10)
plt.show()

# %%
# Giving no answer on the least certain rows makes the remaining answers more reliable: the risk-coverage curve.

sb.plot.risk_coverage(spiking, y[test])
plt.show()

# %%
# What it costs
# -------------

bill = sb.energy(network, x[test][:20], samples=20, model=model)
loihi = next(device for device in sb.evaluate.DEVICES if device.name == "Loihi")
for what, joules in (
    ("spikes", bill.spiking_joules(loihi, updates="events")),
    ("passes", bill.classical_joules(loihi)),
):
    print(f"{what}: {1e6 * joules:.2f} microjoules for 20 rows x 20 samples on {loihi.name}")
