"""What is public does not change unnoticed."""

from __future__ import annotations

from public_face import FACE, changed, face, unnamed


def test_the_public_face_changes_with_the_changelog_alone() -> None:
    differ = changed(FACE.read_text("utf-8").splitlines(), face())
    assert not differ, "name it in CHANGELOG.md under Unreleased, then run: python tests/public_face.py"


def test_a_name_that_the_changelog_does_not_tell_is_found() -> None:
    before = ["spikebayes.fit(model, x, y)", "spikebayes.nn.zoo", "spikebayes.network.LIF.step(self, x)"]
    after = ["spikebayes.fit(model, x, y, z=)", "spikebayes.nn.zoo", "spikebayes.network.LIF.step(self, x, dt)"]
    assert changed(before, after) == {"fit", "LIF"}
    other = changed(["spikebayes.nn.zoo.combo(cell)"], ["spikebayes.data.combo.split_pairs()"])
    assert other == {"combo", "split_pairs"}
    assert unnamed({"fit", "LIF"}, "# C\n\n## Unreleased\n\n- `fit` takes z\n\n## 0.1\n\n- `LIF`\n") == {"LIF"}
