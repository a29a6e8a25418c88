"""Progress bars for long work, on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


def track(items: Iterable[T], what: str, show: bool) -> Iterable[T]:
    """The items, with a bar that advances as they are taken when ``show`` is set; their number may be unknown."""
    if not show:
        return items
    return _tracked(items, what)


def _tracked(items: Iterable[T], what: str) -> Iterable[T]:
    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        yield from bar.track(items, description=what)
