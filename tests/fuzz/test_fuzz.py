"""The fuzzer itself: some inputs of each kind are right, some refused, none found; and what is wrong is found."""

from __future__ import annotations

import time
from typing import NoReturn

import pytest

from fuzz import calls, session, tables, trial
from fuzz.__main__ import main
from fuzz.trial import FOUND, KINDS, REFUSED, RIGHT, Trial, attempt
from spikebayes import DataError


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_some_inputs_of_each_kind_are_right_and_none_is_found(kind: str) -> None:
    outcomes = [attempt(kind, 0, index) for index in range(40)]
    assert not [outcome.why for outcome in outcomes if outcome.result == FOUND]
    assert {RIGHT, REFUSED} <= {outcome.result for outcome in outcomes}


def test_the_same_number_gives_the_same_input() -> None:
    assert [attempt("tables", 3, i) for i in range(5)] == [attempt("tables", 3, i) for i in range(5)]


def fails(trial: Trial) -> NoReturn:
    trial.say("a story")
    raise KeyError("gone")


def in_two_lines(trial: Trial) -> NoReturn:
    raise DataError("one\ntwo")


def differs(trial: Trial) -> NoReturn:
    raise trial_wrong


def hangs(trial: Trial) -> None:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


trial_wrong = trial.Wrong("another: 1 for 2")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (fails, "KeyError: 'gone'"),
        (in_two_lines, "refused in no line, or in more than one: DataError: one two"),
        (differs, "Wrong: another: 1 for 2"),
        (hangs, "Hang: still busy after 1 s"),
    ],
)
def test_what_is_wrong_is_found(run: object, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "run", run)
    monkeypatch.setattr(trial, "SECONDS", 1)
    outcome = attempt("tables", 0, 0)
    assert (outcome.result, outcome.why) == (FOUND, why)


def test_a_refusal_and_a_right_answer_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "run", lambda trial: None)
    assert attempt("tables", 0, 0).result == RIGHT

    def refuse(trial: Trial) -> NoReturn:
        raise DataError("no")

    monkeypatch.setattr(tables, "run", refuse)
    assert attempt("tables", 0, 0).result == REFUSED


@pytest.mark.slow
def test_the_command_says_what_became_of_the_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "tables", "--inputs", "20"]) == 0
    assert "tables: 20 inputs" in capsys.readouterr().out
    assert main(["--only", "tables", "--at", "3"]) == 0
    assert "tables 3: " in capsys.readouterr().out


def test_a_number_alone_names_no_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--at", "3"]) == 2


@pytest.mark.slow
def test_an_input_that_ends_its_process_is_found_and_the_next_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    real = session.multiprocessing.get_context("fork")  # which takes the patches along
    monkeypatch.setattr(session.multiprocessing, "get_context", lambda _: real)
    monkeypatch.setattr(session, "attempt", _ends_at_one)
    monkeypatch.setattr(session, "limit_memory", lambda: None)
    tally = session.tried("tables", 0, 4)
    assert dict(tally.outcomes) == {RIGHT: 3, FOUND: 1}
    assert [(index, outcome.why) for index, outcome in tally.findings.values()] == [(1, "ended its process (code 7)")]


def _ends_at_one(kind: str, seed: int, index: int) -> trial.Outcome:
    if index == 1:
        import os

        os._exit(7)
    return trial.Outcome(RIGHT)


def test_every_public_call_has_arguments_that_are_known() -> None:
    for name, function in calls.public().items():
        assert calls.arguments(name, function) is not None
