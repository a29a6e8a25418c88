"""The simulations of the judge: a few runs of small cases, the old rule by hand, and the page against its figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikebayes.evaluate import uniformity
from studies.judge.cases import EQUAL, FAULTS, GROUPS, Case, both, normal
from studies.judge.command import decided, judged, run_judge
from studies.judge.old_rule import UNIFORM, _critical, _furthest_from_uniform, accepted
from studies.judge.page import render

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("case", [case for cases in GROUPS.values() for case in cases], ids=lambda case: case.name)
def test_every_case_makes_two_sides_that_can_be_judged(case: Case) -> None:
    samples, rows = 12, 10
    first, second = (x if x.ndim == 3 else x[..., None] for x in case.make(np.random.default_rng(0), samples, rows))
    assert first.shape == second.shape
    assert first.shape[:2] == (samples, rows)
    if case.classes:
        np.testing.assert_allclose(first.sum(-1), 1)
    assert decided(case, first, second).outcome.value in ("kept", "not kept", "undecided")
    assert accepted(case, first, second, np.random.default_rng(1)) in (True, False)


def test_shares_add_up_and_are_the_same_twice() -> None:
    case = Case("normal", "kept", both(normal))
    line = judged(case, (100, 40), 5, (3,))
    assert line["kept"] + line["not kept"] + line["undecided"] == pytest.approx(1)
    assert line == judged(case, (100, 40), 5, (3,))
    assert judged(case, (5, 5), 3, (0,))["undecided"] == 1
    assert judged(FAULTS[0], (100, 100), 5, (4,))["not kept"] == 1


def test_the_old_rule_is_what_it_was() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 100, 100, 1))
    one = EQUAL[0]
    assert accepted(one, first, second, rng)
    assert not accepted(one, first, 1.2 * second, rng)
    assert not accepted(one, first, second + 0.3, rng)
    for power in (1.0, 1.3, 1.6, 2.0):
        for _ in range(20):
            p = rng.random(30) ** power
            assert (_furthest_from_uniform(p) >= _critical(30)) == (uniformity(p) <= UNIFORM)


@pytest.mark.slow
def test_a_folder_of_its_own_gets_the_page(tmp_path: Path) -> None:
    page = tmp_path / "how-we-judge.md"
    found = run_judge(tmp_path / "judge.json", page, runs=1, progress=False)
    assert render(page.read_text("utf-8"), found) == page.read_text("utf-8")


def test_the_page_shows_its_results() -> None:
    page = (ROOT / "docs" / "how-we-judge.md").read_text("utf-8")
    found = json.loads((ROOT / "results" / "judge.json").read_text("utf-8"))
    assert render(page, found) == page
    assert found["runs"] >= 1000


def test_the_judge_keeps_its_promises_in_the_results() -> None:
    lines = json.loads((ROOT / "results" / "judge.json").read_text("utf-8"))["lines"]
    for line in lines:
        if line["right"] == "kept":
            assert line["not kept"] <= 0.01, line
        if line["right"] == "not kept":
            assert line["kept"] <= 0.05, line
    usual = {line["case"]: line for line in lines if (line["samples"], line["rows"]) == (100, 100)}
    for case in ("normal", "skewed", "two modes", "three values", "five outputs", "five classes", "two classes"):
        assert usual[case]["kept"] >= 0.95, usual[case]
    for case in ("3 % of rows off by 1.5 std", "pairs, 45 % off by .5 std", "pairs, 45 % half the spread"):
        assert usual[case]["not kept"] >= 0.95, usual[case]
    assert usual["output 1 of 5 off by 5 std"]["not kept"] >= 0.95
