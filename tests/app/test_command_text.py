"""A call as text: what is typed gives the call again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from spikebayes.app.command_text import command_text
from spikebayes.app.commands import compare_run
from spikebayes.app.fit_command import fit_run
from spikebayes.app.options import parsed
from spikebayes.app.verbs import program

ODD = 'it\'s $HOME; rm -rf * "x"\n--out'
CALLS: list[tuple[str, Any, dict[str, Any]]] = [
    ("fit", fit_run, {"data": Path("t.csv"), "target": "y", "out": Path("run")}),
    ("fit", fit_run, {"data": Path(ODD), "target": ODD, "out": Path("a b"), "hidden": [50, 20], "seed": 3}),
    ("fit", fit_run, {"data": Path("-t.csv"), "target": "-y", "out": Path("--run"), "overwrite": True}),
    (
        "fit",
        fit_run,
        {"data": Path("t"), "target": "y", "out": Path("r"), "columns": {"a b": "drop", "é\"'": "levels"}},
    ),
    (
        "fit",
        fit_run,
        {"data": Path("t"), "target": "y", "out": Path("r"), "class_weights": {"no": 1.0, "yes": 5.5}},
    ),
    (
        "fit",
        fit_run,
        {"data": Path("t"), "target": "y", "out": Path("r"), "class_weights": "balanced", "dropout": 0.2},
    ),
    ("compare", compare_run, {"run": Path("run"), "data": Path("t.csv"), "tau": 1e-05, "code": "Digits(4,4)"}),
]


@pytest.mark.parametrize(("verb", "function", "options"), CALLS)
def test_the_command_is_the_call(verb: str, function: Any, options: dict[str, Any]) -> None:
    text = command_text(verb, function, options | {"unknown": 1})
    words = shlex.split(text)
    assert words[:2] == ["spikebayes", verb]
    again = parsed(program(), words[1:])
    assert again is not None
    assert again[0] is function
    assert {name: again[1][name] for name in options} == options


def test_what_is_usual_is_left_out() -> None:
    asked = {"run": Path("run"), "data": Path("t.csv"), "out": Path("report.html"), "samples": 100, "seed": 0}
    assert command_text("compare", compare_run, asked) == "spikebayes compare run --data t.csv"
