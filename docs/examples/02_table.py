"""
A table, from the file to a decision
====================================

A raw table of patients: numbers, a label, missing values, a date. One command trains a network and converts it to
spikes; others predict, score and report. The commands are run from this script; in a terminal, type the same.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.datasets import load_diabetes

import spikebayes as sb

folder = Path(tempfile.mkdtemp())


def run(command: str) -> None:
    """Run a command, and show its output."""
    _program, *words = shlex.split(command)
    program = [sys.executable, "-m", "spikebayes.app.cli", *words]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True)
    print(f"$ {command}\n{done.stdout}{done.stderr if done.returncode else ''}")


# %%
# The table, as it comes
# ----------------------

patients = load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": "progression"})
draw = np.random.default_rng(0)
patients["sex"] = patients["sex"].map({1.0: "female", 2.0: "male"})
patients["bmi"] = patients["bmi"].where(draw.random(len(patients)) > 0.05)  # some were not measured
patients["visit"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 300, len(patients)), "D")
patients[:350].to_csv(folder / "train.csv", index=False)
patients[350:].to_csv(folder / "new.csv", index=False)
patients.head(4)

# %%
# Fit
# ---
# Column types are inferred and printed. Held-out rows are used to choose the weights, to calibrate the intervals, and
# to compare the network with a linear model and with boosted trees.

run("spikebayes fit train.csv --target progression --epochs 60 --out run")

# %%
# Predict
# -------
# ``mean`` and ``model_std`` are the samples' mean and how far they disagree; ``lower`` and ``upper`` hold 90 % of
# new observations; ``outside`` names columns in which a row is unlike all training rows.

run("spikebayes predict run --data new.csv --samples 50 --out predictions.parquet")
predictions = pd.read_parquet(folder / "predictions.parquet")
predictions.head(4)

# %%
# How good, and how sure?
# -----------------------

run("spikebayes score run --data new.csv --samples 50")

# %%
# A picture of it
# ---------------

observed = patients["progression"][350:].to_numpy()
order = predictions["mean"].to_numpy().argsort()
figure, axes = plt.subplots(figsize=(7, 3))
axes.vlines(
    range(len(order)), predictions["lower"].iloc[order], predictions["upper"].iloc[order], color="#cccccc", lw=3
)
axes.plot(predictions["mean"].to_numpy()[order], color="#D55E00", label="mean")
axes.plot(observed[order], ".", color="#222222", label="observed")
axes.set(xlabel="patient, by predicted mean", ylabel="progression")
axes.legend(frameon=False)
plt.show()

# %%
# A decision
# ----------
# Whom to measure again? Those about whom the model knows least, which is not where the noise is largest.

most = predictions.nlargest(3, "model_std")[["mean", "model_std", "noise_std", "lower", "upper"]]
most.round(1)

# %%
# Did spikes keep the posterior, and what do they cost?
# -----------------------------------------------------
# ``compare`` writes a report for whoever decides; ``limits`` says on which chips the network fits.

run("spikebayes compare run --data new.csv --samples 50 --out report.html")
run("spikebayes limits run")

# %%
# The same from Python
# --------------------
# An estimator for scikit-learn does the same without files.

frame = patients.drop(columns="visit").assign(sex=(patients["sex"] == "male").astype(float)).fillna(0.0)
estimator = sb.sklearn.SpikingRegressor(epochs=40, samples=50, random_state=0)
estimator.fit(frame.drop(columns="progression")[:350], frame["progression"][:350])
mean, std = estimator.predict(frame.drop(columns="progression")[350:], return_std=True)
print(f"RMSE {np.sqrt(np.mean((mean - observed) ** 2)):.1f}, mean std {std.mean():.1f}")
