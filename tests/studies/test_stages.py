"""Stages that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spikebayes.errors import ConfigError, StoreError
from studies.stages import Stages


def test_a_stage_that_failed_is_run_again_and_those_before_it_are_not(tmp_path: Path) -> None:
    ran: list[str] = []

    def study(stages: Stages, fails: bool) -> Any:
        def first() -> dict[str, Any]:
            ran.append("first")
            return {"value": (1, 2)}

        def second() -> dict[str, Any]:
            ran.append("second")
            if fails:
                raise KeyboardInterrupt
            return {"value": stages.figures["first"]["result"]["value"]}

        stages.run("first", first)
        return stages.run("second", second)

    with pytest.raises(KeyboardInterrupt):
        study(Stages(tmp_path, {"seed": 1}, "a"), fails=True)
    stages = Stages(tmp_path, {"seed": 1}, "b")
    assert study(stages, fails=False) == {"value": [1, 2]}
    assert ran == ["first", "second", "second"]
    assert stages.commits() == ["a", "b"]
    assert list(stages.seconds()) == ["first", "second"]


def test_other_settings_keep_stages_of_their_own(tmp_path: Path) -> None:
    for seed in (0, 1, 0):
        result = Stages(tmp_path, {"seed": seed}, None).run("stage", lambda seed=seed: {"seed": seed})
        assert result == {"seed": seed}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    stages = Stages(tmp_path, {}, None)
    stages.run("a", dict)
    with pytest.raises(ConfigError, match="two stages named 'a'"):
        stages.run("a", dict)


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"seconds": 1}'])
def test_a_torn_stage_is_named(tmp_path: Path, torn: str) -> None:
    stages = Stages(tmp_path, {}, None)
    (stages.folder / "a.json").write_text(torn)
    with pytest.raises(StoreError, match=r"a\.json is torn .* delete it to run the stage again"):
        stages.run("a", dict)
