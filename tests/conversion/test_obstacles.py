"""check(): every obstacle of a model at once, where it stands, and its cure."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules import Net, act, dense
from spikebayes import ConfigError, ConversionError, Graded, check, convert

X = torch.zeros(1, 4)


def test_a_model_that_converts_has_none() -> None:
    found = check(dense(4, 6), X)
    assert found.obstacles == ()
    assert not found
    assert str(found) == "Sequential converts: no obstacles"


def test_all_are_found_with_their_lines_and_cures() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = F.gelu(m.a(x))
        h = m.norm(h)
        h = m.body(h)
        h = h.view(-1, 2, 3).amax(1)
        return m.out(h * h)

    model = Net(forward, a=nn.Linear(4, 4), norm=nn.LayerNorm(4), body=dense(4, 6), out=nn.Linear(3, 2))
    found = check(model, X)
    assert [(o.where, o.cure.split(",")[0]) for o in found.obstacles] == [
        ("node 'gelu' (function gelu)", "give code=spikebayes.Graded(8)"),
        ("node 'norm' (LayerNorm, module 'norm')", "use BatchNorm"),
        (
            "node 'amax' (tensor method amax)",
            "over positions use F.adaptive_max_pool1d(x",
        ),
        ("node 'mul' (function mul)", "multiply by fixed tensors only"),
    ]
    assert [re.sub(r":\d+:", ":", o.line) for o in found.obstacles] == [
        "test_obstacles.py: h = F.gelu(m.a(x))",
        "",
        "test_obstacles.py: h = h.view(-1, 2, 3).amax(1)",
        "test_obstacles.py: return m.out(h * h)",
    ]
    assert bool(found)
    lines = str(found).splitlines()
    assert lines[0] == "Net does not convert; obstacles: 4"
    assert max(map(len, lines)) <= 122
    for obstacle in found.obstacles:
        assert obstacle.reason.split()[0] in str(found)
    with pytest.raises(ConversionError, match=r"node 'gelu' \(function gelu\): gelu rises and falls"):
        convert(model, X)


def test_code_that_cannot_be_followed_is_one_and_its_layers_are_others() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.norm(m.relu(m.a(x)))
        return m.out(h) if h.sum() > 0 else h

    model = Net(forward, a=nn.Linear(4, 4), relu=nn.ReLU(), norm=nn.LayerNorm(4), out=nn.Linear(4, 2), s=act())
    branch, *layers = check(model, X).obstacles
    assert branch.where == "Net.forward"
    assert "let it branch on shapes, not on values" in branch.cure
    assert branch.line.endswith("return m.out(h) if h.sum() > 0 else h")
    assert [o.where for o in layers] == ["LayerNorm, module 'norm'"]


def test_behind_a_layer_of_an_unknown_shape_the_others_are_still_found() -> None:
    recurrent = nn.LSTM(4, 3, batch_first=True)
    model = Net(
        lambda m, x: m.out(m.relu(m.r(x[:, None])[0][:, -1])), r=recurrent, relu=nn.LayerNorm(3), out=nn.Linear(3, 1)
    )
    found = [o.where for o in check(model, X).obstacles]
    assert found[0] == "node 'r' (LSTM, module 'r')"
    assert any("relu" in where for where in found[1:])


def test_numbers_and_graph_are_both_looked_at() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 2))
    model[0].weight.data[0, 0] = torch.nan
    assert [o.where for o in check(model, X).obstacles] == ["Sequential", "node '_1' (LayerNorm, module '1')"]


def test_under_another_code_other_activations_convert() -> None:
    relu, gelu = (nn.Sequential(nn.Linear(4, 6), layer, nn.Linear(6, 2)) for layer in (nn.ReLU(), nn.GELU()))
    assert not check(relu, X)
    assert [o.reason for o in check(relu, X, code="lif").obstacles] == ["not linear, or unknown"]
    assert [o.where for o in check(gelu, X).obstacles] == ["node '_1' (GELU, module '1')"]
    assert not check(gelu, X, code=Graded(8))


def test_what_no_graph_shows_is_found_last() -> None:
    model = dense(4, 6)
    model[0].register_forward_hook(lambda m, given, gave: gave + 1)
    (only,) = check(model, X).obstacles
    assert "differs by up to" in only.reason
    assert "module '0' (Linear) has a hook" in only.cure


def test_a_model_is_left_as_it_was() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.body(x) + torch.ones(len(x), 1) * torch.tensor(2.0)

    model = Net(forward, body=dense(4, 6)).train()
    before = set(vars(model)), torch.get_rng_state()
    assert not check(model, X)
    convert(model, X)
    assert set(vars(model)) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert all(m.training for m in model.modules())


@pytest.mark.parametrize("model", ["a name", None, torch.zeros(3), nn.Linear])
def test_what_is_no_module_is_refused(model: Any) -> None:
    for ask in (check, convert):
        with pytest.raises(ConfigError, match="model must be a Module; got"):
            ask(model, X)
