"""A stored network comes back as it was, and a damaged one is refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules import Net, Net2, act, conv_stack, dense
from spikebayes.conversion.convert import convert
from spikebayes.errors import ConfigError, StoreError
from spikebayes.machine.checked_files import read_json, read_tensors, write_json, write_tensors
from spikebayes.network.codes import Graded
from spikebayes.network.discrete import IF, DiscreteLIF
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import Sign, Threshold
from spikebayes.network.noise import BlankOut, Dropout, Gaussian, Law
from spikebayes.network.operators import Chain, Dense, Operator, Pick, Reshape, Scale, SumPool
from spikebayes.network.store import DESCRIPTION, FORMAT, TENSORS, load_network, save_network
from spikebayes.network.synapses import Alpha, Lowpass
from spikebayes.network.vocabulary import VOCABULARY
from spikebayes.nn import BlankOutConv2d, SigmoidSign, Step
from spikebayes.nn.encoders import BernoulliSpikes
from spikebayes.nn.zoo import s2m
from spikebayes.prediction.simulate import simulate


def small() -> SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(dense(4, 6), nn.Dropout(0.5), nn.Linear(6, 5), nn.BatchNorm1d(5), act(), nn.Linear(5, 2))
    return convert(model, torch.zeros(1, 4))


def images() -> SpikingNetwork:
    """Every operator that convert can make."""
    torch.manual_seed(0)

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.drop(m.stack(x))
        pooled = m.pool(h) + m.adaptive(h)[:, :, ::2]
        turned = (pooled.transpose(1, 2)[:, :, 1:3] / 3).flip(1) + pooled.sum(1, keepdim=True)[..., :2, :]
        return m.head(torch.cat([turned.flatten(1), h.flatten(1)], 1))

    layers = {"pool": nn.AvgPool2d(2), "adaptive": nn.AdaptiveAvgPool2d((None, 2)), "drop": nn.Dropout2d(0.5)}
    model = Net(forward, stack=conv_stack(), head=nn.Linear(72, 2), **layers)
    return convert(model, torch.zeros(1, 3, 8, 8))


def towers() -> SpikingNetwork:
    torch.manual_seed(0)
    tower = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 6), act(), nn.Dropout(0.5))
    model = Net2(lambda m, x, y: m.head(torch.cat([m.tower(x), m.tower(y)], 1)), tower=tower, head=nn.Linear(12, 2))
    return convert(model, [torch.zeros(1, 4), torch.zeros(1, 4)], synapse=Lowpass(0.01), dt=5e-4)


def stochastic_synapses() -> SpikingNetwork:
    """Blank-out, masks that are redrawn, memoryless neurons, and a weight shared by two operators."""
    weight = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    return SpikingNetwork(
        (Input("x", (4,), Dropout(0.25, hold=3, site=5)),),
        (
            Population("a", (4,), Sign(), constant=torch.tensor([0.1, -0.2, 0.3, 0.0])),
            Population("b", (4,), Threshold(0.2)),
        ),
        (
            Connection("x", "a", Dense(weight), blank_out=BlankOut(0.5, torch.linspace(-0.5, 0.5, 4), site=1)),
            Connection("a", "b", Dense(weight), Alpha(0.002), BlankOut(0.75, 0.25, hold=None, site=2)),
            Connection("b", "readout", Scale(torch.tensor(1 / 3))),
            Connection("a", "readout", Chain()),
        ),
        Readout((4,), torch.arange(4.0)),
        dt=1e-3,
    )


def stochastic_units() -> SpikingNetwork:
    torch.manual_seed(0)
    return convert(nn.Sequential(s2m(6, 4, (5, 4), keep=0.75), SigmoidSign(), nn.Linear(4, 2)), torch.zeros(1, 6))


def gaussian_maps() -> SpikingNetwork:
    torch.manual_seed(0)
    layers = [BernoulliSpikes(), BlankOutConv2d(1, 2, 3, padding=1), nn.Dropout(0.5), nn.Flatten(), nn.Linear(50, 2)]
    return convert(nn.Sequential(*layers), torch.zeros(1, 1, 5, 5), sampling=Gaussian())


def law_maps() -> SpikingNetwork:
    torch.manual_seed(0)
    layers = [Step(), nn.Conv2d(1, 2, 3), SigmoidSign(), BlankOutConv2d(2, 2, 2, stride=2), nn.Flatten()]
    return convert(nn.Sequential(*layers, nn.Linear(2, 2)), torch.zeros(1, 1, 5, 5), sampling=Law())


def numbers() -> SpikingNetwork:
    """Every response, a race, a relay, and a residual connection."""
    torch.manual_seed(0)

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4 * 9, 5)
            self.slope, self.out = nn.PReLU(4), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = F.max_pool2d(self.slope(self.a(x)), 2)
            h = h + torch.tanh(self.b(F.dropout2d(h, 0.3)))
            return self.out(F.dropout(F.gelu(self.c(F.dropout(h, 0.2).flatten(1))), 0.5))

    return convert(Residual(), torch.rand(100, 1, 8, 8), code=Graded(8))


def sums() -> SpikingNetwork:
    """What only graphs of NIR make: sums of windows, and neurons in discrete steps."""
    neurons = DiscreteLIF(0.004, tau_syn=0.002, r=4.0), IF(r=torch.tensor([300.0, 500.0]), v_reset=None)
    populations = (Population("a", (1, 4, 4), neurons[0]), Population("b", (2,), neurons[1]))
    pooled = Chain((SumPool((4, 2), (4, 2), (0, 0)), Reshape((2,))))
    wires = Connection("x", "a", Scale(torch.tensor(2.0))), Connection("a", "b", pooled)
    return SpikingNetwork(
        (Input("x", (1, 4, 4)),), populations, (*wires, Connection("b", "readout", Chain())), Readout((2,))
    )


NETWORKS = [small, images, towers, stochastic_synapses, stochastic_units, gaussian_maps, law_maps, sums]
CODED = [numbers]


@pytest.mark.parametrize("make", NETWORKS)
def test_a_network_comes_back_as_it_was(make: Callable[[], SpikingNetwork], tmp_path: Path) -> None:
    network = make()
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    assert repr(loaded) == repr(network)
    arguments = {i.argument: torch.randn(3, *i.shape) for i in network.inputs}
    inputs = tuple(arguments[k] for k in sorted(arguments))
    before, after = (simulate(n, inputs, samples=2, steps=30, probe=["spikes", "trace"]) for n in (network, loaded))
    assert all(torch.equal(spikes, after.spikes[name]) for name, spikes in before.spikes.items())
    assert sum(int(count.sum()) for count in before.counts.values()) > 0
    assert before.trace is not None
    assert after.trace is not None
    assert torch.equal(before.trace, after.trace)


@pytest.mark.parametrize("engine", ["windows", "reference"])
@pytest.mark.parametrize("make", CODED)
def test_a_network_of_numbers_comes_back_as_it_was(
    make: Callable[[], SpikingNetwork], engine: str, tmp_path: Path
) -> None:
    network = make()
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    assert repr(loaded) == repr(network)
    x = torch.rand(3, 1, 8, 8)
    before, after = (simulate(n, x, samples=3, probe=["numbers"], engine=engine) for n in (network, loaded))
    assert all(torch.equal(numbers, after.numbers[name]) for name, numbers in before.numbers.items())
    assert all(int(numbers.abs().sum()) > 0 for numbers in before.numbers.values())
    assert torch.equal(before.mean, after.mean)


def test_these_networks_use_every_operator() -> None:
    used = {
        type(p).__name__
        for make in (*NETWORKS, *CODED)
        for c in make().connections
        for p in (c.operator, *c.operator.parts)
    }
    assert used == {name for name, kind in VOCABULARY.items() if issubclass(kind, Operator)}


def test_how_synapses_are_drawn_comes_back_too(tmp_path: Path) -> None:
    network = gaussian_maps()
    save_network(network, tmp_path)
    (noise,), (loaded,) = (
        [c.blank_out for c in n.connections if c.blank_out] for n in (network, load_network(tmp_path))
    )
    assert (loaded.sampling, loaded.successive, loaded.hold) == (Gaussian(), True, 1)
    assert torch.equal(torch.as_tensor(loaded.scale), torch.as_tensor(noise.scale))


def test_storing_twice_gives_the_same_files(tmp_path: Path) -> None:
    save_network(images(), tmp_path / "a")
    save_network(load_network(tmp_path / "a"), tmp_path / "deep" / "b")
    for name in (DESCRIPTION, TENSORS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "deep" / "b" / name).read_bytes()


def test_what_was_shared_is_stored_once_and_shared_again(tmp_path: Path) -> None:
    save_network(towers(), tmp_path)
    one, other, *_ = load_network(tmp_path).connections
    assert one.source != other.source
    assert one.operator is not other.operator  # a chain for each tower, of the same parts
    assert all(a is b for a, b in zip(one.operator.parts, other.operator.parts, strict=True))
    stored = read_json(tmp_path / DESCRIPTION, FORMAT)
    assert [o["kind"] for o in stored["operators"]].count("Dense") == 2
    assert {"spikebayes", "network", "operators", "tensors_sha256"} == stored.keys()


def test_a_network_in_place_of_another_replaces_it(tmp_path: Path) -> None:
    save_network(images(), tmp_path)
    save_network(small(), tmp_path)
    assert repr(load_network(tmp_path)) == repr(small())
    assert sorted(p.name for p in tmp_path.iterdir()) == [DESCRIPTION, TENSORS]


# -- damage ------------------------------------------------------------------------------------------------


def refusal(folder: Path) -> str:
    with pytest.raises(StoreError) as caught:
        load_network(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def rewritten(folder: Path, edit: Callable[[dict[str, Any]], Any], format: str = FORMAT) -> str:
    """What is said of a description that was edited by someone who also corrected its checksum."""
    save_network(small(), folder)
    stored = read_json(folder / DESCRIPTION, FORMAT)
    edit(stored)
    write_json(folder / DESCRIPTION, stored, format)
    return refusal(folder)


@pytest.mark.parametrize("name", [DESCRIPTION, TENSORS])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    save_network(small(), tmp_path)
    (tmp_path / name).unlink()
    assert refusal(tmp_path) == f"{tmp_path / name} is missing"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == f"{tmp_path / 'none' / DESCRIPTION} is missing"


@pytest.mark.parametrize("name", [DESCRIPTION, TENSORS])
@pytest.mark.parametrize("keep", [0, 1, 0.5, -2])
def test_a_file_cut_short_is_refused(name: str, keep: float, tmp_path: Path) -> None:
    save_network(small(), tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(keep * len(data)) if keep == 0.5 else int(keep)])
    assert str(tmp_path / name) in refusal(tmp_path)


def test_no_bit_of_either_file_can_be_changed(tmp_path: Path) -> None:
    save_network(small(), tmp_path)
    for name in (DESCRIPTION, TENSORS):
        data = (tmp_path / name).read_bytes()
        for position in range(0, len(data), 97):
            flipped = bytearray(data)
            flipped[position] ^= 0x10
            (tmp_path / name).write_bytes(flipped)
            if name == TENSORS or not _same_json(data, flipped):
                refusal(tmp_path)
        (tmp_path / name).write_bytes(data)
    load_network(tmp_path)


def _same_json(one: bytes, other: bytes | bytearray) -> bool:
    """Whether only the spacing changed."""
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    save_network(small(), tmp_path / "a")
    save_network(images(), tmp_path / "b")
    (tmp_path / "b" / TENSORS).replace(tmp_path / "a" / TENSORS)
    assert "its checksum does not fit" in refusal(tmp_path / "a")


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"format": 1}', "not json", "[" * 100_000, "\xff"])
def test_a_description_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    save_network(small(), tmp_path)
    (tmp_path / DESCRIPTION).write_text(text, encoding="latin-1")
    assert str(tmp_path / DESCRIPTION) in refusal(tmp_path)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    message = rewritten(tmp_path, lambda d: None, "spikebayes.network/2")
    assert "has format 'spikebayes.network/2', but 'spikebayes.network/1' is expected" in message
    assert "written by a newer spikebayes, so upgrade" in message
    message = rewritten(tmp_path, lambda d: None, "spikebayes.run/2")
    assert "has format 'spikebayes.run/2'" in message
    assert "upgrade" not in message


EDITS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (
        lambda d: d["operators"][0].update(kind="Unheard"),
        "kind 'Unheard' is unknown; upgrade spikebayes, or import",
    ),
    (lambda d: d["network"].update(kind="os.system"), "kind 'os.system' is unknown"),
    (lambda d: d.update(network={"kind": "Alpha", "tau": 0.1}), "it describes no network"),
    (lambda d: d.update(network=3), "it describes no network"),
    (lambda d: d.pop("network"), "'network' is missing"),
    (lambda d: d.pop("operators"), "'operators' is missing"),
    (lambda d: d.pop("tensors_sha256"), "its checksum does not fit"),
    (lambda d: d["operators"].pop(), "there is no operator 2 before its use"),
    (lambda d: d["operators"].reverse(), "delivers rows of shape|does not take rows"),
    (
        lambda d: d["operators"][0].update(weight={"tensor": "w"}),
        "the tensor 'w' is missing from network.safetensors",
    ),
    (lambda d: d["operators"][0].pop("weight"), "weight"),
    (lambda d: d["operators"][0].update(weight=[1.0, 2.0]), "is inconsistent"),
    (lambda d: d["network"].update(dt=-1), "dt must be a positive number of seconds; got -1"),
    (lambda d: d["network"].update(dt="fast"), "is inconsistent"),
    (lambda d: d["network"].update(unheard=1), "unheard"),
    (lambda d: d["network"]["inputs"][0].update(shape=[5]), r"does not take rows of shape \[5\]"),
    (lambda d: d["network"]["populations"][0].update(shape=[7]), r"has shape \[6\]; expected \[7\]"),
    (lambda d: d["network"]["populations"][0]["neuron"].update(tau_rc=0), "tau_rc must be a positive number"),
    (lambda d: d["network"]["populations"][0]["dropout"].update(p=2), r"must lie in \[0, 1\)"),
    (lambda d: d["network"]["connections"][0].update(operator={"operator": -1}), "there is no operator -1"),
    (lambda d: d["network"]["connections"][0].update(target="input_1"), "does not point forward"),
    (
        lambda d: d["network"]["connections"][0].update(synapse=1.5),
        "'synapse' of Connection must be a Synapse or None; got",
    ),
    (lambda d: d["network"]["connections"][0].update(synapse=d["network"]["inputs"][0]), "'synapse' of Connection"),
    (lambda d: d["network"]["connections"][0].update(source=3), "'source' of Connection must be text; got 3"),
    (
        lambda d: d["network"]["connections"][0].update(blank_out=True),
        "'blank_out' of Connection must be a BlankOut or",
    ),
    (
        lambda d: d["network"]["populations"][0].update(dropout=1),
        "'dropout' of Population must be a Dropout or None; got 1",
    ),
    (
        lambda d: d["network"]["populations"][0].update(neuron=None),
        "'neuron' of Population must be a Neuron; got None",
    ),
    (
        lambda d: d["network"]["populations"][0].update(constant=[0.0] * 6),
        "'constant' of Population must be a finite",
    ),
    (
        lambda d: d["network"]["populations"][0]["neuron"].update(gain="30"),
        "'gain' of LIF must be a number; got '30'",
    ),
    (
        lambda d: d["network"]["populations"][0]["dropout"].update(p=False),
        "'p' of Dropout must be a number; got False",
    ),
    (
        lambda d: d["network"]["populations"][0]["dropout"].update(hold=2.5),
        "'hold' of Dropout must be a whole number or None",
    ),
    (
        lambda d: d["network"]["populations"][0]["dropout"].update(successive=1),
        "'successive' of Dropout must be True or False",
    ),
    (lambda d: d["network"]["inputs"][0].update(argument=0.5), "'argument' of Input must be a whole number; got 0.5"),
    (lambda d: d["network"]["inputs"][0].update(argument=1), r"must read the arguments 0, 1, .*; they read \[1\]"),
    (
        lambda d: d["network"]["inputs"][0].update(shape=[4.0]),
        r"'shape' of Input must be a list, each of it a whole number; got",
    ),
    (
        lambda d: d["network"].update(readout=d["network"]["inputs"][0]),
        "'readout' of SpikingNetwork must be a Readout",
    ),
    (lambda d: d["network"].update(inputs=d["network"]["readout"]), "'inputs' of SpikingNetwork must be a list"),
    (lambda d: d["operators"][0].update(weight=0.5), "'weight' of Dense must be a finite tensor of .*; got 0.5"),
]


@pytest.mark.parametrize(("edit", "message"), EDITS)
def test_a_description_that_does_not_add_up_is_refused(
    edit: Callable[[dict[str, Any]], Any], message: str, tmp_path: Path
) -> None:
    assert re.search(message, rewritten(tmp_path, edit))


def test_tensors_of_other_shapes_are_refused(tmp_path: Path) -> None:
    save_network(small(), tmp_path)
    stored = read_json(tmp_path / DESCRIPTION, FORMAT)
    tensors = read_tensors(tmp_path / TENSORS, stored["tensors_sha256"])
    tensors["operators.0.weight"] = tensors["operators.0.weight"][:, :3]
    stored["tensors_sha256"] = write_tensors(tmp_path / TENSORS, tensors)
    write_json(tmp_path / DESCRIPTION, stored, FORMAT)
    assert "does not take rows of shape [4]" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["operators.0.weight", "populations.0.constant", "readout.constant"])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda t: t.bfloat16(), "torch.bfloat16"),
        (lambda t: t.half(), "torch.float16"),
        (lambda t: t.cfloat(), "torch.complex64"),
        (lambda t: t.int(), "torch.int32"),
        (lambda t: t > 0, "torch.bool"),
        (lambda t: t.clone().fill_(torch.nan), "NaN or infinite"),
        (lambda t: t.clone().fill_(-torch.inf), "NaN or infinite"),
        (lambda t: t[None], "shape|does not take"),
        (lambda t: t[:0], "shape|does not take|deliver"),
    ],
)
def test_tensors_of_other_types_are_refused(
    name: str, change: Callable[[Tensor], Tensor], found: str, tmp_path: Path
) -> None:
    save_network(small(), tmp_path)
    stored = read_json(tmp_path / DESCRIPTION, FORMAT)
    tensors = read_tensors(tmp_path / TENSORS, stored["tensors_sha256"])
    tensors[name] = change(tensors[name])
    stored["tensors_sha256"] = write_tensors(tmp_path / TENSORS, tensors)
    write_json(tmp_path / DESCRIPTION, stored, FORMAT)
    assert re.search(found, refusal(tmp_path))


def test_numbers_of_units_are_whole(tmp_path: Path) -> None:
    network = SpikingNetwork(
        (Input("x", (3,)),), (), (Connection("x", "readout", Pick(1, torch.tensor([2, 0]))),), Readout((2,))
    )
    save_network(network, tmp_path)
    stored = read_json(tmp_path / DESCRIPTION, FORMAT)
    for wrong in (torch.tensor([2.0, 0.0]), torch.tensor([2, 0], dtype=torch.int32), torch.tensor([5, 0])):
        stored["tensors_sha256"] = write_tensors(tmp_path / TENSORS, {"operators.0.index": wrong})
        write_json(tmp_path / DESCRIPTION, stored, FORMAT)
        assert re.search("'index' of Pick must be a tensor of torch.int64|does not take rows", refusal(tmp_path))


# -- what cannot be written --------------------------------------------------------------------------------


class Foreign(Operator):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("operator", [Foreign(), Chain((Foreign(),))])
def test_a_foreign_operator_is_refused_before_anything_is_written(operator: Operator, tmp_path: Path) -> None:
    network = SpikingNetwork((Input("x", (4,)),), (), (Connection("x", "readout", operator),), Readout((4,)))
    with pytest.raises(StoreError, match=r"Foreign cannot be stored: .*; register its class"):
        save_network(network, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("weight", [torch.zeros(4, 4).bfloat16(), torch.full((4, 4), torch.nan)])
def test_what_could_not_be_read_is_not_written(weight: Tensor, tmp_path: Path) -> None:
    inputs = (Input("x", (4,)),)
    network = SpikingNetwork(inputs, (), (Connection("x", "readout", Dense(weight)),), Readout((4,)))
    with pytest.raises(StoreError, match="'weight' of Dense must be a finite tensor of"):
        save_network(network, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write into"):
        save_network(small(), tmp_path / "file")
