"""What a page tells in prose: where its numbers are, and what patterns find in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

WORDS = "three four five six seven eight nine ten eleven twelve sixteen twenty dozens? hundreds? thousands?"
NUMBER = re.compile(rf"(?<![\w.])\d+(?:,\d{{3}})*(?:\.\d+)?|\b(?:{WORDS.replace(' ', '|')})\b", re.IGNORECASE)
SPAN = re.compile(  # what is no prose within a line
    r"`[^`\n]+`"  # code
    r"|\]\([^)\s]*\)"  # where a link goes
    r"|\{\{.*?\}\}"  # a figure that the site's build fills in
    r"|^:+\{grid\}.*$|^:(?!alt:)[\w-]+:.*$"  # how a directive looks
    r"|\b(?:Nengo|SpikingJelly|snnTorch|Norse|sinabs|MAPIE|Apache)[ -]\d+\.?\d*\b",  # a version
    re.MULTILINE,
)
CITED = re.compile(r"\b[A-Z][\w.]*,?\s(?:19|20)\d\d\b")  # a year behind a name


@dataclass(frozen=True)
class Told:
    """A sentence about results: the groups of a pattern, and what results say should stand there."""

    pages: str  # separated by spaces
    pattern: str  # a blank stands for any white space
    of: Callable[[], tuple[str, ...] | str]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where its figures are."""
        return [found.span(k) for found in spaced(self.pattern).finditer(text) for k in range(1, found.re.groups + 1)]

    def wrong(self, text: str) -> list[str]:
        """What is amiss with a page's text."""
        wanted = self.of()
        wanted = (wanted,) if isinstance(wanted, str) else wanted
        found = [match.groups() for match in spaced(self.pattern).finditer(text)]
        if not found:
            return [f"no sentence like {self.pattern!r}"]
        return [f"{self.pattern!r} tells {one}, results say {wanted}" for one in found if one != wanted]


@dataclass(frozen=True)
class Free:
    """Words with numbers in them that tell no result, and why not."""

    pages: str
    pattern: str
    why: str

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where such words are."""
        return [found.span() for found in spaced(self.pattern).finditer(text)]


def spaced(pattern: str) -> re.Pattern[str]:
    """A pattern that lines may break in."""
    return re.compile(pattern.replace(" ", r"\s+"))


def prose(text: str) -> str:
    """The text with blanks for what is no prose, each character in its place."""
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = line.strip() if line.startswith("```") else ""
        code = mark or fence not in ("", "```{figure}")
        lines.append(" " * len(line) if code else line)
        if mark:
            fence = "" if fence else mark.split("}")[0] + "}" * ("}" in mark)
    kept = "\n".join(lines)
    for pattern in (SPAN, CITED):
        kept = pattern.sub(lambda found: re.sub(r"\S", " ", found[0]), kept)
    return kept


def untraced(text: str, covered: Iterable[tuple[int, int]]) -> list[str]:
    """Numbers in the prose that none of these spans holds, with the words around them."""
    spans = list(covered)
    return [
        " ".join(text[max(0, one.start() - 40) : one.end() + 30].split())
        for one in NUMBER.finditer(prose(text))
        if not any(start <= one.start() and one.end() <= end for start, end in spans)
    ]
