"""What lies on the disk: graphs, masks that can be checked, and certificates; whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from exported import decisions, dense, spiking
from spikebayes import ConfigError, SpikingNetwork, convert, export, predict
from spikebayes.export import nir_writer
from spikebayes.machine.checked_files import read_json
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys

nir = pytest.importorskip("nir")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def network() -> SpikingNetwork:
    return spiking(*dense())


def test_a_folder_holds_a_graph_for_each_sample_and_the_masks(tmp_path: Path) -> None:
    net, folder = network(), tmp_path / "posterior"
    export.to_nir(net, folder, samples=4, seed=5, row=2, sample=10)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["posterior", "posterior.certificate.json"]
    graphs = sorted(folder.glob("*.nir"))
    assert [p.name for p in graphs] == [f"sample-{s:03d}.nir" for s in range(10, 14)]
    manifest = read_json(folder / "manifest.json", nir_writer.FORMAT)
    assert (manifest["seed"], manifest["row"], manifest["samples"]) == (5, 2, [10, 11, 12, 13])
    assert manifest["sha256"] == {p.name: digest(p) for p in folder.iterdir() if p.name != "manifest.json"}
    masks = load_file(folder / "masks.safetensors")
    for p in net.populations:
        assert p.dropout is not None
        keys = Keys(5, torch.arange(10, 14), torch.full((4,), 2))
        assert torch.equal(masks[p.name], dropout_keep(p.dropout, keys, p.shape[0]))
        assert manifest["sites"][p.name]["site"] == p.dropout.site
    for k, path in enumerate(graphs):  # the read-out hears those that are kept
        weight = nir.read(path).nodes["output_affine"].weight
        assert ((weight != 0).any(0) == masks["layer4"][k].numpy()).all()
    export.to_nir(net, tmp_path / "one.nir", seed=5, row=2, sample=12)
    assert (tmp_path / "one.nir").read_bytes() == graphs[2].read_bytes()
    certificate = read_json(tmp_path / "posterior.certificate.json", "spikebayes.certificate/1")
    assert certificate["sha256"] == manifest["sha256"]


def test_nothing_is_written_over_and_nothing_is_left_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    for name, options in (("a.nir", {}), ("folder", {"samples": 3})):
        export.to_nir(net, tmp_path / name, **options)
        with pytest.raises(ConfigError, match=rf"{name} is there already; .*overwrite=True"):
            export.to_nir(net, tmp_path / name, **options)
        export.to_nir(net, tmp_path / name, seed=1, overwrite=True, **options)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    real = nir_writer._write
    graphs = iter(range(100))

    def stopped(path: Path, graph: Any) -> str:
        if next(graphs) == 1:
            raise KeyboardInterrupt
        return real(path, graph)

    monkeypatch.setattr(nir_writer, "_write", stopped)
    for place in ("folder", "another"):
        graphs = iter(range(100))
        with pytest.raises(KeyboardInterrupt):
            export.to_nir(net, tmp_path / place, samples=3, seed=2, overwrite=True)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert not (tmp_path / "another").exists()


def test_what_others_wrote_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("words")
    with pytest.raises(ConfigError, match="holds files that to_nir did not write"):
        export.to_nir(network(), tmp_path / "mine", overwrite=True)
    export.to_nir(network(), tmp_path / "ours")
    (tmp_path / "ours" / "notes.txt").write_text("words")
    with pytest.raises(ConfigError, match="holds files that to_nir did not write"):
        export.to_nir(network(), tmp_path / "ours", overwrite=True)
    (tmp_path / "a.certificate.json").write_text("{}")
    with pytest.raises(ConfigError, match="is not a certificate written by to_nir"):
        export.to_nir(network(), tmp_path / "a.nir", overwrite=True)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "words"
    with pytest.raises(ConfigError, match="does not exist"):
        export.to_nir(network(), tmp_path / "nowhere" / "a.nir")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "portable"}, r"profile must be one of 'portable-lif', .*did you mean 'portable-lif'"),
        ({"samples": 2}, "one graph, under one mask; for 2 samples give a folder"),
        ({"samples": 0}, "samples must be a whole number, at least 1"),
        ({"row": -1}, "row must be a whole number"),
        ({"seed": -1}, "seed"),
        ({"dt": 0.0}, "dt must be a positive number"),
        ({"x": torch.ones(2, 4)}, "give both model= and x="),
    ],
)
def test_settings_out_of_range(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        export.to_nir(network(), tmp_path / "a.nir", **options)
    assert not list(tmp_path.iterdir())


# -- certificates ------------------------------------------------------------------------------------------


def test_without_a_module_nothing_was_judged(tmp_path: Path) -> None:
    found = export.to_nir(network(), tmp_path / "a.nir")
    written = json.loads((tmp_path / "a.certificate.json").read_text("utf-8"))
    assert found.outcome == written["outcome"] == "not judged"
    assert "Nothing was judged" in written["summary"]
    assert written["effects"] is None
    assert written["sha256"] == {"a.nir": digest(tmp_path / "a.nir")}
    assert written["versions"]["nir"] == nir.version
    assert any("below 0" in what for what in written["differs"])


def test_threshold_units_keep_the_posterior(tmp_path: Path) -> None:
    model, x = decisions()
    found = export.to_nir(convert(model, x), tmp_path / "a.nir", profile="threshold", model=model, x=x)
    written = json.loads((tmp_path / "a.certificate.json").read_text("utf-8"))
    assert found.outcome == written["outcome"] == "kept"
    assert max(written["effects"]["paired_rmse"][0]) < 1e-4  # the same masks, the same decisions
    assert written["settings"]["judge_samples"] == 100
    assert not found.differs


def test_what_is_not_kept_is_said_loudly(tmp_path: Path) -> None:
    model, x = dense()
    net = spiking(model, x)
    with pytest.warns(UserWarning, match=r"a\.nir does not keep the predictive distribution"):
        found = export.to_nir(net, tmp_path / "a.nir", model=model, x=x, judge_samples=40, seed=3)
    written = json.loads((tmp_path / "a.certificate.json").read_text("utf-8"))
    assert found.outcome == written["outcome"] == "not kept"
    assert found.verdict is not None
    assert written["effects"]["pooled_mean_difference"] == pytest.approx(found.verdict.pooled_mean_difference)

    # what was judged is what the file says, under the masks of the network
    noise = {name: p.dropout for p in net.populations if (name := p.name) and p.dropout}
    bare = spiking(dense(p=0.0)[0], x)
    export.to_nir(bare, tmp_path / "bare.nir")
    exported = predict(export.from_nir(tmp_path / "bare.nir", dropout=noise), x, samples=40, seed=3)
    classical = predict(model, x, samples=40, seed=3)
    offset = (exported.samples - classical.samples).square().mean(0).sqrt()
    both = ((exported.samples.var(0) + classical.samples.var(0)) / 2).sqrt()
    assert found.verdict.paired_rmse == pytest.approx((offset / both).numpy(), rel=0.02)


def test_a_folder_that_cannot_take_its_place_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export.to_nir(network(), tmp_path / "folder", samples=2)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    real = os.replace

    def refusing(source: Any, target: Any) -> None:
        if Path(source).name == "made":
            raise PermissionError("in use")
        real(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(PermissionError, match="in use"):
        export.to_nir(network(), tmp_path / "folder", samples=2, seed=1, overwrite=True)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
