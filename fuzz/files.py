"""Files that the library wrote, damaged, mixed up, or edited and signed again; and damaged configurations."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

import spikebayes as sb
from fuzz.damage import spoilt
from fuzz.trial import Trial, Wrong
from spikebayes.app import cli
from spikebayes.app.run_folder import load_run, save_run
from spikebayes.app.table_run import TableRun, train_table
from spikebayes.app.table_task import prepare_table
from spikebayes.machine.checked_files import write_json
from spikebayes.nn import zoo
from spikebayes.training import check_checkpoint
from studies.results import read_results, results_text

ODD = (
    None, True, False, 0, 1, -1, 2, 0.5, 1.5, -2.5, 1e308, 1e-320, 10**9, 2**63, 2**70, "", "a", "1", "regression",
    "Dense",
    [], [0], [1, 2], [[1]], [None], ["a"], {}, {"kind": "LIF"}, {"kind": "Nothing"}, {"kind": []}, {"tensor": "x"},
    {"tensor": []}, {"operator": 0}, {"operator": True}, {"operator": -1}, {"operator": "0"}, {"a": 1},
)  # fmt: skip
CONFIG = """data: t.csv
target: y
out: run
categorical: a,b
task: auto
network: lif
hidden: [100, 50]
dropout: 0.1
epochs: 20
learning_rate: 3e-3
seed: 0
resume: false
"""


def run(trial: Trial) -> None:
    trial.one((_network, _network, _run, _run, _prediction, _checkpoint, _results, _config))(trial)


# -- what was written: once for all inputs -------------------------------------------------------------------


def prepare() -> None:
    for number in (0, 1):
        loaded = load_run(written() / f"run{number}")
        loaded.predict(_table(), network=loaded.network(), samples=2)  # engines are compiled once
        network = sb.load_network(written() / f"network{number}")
        sb.simulate(network, [torch.rand(2, *node.shape) for node in network.inputs], steps=2)


@cache
def written() -> Path:
    """A folder with two of everything: networks, runs, predictions and checkpoints."""
    torch.manual_seed(0)
    home = Path(mkdtemp(prefix="fuzz-written-"))
    conv = nn.Sequential(
        nn.Conv2d(1, 3, 3), sb.nn.SoftLIF(), nn.Dropout2d(0.2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    )
    sb.save_network(sb.convert(conv, torch.rand(1, 1, 6, 6)), home / "network0")
    sb.save_network(sb.convert(zoo.s2m(5, 3, [6, 4]), torch.randn(1, 5), sampling=sb.Exact()), home / "network1")
    frame = _table()
    for number, (target, kind) in enumerate([("y", "lif"), ("c", "s2m")]):
        labels = [name for name in "lc" if name != target]
        task = prepare_table(frame, target, categorical=labels, network=kind, hidden=[4], validation=0.3)  # pyright: ignore
        made = train_table(task, epochs=2, checkpoints=home / f"checkpoints{number}")
        save_run(made, home / f"run{number}")
        made.predict(frame, samples=3).save(home / f"prediction{number}")
    return home


def _table() -> pd.DataFrame:
    rows = range(12)
    columns = {"x": [i * 0.5 for i in rows], "l": [("u", "v")[i % 2] for i in rows]}
    return pd.DataFrame(columns | {"c": [("no", "yes")[i % 3 == 0] for i in rows], "y": [i * i - 3.0 for i in rows]})


# -- folders of a description and tensors --------------------------------------------------------------------


def _network(trial: Trial) -> None:
    def use(network: sb.SpikingNetwork) -> None:
        rows = [torch.rand(2, *node.shape) for node in network.inputs]
        sb.simulate(network, rows, samples=2, steps=4)
        str(network)

    _folder(trial, "network", sb.load_network, sb.save_network, use)


def _run(trial: Trial) -> None:
    def use(loaded: TableRun) -> None:
        loaded.predict(_table(), samples=2)
        loaded.predict(_table(), network=loaded.network(), samples=2)

    _folder(trial, "run", load_run, save_run, use)


def _folder(
    trial: Trial,
    name: str,
    read: Callable[[Path], Any],
    write: Callable[[Any, Path], None],
    use: Callable[[Any], None],
) -> None:
    """Damaged, it is refused or what it was; edited and signed again, it is refused or can be used."""
    number = trial.whole(0, 1)
    folder, original = trial.folder / name, written() / f"{name}{number}"
    copytree(original, folder)
    description, tensors = folder / f"{name}.json", folder / f"{name}.safetensors"
    how = trial.one(("damage", "mix", "edit", "edit", "edit tensors"))
    trial.say(f"{original.name}: {how}")
    if how == "damage":
        victim = trial.one((description, tensors))
        trial.say(victim.name)
        victim.write_bytes(spoilt(victim.read_bytes(), trial))
    elif how == "mix":
        victim = trial.one((description, tensors))
        victim.write_bytes((written() / f"{name}{1 - number}" / victim.name).read_bytes())
    else:
        stored = json.loads(description.read_text("utf-8"))
        form = stored.pop("format")
        del stored["checksum"]
        if how == "edit":
            _edit(stored, trial)
        else:
            stored["tensors_sha256"] = _edit_tensors(tensors, trial)
        write_json(description, stored, form)
    loaded = read(folder)
    if how in ("damage", "mix"):
        again = trial.folder / "again"
        write(loaded, again)
        if any(
            (again / file.name).read_bytes() != (original / file.name).read_bytes() for file in (description, tensors)
        ):
            raise Wrong(f"a damaged {name} is read as another")
    use(loaded)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a JSON value, as the container and the key or index."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _edit(stored: dict[str, Any], trial: Trial) -> None:
    """One value, or two, replaced, taken away, or written over by another of the file's."""
    for _ in range(trial.one((1, 1, 1, 2))):
        places = list(_places(stored))
        within, key = trial.one(places)
        how = trial.one(("odd", "odd", "other", "gone", "near"))
        before = within[key]
        if how == "gone":
            del within[key]
        elif how == "other":
            other, at = trial.one(places)
            within[key] = json.loads(json.dumps(other[at]))
        elif how == "near" and isinstance(before, int | float):
            within[key] = trial.one(
                (before + 1, -before, float(before), str(before), [before], bool(before), before * 10)
            )
        else:
            within[key] = trial.one(ODD)
        trial.say(f"{key!r}: {before!r} -> {within[key]!r}"[:400] if how != "gone" else f"{key!r} gone")


