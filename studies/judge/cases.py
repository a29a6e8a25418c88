"""Pairs of predictions of which it is known how much they differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]
Sampler = Callable[[np.random.Generator, int, int], Floats]

USUAL = (100, 100)


@dataclass(frozen=True)
class Case:
    """One kind of pair.

    Args:
        name: what it is.
        right: what the judge should say of it with samples enough: "kept", "not kept", or "either" at a margin.
        make: from a generator, S samples and B rows to two sides, ``[S, B]`` or ``[S, B, C]``.
        sizes: budgets (S, B).
        classes: the numbers are class probabilities.
        paired: both sides used the same masks.
        by_row: rows are independent.
    """

    name: str
    right: str
    make: Callable[[np.random.Generator, int, int], Pair]
    sizes: tuple[tuple[int, int], ...] = (USUAL,)
    classes: bool = False
    paired: bool = False
    by_row: bool = True


def normal(rng: np.random.Generator, samples: int, rows: int) -> Floats:
    """Standard normal."""
    return rng.normal(size=(samples, rows))


def skewed(rng: np.random.Generator, samples: int, rows: int) -> Floats:
    """Exponential."""
    return rng.exponential(size=(samples, rows))


def two_modes(rng: np.random.Generator, samples: int, rows: int) -> Floats:
    """Narrow modes at -1 and 1."""
    return rng.choice([-1.0, 1.0], size=(samples, rows)) + 0.2 * rng.normal(size=(samples, rows))


def three_values(rng: np.random.Generator, samples: int, rows: int) -> Floats:
    """0, 1 and 2, equally often."""
    return rng.integers(0, 3, size=(samples, rows)).astype(np.float64)


def several(rng: np.random.Generator, samples: int, rows: int) -> Floats:
    """Five outputs."""
    return rng.normal(size=(samples, rows, 5))


def one_mask(rng: np.random.Generator, samples: int, rows: int) -> Floats:
    """Rows that share 30 % of their variance, as under one mask for all of them."""
    common, own = rng.normal(size=(samples, 1)), rng.normal(size=(samples, rows))
    return np.sqrt(0.3) * common + np.sqrt(0.7) * own


def votes(logits: Floats) -> Floats:
    """Softmax."""
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def class_pair(
    rng: np.random.Generator,
    samples: int,
    rows: int,
    *,
    classes: int = 5,
    scale: float = 2.0,
    shift: float = 0.0,
    sure: float = 1.0,
) -> Pair:
    """Softmax of normal logits about means of each row's own; the second side may be shifted, or more sure."""
    means = scale * rng.normal(size=(rows, classes))
    first, second = means + rng.normal(size=(2, samples, rows, classes))
    second[..., 0] += shift
    return votes(first), votes(sure * second)


def others_swapped(rng: np.random.Generator, samples: int, rows: int) -> Pair:
    """The favourite class has its probability on both sides; another class is second."""

    def side(order: slice) -> Floats:
        favourite = 0.5 + 0.05 * rng.normal(size=(samples, rows, 1)).clip(-3, 3)
        rest = rng.dirichlet([5.0, 0.5, 0.5, 0.5], size=(samples, rows))[..., order]
        return np.concatenate([favourite, (1 - favourite) * rest], -1)

    return side(slice(None)), side(slice(None, None, -1))


def atoms(rng: np.random.Generator, samples: int, rows: int) -> Pair:
    """Gal's setting: a layer of 50 of which mostly nothing is dropped (p = 0.005), so that samples tie."""
    weights = rng.normal(size=(50, rows))
    first, second = (
        (rng.random((samples, rows, 50)) >= 0.005).astype(np.float32) * weights.T.astype(np.float32) for _ in range(2)
    )
    return first.sum(-1).astype(np.float64), second.sum(-1).astype(np.float64)


def constant(rng: np.random.Generator, samples: int, rows: int) -> Pair:
    """Two networks that give one number in every sample, to rounding."""
    value = rng.normal(size=rows)
    return np.tile(value, (samples, 1)), np.tile(value * (1 + 1e-7), (samples, 1))


def both(draw: Sampler) -> Callable[[np.random.Generator, int, int], Pair]:
    """Two sides of one distribution."""
    return lambda rng, samples, rows: (draw(rng, samples, rows), draw(rng, samples, rows))


def differing(
    *,
    share: float = 1.0,
    offset: float = 0.0,
    turns: bool = False,
    spread: float = 1.0,
    output: int | None = None,
    draw: Sampler = normal,
) -> Callable[[np.random.Generator, int, int], Pair]:
    """The second side off by so many standard deviations, or with another spread, on a share of rows.

    Args:
        share: of rows. turns: up on one row, down on the next. output: only this one.
    """

    def make(rng: np.random.Generator, samples: int, rows: int) -> Pair:
        first, second = draw(rng, samples, rows), draw(rng, samples, rows)
        if output is not None:
            second[..., output] = spread * second[..., output] + offset
            return first, second
        chosen = np.arange(rows) < share * rows
        signs = np.where(np.arange(rows) % 2, -1.0, 1.0) if turns else np.ones(rows)
        return first, np.where(chosen, spread, 1.0) * second + offset * chosen * signs

    return make


