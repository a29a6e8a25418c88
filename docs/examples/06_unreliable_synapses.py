"""
Unreliable synapses: a step is a sample
=======================================

Sign units whose synapses transmit at random need neither dropout nor long simulations (Neftci 2017): every step of
the network is a draw from its posterior.
"""

import torch
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

import spikebayes as sb

images, labels = load_digits(return_X_y=True)
x = torch.tensor(images / 8 - 1, dtype=torch.float32)  # pixels in [-1, 1]
y = torch.tensor(labels)
train, test = slice(0, 1400), slice(1400, None)

# %%
# Train on the probability that a unit is on
# ------------------------------------------
# The sum over many unreliable synapses is nearly normal, so the probability that a unit is on is an error function of
# its mean input. Unlike a sign, that has a gradient.

torch.manual_seed(0)
model = sb.nn.zoo.s2m(64, 10, hidden=(200, 200), noise=0.4)
fitted = sb.fit(
    model,
    x[train],
    y[train],
    validation=(x[test], y[test]),
    task="classification",
    scaling=sb.training.Scaling.identity((64,)),
    epochs=40,
    learning_rate=3e-3,
)

# %%
# Sample with synapses
# --------------------
# The spiking network draws a bit for every synapse in every step, and needs no such formula.

network = sb.convert(fitted.model, x[train])
answer = sb.predict(network, x[test], samples=50, task="classification")
print(f"{answer.settings['steps']} steps for {len(answer.samples)} samples")
for samples in (1, 5, 20, 50):
    wrong = answer.samples[:samples].mean(0).argmax(1) != y[test]
    print(f"error of {samples:2} samples averaged: {100 * wrong.float().mean():.1f} %")

# %%
# Samples disagree more where the answer is wrong
# -----------------------------------------------

wrong = answer.mean.argmax(1) != y[test]
figure, axes = plt.subplots(figsize=(5, 2.8))
for name, rows in (("right", ~wrong), ("wrong", wrong)):
    axes.hist(answer.mutual_information[rows], bins=20, density=True, alpha=0.6, label=name)
axes.set(xlabel="mutual information (nats)", ylabel="density of rows")
axes.legend(frameon=False)
plt.show()

# %%
# Imprecise weights
# -----------------
# A unit's probability depends only on the direction of its weight vector: scaling the weights changes nothing, and
# rounding them to few bits changes little.

for name, worse in (("x 0.1", sb.scaled(network, 0.1)), ("4 bits", sb.quantised(network, 4))):
    made = sb.predict(worse, x[test], samples=50, task="classification")
    print(f"{name}: error {100 * (made.mean.argmax(1) != y[test]).float().mean():.1f} %")
