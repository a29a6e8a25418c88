"""The arguments of a forward while it is traced: tensors for torch's C code, and as many as the signature takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raw_inputs import WAYS
from spikebayes import ConversionError, DataError, check, convert, predict

X, Y = (torch.randn(120, n, generator=torch.Generator().manual_seed(n)) for n in (4, 3))


@pytest.mark.slow  # a process of its own, as faults are segmentation faults
def test_no_way_into_torch_makes_the_process_crash() -> None:
    script = Path(__file__).parents[1] / "raw_inputs.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    said = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    assert done.returncode == 0, f"exit status {done.returncode} after {list(said)[-1:]}: {done.stderr[-2000:]}"
    assert said.keys() == WAYS.keys()
    assert [(name, said[name]) for name, (_, expected) in WAYS.items() if expected not in said[name]] == []


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.d, self.o = nn.Linear(4, 16), nn.Linear(3, 16), nn.Dropout(0.2), nn.Linear(16, 2)

    def body(self, x: Tensor, y: Tensor) -> Tensor:
        return self.o(self.d(torch.relu(self.a(x) + self.b(y))))


class Named(Two):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.body(x, y)


class Any_(Two):
    def forward(self, *xs: Tensor) -> Tensor:
        return self.body(*xs)


class One(Two):
    def forward(self, x: Tensor, *xs: Tensor, scale: float = 1.0, **more: Any) -> Tensor:
        return self.body(x, xs[0]) * scale


class Decorated(Two):
    @torch.no_grad()
    def forward(self, *xs: Tensor) -> Tensor:
        return self.body(*xs)


class Defaults(Two):
    def forward(self, x: Tensor, y: Tensor | None = None, twice: bool = False, z: Tensor | None = None) -> Tensor:
        assert y is not None
        assert z is None
        return self.body(x, y) * (2 if twice else 1)


class Together(Two):
    def forward(self, xs: Any) -> Tensor:
        return self.body(*xs) if isinstance(xs, tuple) else self.body(xs["x"], xs["y"])


class More(Two):
    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        return self.body(x, y) + z


class KeywordOnly(Two):
    def forward(self, x: Tensor, y: Tensor, *, scale: float) -> Tensor:
        return self.body(x, y) * scale


@pytest.mark.parametrize("kind", [Any_, One, Decorated, Defaults])
def test_examples_are_bound_to_the_signature_as_a_call_binds_them(kind: type[Two]) -> None:
    torch.manual_seed(0)
    model, named = kind(), Named()
    named.load_state_dict(model.state_dict())
    assert str(check(model, [X, Y])) == f"{kind.__name__} converts: no obstacles"
    networks = [convert(m, [X, Y]) for m in (model, named)]
    one, other = (predict(n, [X[:5], Y[:5]], samples=5, seed=1).samples for n in networks)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            Together,
            "takes 1 inputs, but 2 example inputs were given; .* tuple or dict, wrap it in one",
        ),
        (More, "takes an argument 'z', but 2 example inputs were given; give one for each"),
        (KeywordOnly, "takes an argument 'scale', but 2 example inputs were given; give it a default"),
    ],
)
def test_a_signature_that_takes_other_arguments_is_the_one_obstacle(kind: type[Two], message: str) -> None:
    with pytest.raises(ConversionError, match=message) as caught:
        convert(kind(), [X, Y])
    assert [str(obstacle) for obstacle in check(kind(), [X, Y]).obstacles] == [str(caught.value)]


@pytest.mark.parametrize("given", [{"x": X, "y": Y}, [{"x": X, "y": Y}], [(X, Y)]], ids=["dict", "a dict", "a tuple"])
def test_several_tensors_in_one_argument_are_refused_with_the_cure(given: Any) -> None:
    with pytest.raises(ConversionError, match="one tuple or dict, wrap it in one that takes each by itself"):
        check(Together(), given)
    with pytest.raises(DataError, match="one tuple or dict, wrap it in one that takes each by itself"):
        predict(Together(), given, samples=3)


def test_a_module_that_takes_a_tuple_is_not_predicted_from_several_and_says_why() -> None:
    with pytest.raises(DataError, match="one tuple or dict, wrap it in one that takes each by itself"):
        predict(Together(), (X, Y), samples=3)