def pairs(
    *, error: float = 0.05, share: float = 0.0, offset: float = 0.0, spread: float = 1.0
) -> Callable[[np.random.Generator, int, int], Pair]:
    """Sides under the same masks: the second is the first with an error, and a fault on a share of rows."""

    def make(rng: np.random.Generator, samples: int, rows: int) -> Pair:
        first = normal(rng, samples, rows)
        chosen = np.arange(rows) < share * rows
        signs = np.where(np.arange(rows) % 2, -1.0, 1.0)
        second = np.where(chosen, spread, 1.0) * first + error * normal(rng, samples, rows)
        return first, second + offset * chosen * signs

    return make


EQUAL = (
    Case(
        "normal",
        "kept",
        both(normal),
        (
            *((5, 5), (5, 100), (5, 500), (20, 5), (20, 20), (20, 100), (20, 500), (100, 5), (100, 20), (100, 50)),
            *((100, 100), (100, 500), (1000, 5), (1000, 20), (1000, 100)),
        ),
    ),
    Case("skewed", "kept", both(skewed), ((5, 20), (20, 100), (100, 5), USUAL, (200, 100))),
    Case("two modes", "kept", both(two_modes), ((5, 20), (20, 100), (100, 5), USUAL)),
    Case("three values", "kept", both(three_values), ((5, 20), (5, 500), (20, 100), (100, 5), USUAL)),
    Case("atoms (dropout .005)", "kept", atoms, ((5, 20), (20, 100), USUAL, (1000, 20))),
    Case("constant", "kept", constant, ((20, 20), USUAL)),
    Case("five outputs", "kept", both(several), ((5, 20), (20, 100), (100, 5), USUAL)),
    Case("five classes", "kept", class_pair, ((5, 20), (20, 100), (100, 5), USUAL), classes=True),
    Case("two classes", "kept", lambda r, s, b: class_pair(r, s, b, classes=2), (USUAL,), classes=True),
    Case("nearly certain classes", "kept", lambda r, s, b: class_pair(r, s, b, scale=20), (USUAL,), classes=True),
    Case("pairs, error .05 std", "kept", pairs(), ((5, 20), (20, 100), USUAL), paired=True),
    Case("one mask for all rows", "kept", both(one_mask), ((20, 100), USUAL, (1000, 100)), by_row=False),
)

TRIFLES = (
    Case("all rows off by .05 std", "kept", differing(offset=0.05), ((200, 500),)),
    Case("all spreads x 1.02", "kept", differing(spread=1.02), ((200, 500),)),
    Case("1 % of rows off by 5 std", "kept", differing(share=0.01, offset=5.0, turns=True), (USUAL, (400, 100))),
    Case("pairs, error .1 std", "kept", pairs(error=0.1), paired=True),
)

FAULTS = (
    Case("3 % of rows off by 1.5 std", "not kept", differing(share=0.03, offset=1.5, turns=True)),
    Case("pairs, 45 % off by .5 std", "not kept", pairs(share=0.45, offset=0.5), paired=True),
    Case("pairs, 45 % half the spread", "not kept", pairs(share=0.45, spread=0.5), paired=True),
    Case("45 % half the spread", "not kept", differing(share=0.45, spread=0.5)),
    Case("output 1 of 5 off by 5 std", "not kept", differing(offset=5.0, output=1, draw=several)),
    Case("all spreads x .93", "not kept", differing(spread=0.93), (USUAL, (100, 500), (200, 500))),
    Case("all spreads x .85", "not kept", differing(spread=0.85)),
    Case("all rows off by .3 std", "not kept", differing(offset=0.3)),
    Case("3 % of rows constant", "not kept", differing(share=0.03, spread=0.0)),
    Case("classes: one favoured", "not kept", lambda r, s, b: class_pair(r, s, b, shift=0.8), classes=True),
    Case("classes: logits x 1.35", "not kept", lambda r, s, b: class_pair(r, s, b, sure=1.35), classes=True),
    Case("classes: the others swapped", "not kept", others_swapped, classes=True),
    Case(
        "one mask: half the spread",
        "not kept",
        differing(spread=0.5, draw=one_mask),
        (USUAL, (400, 100)),
        by_row=False,
    ),
)

MARGINS = (
    Case("all rows off by .1 std", "either", differing(offset=0.1), (USUAL, (200, 500))),
    Case("all spreads x .95", "either", differing(spread=0.95), (USUAL, (200, 500))),
    Case("3 % of rows off by .5 std", "either", differing(share=0.03, offset=0.5, turns=True), (USUAL, (400, 100))),
    Case("pairs, error .2 std", "either", pairs(error=0.2), paired=True),
)

GROUPS = {"one distribution": EQUAL, "within the margins": TRIFLES, "faults": FAULTS, "at a margin": MARGINS}
