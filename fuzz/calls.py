"""Public functions and classes, called with arguments that are right but for one or two."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

import spikebayes as sb
from fuzz.trial import Trial
from spikebayes.data import infer_schema
from spikebayes.network import Alpha, Dense
from spikebayes.nn import zoo
from spikebayes.training import Scaling

FACES = ("spikebayes", "spikebayes.nn", "spikebayes.nn.zoo", "spikebayes.training", "spikebayes.data",
         "spikebayes.evaluate", "spikebayes.export", "spikebayes.network", "spikebayes.plot")  # fmt: skip
LEFT_OUT = {
    *("Task", "Outcome", "Curve", "Values"),  # enumerations
    *("load_images", "load_jasper_ridge", "load_split", "Meter"),  # they ask the network, or the machine
    *("SpikebayesError", "ConfigError", "ConversionError", "DataError", "StoreError", "Obstacle", "Obstacles"),
    *("Code", "Response"),
    *("Neuron", "Noise", "Operator", "Synapse", "Spiking", "Shape", "Sampling", "Sharpening"),  # to be subclassed
    *("Floats", "Ints", "quiet", "trainer_settings", "RandomState", "Sharpness"),
    # results, which the library makes
    *("Run", "Equivalence", "Energy", "SpikingCounts", "ClassicalCounts", "RowEffects", "KsTest", "ClassRows",
    "Decision",
      "Finding", "Interval", "IntegerNetwork", "HyperspectralPixels", "ImageSet", "Split", "Units", "Place",
      "Demand", "Certificate", "Room", "Rooms"),
}  # fmt: skip


class Bare:
    """No value of any kind."""


ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 10**9, 2**31, 2**63, 2**64, -(2**63), 0.5, 1.5, -0.5, 1e-320, 1e308,
    math.nan, math.inf, -math.inf, 1 + 2j, Decimal("0.5"), "", "a", "1", "row", "pas", "regresion", "classification",
    "auto", "cpu ", "Adam", b"x", (), [], {}, [1], (1, 2), [None], ["a"], [math.nan], [-1, 2], (0,), (3, 0), [[1,
    2], [3]],
    {"a": 1}, {1, 2}, range(3), slice(1), np.int64(3), np.float32(0.25), np.float64("nan"), np.bool_(True),
    np.array(3),
    np.array([]), np.zeros((0, 4)), np.ones(3), np.ones((6, 4)), np.full((6, 4), np.nan), np.array(["a", "b"]),
    np.array([1, None], object), np.arange(6), torch.tensor(2.0), torch.zeros(0), torch.zeros(0, 4), torch.zeros(6,
    0),
    torch.ones(6), torch.ones(6, 4), torch.ones(6, 4, dtype=torch.bool), torch.ones(6, 4).bfloat16(),
    torch.ones(6, 4, dtype=torch.complex64), torch.full((6, 4), math.nan), torch.full((6, 4), math.inf),
    torch.ones(2, 3, 4),
    torch.arange(6), torch.ones(6, 5), torch.float16, torch.float64, torch.int64, torch.ones(6, 4).to_sparse(),
    torch.ones(6, 4, requires_grad=True), nn.Linear(4, 2), nn.ReLU(), nn.Sequential(),
    nn.Dropout(0.5), sb.nn.SoftLIF, sb.Task.CLASSIFICATION, sb.Exact(), sb.Law(), Alpha(0.01), sb.LIF(),
    sb.Dropout(0.5),
    sb.Hann(), Dense(torch.ones(2, 4)), pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame(), pd.Series([1, 2]), Path("."),
    Path("/proc/nowhere/x"), "/dev/null", "t.csv", lambda *a, **k: None, int, Bare(), Bare, object(), print,
)  # fmt: skip


def prepare() -> None:
    known = right()
    public()
    sb.evaluate.count(known["network"], known["x"], samples=2, steps=12, burn_in=4)  # engines are compiled once
    for network in (known["network"], known["with_blank_out.network"]):
        sb.simulate(network, known["x"], steps=3)


@cache
def public() -> dict[str, Callable[..., Any]]:
    """By name, what is called: functions, classes, and methods of what the library makes."""
    found: dict[str, Callable[..., Any]] = {}
    for face in FACES:
        home = import_module(face)
        for name in home.__all__:
            made = getattr(home, name)
            if callable(made) and not isinstance(made, ModuleType) and name not in LEFT_OUT:
                found.setdefault(name, made)
    values = right()
    for owner in ("prediction", "schema", "scaling", "network", "redraw", "fitted"):
        for name in dir(type(values[owner])):
            if not name.startswith("_") and callable(getattr(type(values[owner]), name)):
                found[f"{owner}.{name}"] = getattr(values[owner], name)
    return found


@cache
def right() -> dict[str, Any]:
    """An argument that is right, by the parameter's name, or by that of what is called and of the parameter."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x, y = torch.rand(6, 4), torch.rand(6, 1)
    model, probabilities = zoo.mlp(4, 1, [5], 0.2).eval(), torch.rand(6, 3).softmax(-1)
    network = sb.convert(model, x)
    prediction, other = (sb.predict(model, x, samples=5, seed=seed, noise_std=0.3) for seed in (0, 1))
    prediction = replace(prediction, conformal=prediction.calibrate(y))
    frame = pd.DataFrame({"a": [1.0, 2, 3], "b": ["u", "v", "u"], "y": [0.5, 1, 2]})
    steps = nn.Sequential(
        nn.Linear(4, 3), sb.nn.Step(), nn.Dropout(0.2), nn.Linear(3, 3), sb.nn.Step(), nn.Linear(3, 2)
    )
    ordinary = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.2), nn.Linear(3, 1)).eval()
    coded = sb.convert(ordinary, x, code=sb.Digits(4, 4), calibrate=torch.rand(100, 4))
    memoryless = sb.convert(sb.nn.few_bits(steps).eval(), x)
    resting = sb.convert(model, x, synapse=sb.Lowpass(0.01))
    unrested = sb.LIF(tau_ref=0.0, amplitude=0.002, gain=30.0, bias=4.0)
    portable = replace(resting, populations=tuple(replace(p, neuron=unrested) for p in resting.populations))
    whole = sb.integers(memoryless, largest_input=10.0)
    scaling = Scaling.learn(x, y)
    known = infer_schema(frame, "y", ["b"])
    wide, many = rng.normal(size=(5, 6)), rng.random(6)
    run = sb.simulate(network, x, samples=2, steps=12, probe=["spikes", "trace"])
    return {
        "run": run, "verdict": sb.compare(prediction, other), "axes": Figure().add_subplot(), "population": None,
        "sample": 1, "row": 1, "expected": 0.5, "frontier.cost": many + 1, "frontier.error": many + 1,
        "frontier.names": list("abcdef"), "xlabel": "J", "ylabel": "std", "ks_histogram.control": False,
        "intervals.target": y, "predicted.target": y, "reliability.target": y, "risk_coverage.target": y,
        "x": x, "y": y, "model": model, "network": network, "example_input": x, "samples": 4, "seed": 1, "steps": 12,
        "burn_in": 4, "window": sb.Flat(), "redraw": None, "mask_scope": "row", "rows": None, "engine": "auto",
        "batch_size": 3, "dtype": torch.float32, "task": sb.Task.REGRESSION, "noise_std": 0.3, "names": (),
        "progress": False,
        "dt": 1e-3, "synapse": Alpha(0.02), "sampling": sb.Exact(), "probe": ["spikes"], "reference": prediction,
        "candidate": other, "control": None, "margins": sb.Margins(), "alpha": 0.05, "output": 0, "validation": (x,
        y),
        "epochs": 2, "learning_rate": 1e-2, "weight_decay": 0.0, "optimizer": "adam", "gamma": (0.02, 0.01),
        "annealing": 0.5, "rate_penalty": 0.1,
        "sharpening": None, "patience": 3, "checkpoints": None, "resume": False, "precision": "float32",
        "scaling": scaling, "scheduler": "cosine", "augment": None, "callbacks": (), "logger": None,
        "frame": frame, "target": "y", "categorical": ["b"], "schema": known,
        "path": Path("t.csv"),
        "folder": Path("net"), "devices": list(sb.evaluate.DEVICES)[:1],
        "inputs": 4, "outputs": 2, "hidden": [3], "dropout": 0.1, "keep": 0.5,
        "noise": 0.6, "encoders": 5,
        "classes": 3, "width": 6, "scale": 0.5, "p": 0.2, "hold": 2, "site": 1, "offset": 0, "repeat": 1,
        "start": 0, "tau": 0.01,
        "threshold": 0.5, "curve": sb.Curve.ERF, "off": -1, "name": "x", "shape": (4,), "neuron": sb.LIF(),
        "constant": None,
        "source": "a", "operator": Dense(torch.ones(2, 4)), "weight": torch.ones(2, 4), "bits": 8, "std": 0.1,
        "factor": 2.0,
        "clip": "mse", "levels": 255, "largest_input": 1.0, "prediction": prediction, "probabilities": probabilities,
        "fitted": sb.training.Fitted(model, scaling, sb.Task.REGRESSION, torch.ones(1)),
        "members": (sb.training.Fitted(model, scaling, sb.Task.REGRESSION, torch.ones(1)),),
        "confidence": many, "wrong": rng.integers(0, 2, 6), "lower": many - 1, "upper": many + 1, "axis": 0,
        "bins": 5,
        "fair": True, "pvalues": many, "first": wide, "second": wide + 1, "rng": rng, "exchanges": 20,
        "k": np.arange(4),
        "n": 5, "m": 6, "difference": many, "error": many, "freedom": 5, "margin": 0.5, "inside": many,
        "outside": many,
        "statistic": np.mean, "level": 0.9, "resamples": 20, "fraction": 0.3, "every": 1, "until": 3, "dial": None,
        "initial": 3, "rate": 0.2, "late_rate": 0.1, "late": 0.5, "rise": 0.1, "kind": "brelu", "sharpness": 0.0,
        "learnable": 1.0, "beta": 1.0, "channels": 1, "kernel": 2, "stride": 1, "padding": 0, "directions": 4,
        "sigma": 0.5,
        "draw": sb.Draw(0, "row", torch.arange(6)), "settings": {}, "arguments": 1, "learner": nn.Linear(2, 2),
        "parameters": list(model.parameters()), "copies": 2,
        "module": nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)),
        "cell": 4, "drug": 3, "combo": zoo.combo(4, 3, 5),
        "cells": torch.rand(2, 4),
        "drugs": torch.rand(3, 3), "convolutions": [], "activation": sb.nn.SoftLIF, "gain": 0.5, "bias": 0.0,
        "amplitude": 1.0, "tau_rc": 0.02, "tau_ref": 0.002, "scope": "row", "readout": network.readout,
        "populations": network.populations, "connections": network.connections, "argument": 0, "q": 0.5,
        "quantiles": (0.1, 0.9), "columns": {"b": "levels"}, "targets": known.targets,
        "TableSchema.columns": known.columns,
        "x_mean": torch.zeros(4),
        "x_std": torch.ones(4), "y_mean": None, "y_std": None, "dims": (1, 0), "dim": 0, "stop": 2, "step": 1,
        "size": (2,),
        "spread": 0.05, "row_offset": 0.5, "row_spread": 1.5, "paired": 0.2, "tolerance": 0.001, "gap": 1, "lead": 1,
        "stagger": 0, "carry_over": 0.1, "synaptic_event_j": 1e-11, "neuron_update_j": 1e-11, "event_driven": True,
        "mac_j": 1e-12, "weight_memory": None, "weight_bytes": 4, "mask_bit_j": 0.0, "neurons": 10, "fan_in": 10,
        "blank_out": None, "history": {}, "dilation": 1, "groups": 1, "stored": known.to_dict(),
        "radix": 4, "digits": 3, "code": None, "calibrate": None, "headroom": 2.0, "cost": "ticks", "device": "cpu",
        "response": sb.network.Ramp(), "top": torch.tensor(1.0), "below": None, "limit": None,
        "rising": torch.ones(1).double(), "falling": torch.zeros(0).double(), "grid": 0.0,
        "rescale": True, "calibration": None, "Coded.top": 1.0, "Coded.code": sb.Radix(3), "Race.code": sb.Radix(3),
        "Function.name": "silu", "convert.error": 0.07, "Windows.kernel": (2,), "Windows.stride": (2,),
        "Windows.padding": (0,), "Windows.dilation": (1,),
        "end": 0.001, "standardised": False, "successive": False, "operators": (), "node": network.populations[0],
        # where a name means something else
        "Input.dropout": None, "Population.dropout": None, "Connection.target": "b",
        "SpikingNetwork.inputs": network.inputs,
        "estimate_carry_over.samples": torch.rand(4, 6, 1), "crps.samples": torch.rand(5, 6, 1),
        "Predictive.samples": torch.rand(5, 6, 1),
        "single_sample_error.samples": torch.rand(5, 6, 3).softmax(-1), "crps.target": y, "Margins.offset": 0.1,
        "Predictive.noise_std": torch.ones(1), "Fitted.noise_std": torch.ones(1),
        "prediction.log_likelihood.target": y,
        "coverage.target": many, "r_squared.target": many, "r_squared.prediction": many,
        "rmse.target": many, "rmse.prediction": many, "decide.reference": wide[..., None],
        "decide.candidate": wide[..., None],
        "decide.names": ["y"], "decide.tolerance": [0.1], "row_effects.reference": wide[..., None],
        "row_effects.candidate": wide[..., None],
        "mean_equivalence.reference": wide, "mean_equivalence.candidate": wide, "row_effects.paired": False,
        "mean_equivalence.paired": False, "decide.paired": False, "make_optimizer.name": "adam",
        "few_bits.model": nn.Linear(4, 2),
        "Reshape.shape": (2, 2), "Device.source": "x", "Limits.source": "x", "Memory.levels": ((1024.0, 1e-12),
        (math.inf, 1e-11)), "Scale.factor": torch.ones(4),
        "Conv.weight": torch.ones(2, 1, 2), "Conv.stride": (1,), "Conv.padding": (0,), "Conv.dilation": (1,),
        "AvgPool.kernel": (2,),
        "AvgPool.stride": (2,), "AvgPool.padding": (0,), "target_shape.source": (4,), "split_rows.rows": 10,
        "Margins.rows": 0.98,
        "bootstrap.rows": many, "bootstrap.paired": True, "prediction.save.path": Path("p"),
        "prediction.load.path": Path("p"),
        "load_network.folder": Path("net"), "check_checkpoint.path": Path("c.ckpt"), "Sharpened.noise": 0.0,
        "BottomUpSharpening.epochs": 1.0, "ScheduledSharpening.epochs": 1.0, "whole_epochs": False,
        "Gamma.start": 0.02,
        "DiscreteSoftLIF.gamma": 0.02, "DiscreteSoftLIF.constant": False, "reset": "zero",
        "unit": sb.nn.DiscreteSoftLIF,
        "SoftLIF.gamma": 0.02, "excess_risk_coverage_area.confidence": torch.rand(6),
        "risk_coverage_area.confidence": torch.rand(6),
        "schema.from_dict.stored": infer_schema(frame, "y", ["b"]).to_dict(), "coverage": 0.9, "risk": 0.3,
        "delta": 0.1, "method": "scaled", "penalty": 0.0, "free": 1, "noise_samples": None,
        "conformal": None, "information": torch.rand(6), "errors": torch.rand(6, 1), "scores": torch.rand(6, 1),
        "prediction.abstain.tolerance": 0.5, "prediction.calibrate.target": y, "coverage_by_group.target": y,
        "coverage_by_group.groups": list("aabbab"), "fit.noise": "constant", "fit.calibration": 0.0,
        "Fitted.noise": "constant",
        "Conformal.spread": torch.ones(6, 1), "prediction.acquire.n": 3,
        "PopulationDecode.width": 6, "sharpened.width": None, "sharpened.padding": "same",
        "Draw.rows": torch.arange(6), "by_row": True, "scaled.factor": 0.5,
        "binned_gap.axis": -1, "demand.network": network, "integers.network": memoryless,
        "split_fan_in.network": whole, "split_fan_in.fan_in": 256, "weight_bits": 16, "state_bits": None,
        "chips": sb.evaluate.CHIPS, "leak": 200, "mix": 7852, "refractory": 2,
        "FixedPointLIF.threshold": torch.ones(4),
        "FixedPointLIF.bits": 24, "FixedPointLowpass.bits": 24, "FixedPointAlpha.bits": 24,
        "WholeRamp.unit": torch.ones(4),
        "with_blank_out.network": memoryless, "network.shape.name": "readout", "network.into.target": "readout",
        "decide.classes": False, "with_blank_out.inputs": False, "WinnerTakeAll.classes": 2, "Dropout.start": 0,
        "FrozenNorms.start": 1, "NoisySign.threshold": 0.0, "Slice.start": 0, "ceil_mode": False,
        "count_include_pad": True,
        "scaling.inputs.x": x, "BlankOut.scale": 0.5, "BlankOut.hold": 1, "AdaptiveAvgPool.size": (2,),
        "impulse_response.steps": 5, "combo.dropout": 0.1, "Combo.dropout": 0.1, "Combo.activation": sb.nn.SoftLIF,
        "jitter": 0.5, "loss": 0.01, "spike_noise": None, "with_spike_noise.network": coded,
        "energy.engine": "cpu", "tune.rows": torch.rand(12, 4), "tune.error": 0.5, "tune.taus": (0.01, 0.02),
        "timing": None, "fit.error": 0.5,
        "cluster": None, "distribute.cluster": "local:1",
        "profile": "portable-lif", "flat": False, "judge_samples": 20, "overwrite": True, "graph": Path("none.nir"),
        "to_nir.network": portable, "to_nir.path": Path("out.nir"), "to_nir.samples": 1, "to_nengo.x": x[0],
        "from_nir.dropout": {"layer1": 0.1}, "tau_mem": 0.02, "tau_syn": None, "r": 1.0, "v_leak": 0.0,
        "v_threshold": 1.0, "v_reset": 0.0, "w_in": 1.0, "SumPool.kernel": (2, 2), "SumPool.stride": (2, 2),
        "SumPool.padding": (0, 0),
        "max_rate": 100.0, "phase": 0.5, "poisson_events.value": None, "regular_events.value": None,
        "measure": False, "Chain.operators": (Dense(torch.ones(2, 4)),), "quantised.bits": 4,
    } | {f"{name}.target": torch.tensor([0, 1, 2, 0, 1, 2]) for name in (
        "brier", "calibration_error", "class_rows", "error_rate", "excess_risk_coverage_area",
        "negative_log_likelihood",
        "risk_coverage_area", "single_sample_error")}  # fmt: skip


def arguments(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """What is right for every parameter that has to be given, or whose name is known."""
    known, found = right(), {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        for key in (f"{name}.{parameter.name}", parameter.name):
            if key in known:
                found[parameter.name] = known[key]
                break
        else:
            if parameter.default is parameter.empty:
                raise LookupError(f"no argument is known for {parameter.name!r} of {name}")
    return found


def run(trial: Trial) -> None:
    name = trial.one(sorted(public()))
    function = public()[name]
    given = arguments(name, function)
    changed = list(trial.rng.permutation(sorted(given)))[: trial.one((1, 1, 1, 2))]
    for parameter in changed:
        given[str(parameter)] = trial.one(ODD)
    trial.say(f"{name}({', '.join(f'{p}={given[str(p)]!r:.300}' for p in changed)})")
    before = os.getcwd()
    os.chdir(trial.folder)
    try:
        function(**given)
    finally:
        os.chdir(before)