def _edit_tensors(path: Path, trial: Trial) -> str:
    """One tensor of another type, shape or value; gives the checksum that fits."""
    tensors = load(path.read_bytes())
    name = trial.one(sorted(tensors))
    changes: dict[str, Callable[[Tensor], Tensor]] = {
        "bfloat16": lambda t: t.bfloat16(),
        "float64": lambda t: t.double(),
        "int64": lambda t: t.long(),
        "bool": lambda t: t.bool(),
        "complex": lambda t: t.to(torch.complex64),
        "flat": lambda t: t.flatten(),
        "one more axis": lambda t: t[None],
        "a row less": lambda t: t[1:] if t.ndim else t,
        "empty": lambda t: t.flatten()[:0],
        "a scalar": lambda t: t.flatten()[0] if t.numel() else t,
        "NaN": lambda t: t * torch.nan,
        "huge": lambda t: t.double() * 1e300,
    }
    how = trial.one(sorted(changes))
    trial.say(f"tensor {name} {list(tensors[name].shape)} becomes {how}")
    tensors[name] = changes[how](tensors[name]).contiguous()
    write = save({k: t.clone() for k, t in tensors.items()})
    path.write_bytes(write)
    from hashlib import sha256

    return sha256(write).hexdigest()


# -- single files --------------------------------------------------------------------------------------------


def _prediction(trial: Trial) -> None:
    original = written() / f"prediction{trial.whole(0, 1)}"
    path, data = trial.folder / "p", original.read_bytes()
    if trial.chance(0.5):
        path.write_bytes(spoilt(data, trial))
        if _saved(sb.Predictive.load(path), trial) != data:
            raise Wrong("a damaged prediction is read as another")
        return
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    told = json.loads(header["__metadata__"]["predictive"])
    _edit(told, trial)
    header["__metadata__"]["predictive"] = json.dumps(told)
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + data[8 + length :])
    loaded = sb.Predictive.load(path)
    _saved(loaded, trial)
    loaded.to_pandas()
    repr(loaded)


def _saved(prediction: sb.Predictive, trial: Trial) -> bytes:
    prediction.save(trial.folder / "again")
    return (trial.folder / "again").read_bytes()


def _checkpoint(trial: Trial) -> None:
    original = written() / f"checkpoints{trial.whole(0, 1)}" / "last.ckpt"
    path = trial.folder / "last.ckpt"
    path.write_bytes(spoilt(original.read_bytes(), trial))
    trial.say(f"checkpoint {original.parent.name}")
    whole = torch.load(original, weights_only=True)["state_dict"]
    learner = nn.Module()
    learner.model = load_run(written() / original.parent.name.replace("checkpoints", "run")).fitted.model
    check_checkpoint(path, learner)
    read = torch.load(path, weights_only=True)["state_dict"]
    if any(not torch.equal(whole[name], read[name]) for name in learner.state_dict()):
        raise Wrong("a damaged checkpoint is read as another")


def _results(trial: Trial) -> None:
    files = sorted((Path(__file__).parents[1] / "results").glob("*.json"), key=lambda file: file.stat().st_size)
    path = trial.folder / "r.json"
    stored = json.loads(trial.one(files[:3]).read_text("utf-8"))
    data = results_text(stored).encode()
    path.write_bytes(spoilt(data, trial))
    read_results(path)


def _config(trial: Trial) -> None:
    """A damaged configuration: read, or one line that says what is wrong, and exit code 2."""
    text = CONFIG.encode()
    bombs = (
        "a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
        "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\nhidden: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\n",
        "[" * 5000,
        "hidden: " + "[" * 3000 + "]" * 3000,
        "!!python/object/apply:os.getcwd []",
        "seed: !!binary aGVq\n",
        "? [a, b]\n: c\n",
        "1: 2\n",
        "- a\n",
        "null\n",
        "--- a\n--- b\n",
        "config: config.yaml\n",
    )
    if trial.chance(0.2):
        text = trial.one(bombs).encode()
    elif trial.chance(0.5):
        lines = list[str](CONFIG.splitlines())
        at = trial.whole(0, len(lines) - 1)
        lines[at] = f"{lines[at].partition(':')[0]}: {json.dumps(trial.one(ODD))}"
        text = "\n".join(lines).encode()
    else:
        text = spoilt(text, trial)
    path = trial.folder / "config.yaml"
    path.write_bytes(text)
    trial.say(f"spikebayes fit --config {path.name} --print_config, with {text[:600]!r}")
    before = os.getcwd()
    os.chdir(trial.folder)
    try:
        with redirect_stderr(io.StringIO()) as said:
            code = cli.main(["fit", "--config", str(path), "--print_config"])
    finally:
        os.chdir(before)
    if code not in (0, 2):
        raise Wrong(f"exit code: {code} for a configuration: {said.getvalue()}")
    if code and said.getvalue().count("\n") != 1:
        raise Wrong(f"a configuration is not refused in one line: {said.getvalue()!r}")
