"""What README and the pages that people write tell of results is what ``results/*.json`` say.

``TOLD`` finds sentences by patterns and compares their figures with the files; ``CLAIMS`` are sentences without any.
``FREE`` lists numbers that are no results. A number that none of them knows fails: trace it, or say why it is none.
Pages that studies write are made of the files alone (``tests/studies/test_pages.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

import told_by_results as say
from told import NUMBER, Free, Told, prose, spaced, untraced

ROOT = Path(__file__).parents[1]
GUIDE = [f"docs/guide/{path.name}" for path in sorted((ROOT / "docs" / "guide").glob("*.md"))]
BY_HAND = (
    "index",
    "studies",
    "comparison",
    "explanation",
    "architecture",
    "internals",
    "how-to",
    "how-we-judge",
    "install",
)
PAGES = ["README.md", *GUIDE, *(f"docs/{name}.md" for name in BY_HAND)]


def text_of(page: str) -> str:
    """What a person wrote of a page; the rest of how-we-judge.md is made of ``results/judge.json``."""
    return (ROOT / page).read_text("utf-8").split("<!-- simulations: begin -->")[0]


CORE_MINUTES = ("neftci2017", "whetstone2018")
MINUTES = (
    *("posterior", "uci", "tables", "wycoff2019", "growth", "codes", "models", "chips"),
    *("timing", "export", "integers", "rates", "judge"),
)
TOLD = (
    Told("README.md docs/studies.md", r"([\d.]+) million weights", say.million_weights),
    Told("README.md", r"weights, by ([\d,]+) samples each", lambda: say.samples_drawn()[0]),
    Told("README.md", r"windows of ticks \((\d+ bits)\)", say.code_drawn),
    Told("README.md", r"of (\d+) pairs of drugs", say.pairs_drawn),
    Told("docs/internals.md", r"(\d+) do what (\d+) steps do", say.ticks_and_steps),
    Told(
        "README.md docs/index.md", r"Histograms of ([\d,]+) classical and ([\d,]+) spiking samples", say.samples_drawn
    ),
    Told(
        "README.md",
        r"there: ([\d.]+ to [\d.]+) times with 4 digits of radix 4 on wide networks, ([\d.]+ to [\d.]+) times on "
        r"narrow ones; (\d+ to \d+) times with the rates of LIF neurons",
        say.front_joules,
    ),
    Told("README.md", r"Kept in \[(\d+ of \d+) cases\]", lambda: say.kept("paired_kept")),
    Told("README.md docs/studies.md", r"(\w+) UCI sets", lambda: say.count("posterior", "sets")),
    Told("README.md docs/index.md", r"at (\w+) drop probabilities", lambda: say.count("posterior", "dropout")),
    Told("README.md", r"samples are ([\d.]+) standard deviations apart", say.apart),
    Told("README.md", r"Under other masks (\d+ of \d+) are kept, and (\w+) is undecided", say.kept_otherwise),
    Told("README.md", r"on \[(\d+ of \d+) sets\]", say.uci_reached),
    Told("README.md", r"spikes change the log-likelihood by at most ([\d.]+) nats", say.uci_gap),
    Told("README.md", r"\[([\d.]+) to ([\d.]+) times the classical time\]", say.price),
    Told("README.md", r"at an error of ([\d.]+) standard deviations", say.front_price),
    Told("README.md", r"\[(\d+) times as fast as SpikingJelly\]", lambda: say.times_as_fast("spikingjelly")),
    Told("README.md", r"and (\d+) times as fast as Nengo", lambda: say.times_as_fast("nengo")),
    Told("docs/studies.md", r"on (\w+) public tables", say.tables_in_words),
    Told("docs/guide/tables.md", r"On (\d+) public tables, (\d+) splits each", say.tables_and_splits),
    Told(
        "docs/guide/tables.md",
        r"median rank of ([\d.]+) among (\w+) models: ahead of scikit-learn's network \(([\d.]+)\) and boosted trees "
        r"\(([\d.]+)\), behind a random forest \(([\d.]+)\)",
        say.ranked,
    ),
    Told(
        "docs/guide/tables.md",
        r"Its (\d+) % intervals are, by the median, ([\d.]+) times as wide as those of the narrower of two kinds of "
        r"conformal trees, and hold between (\d+) and (\d+) %",
        say.intervals,
    ),
    *(
        Told("docs/studies.md", rf"studies\.{one}` \| (\d+) \|", functools.partial(say.minutes, one))
        for one in MINUTES
    ),
    *(
        Told("docs/studies.md", rf"studies\.{one}` \| (\d+) \|", functools.partial(say.core_minutes, one))
        for one in CORE_MINUTES
    ),
    Told("docs/studies.md", r"`make bench` \| (\d+) \|", lambda: say.minutes("bench")),
    Told("docs/studies.md", r"`python -m benchmarks\.posteriors` \| (\d+) \|", lambda: say.minutes("posteriors")),
    Told("docs/studies.md", r"with two to (\w+) layers", say.most_layers),
    Told("docs/studies.md", r"whole numbers of (\d+), (\d+) and (\d+) bits", say.bits),
    Told("docs/studies.md", r"a test (\d+) times larger", say.larger_test),
    Told("docs/comparison.md", r"codes in windows, (\d+) to (\d+) ticks", say.digit_ticks),
    Told("docs/guide/other-simulators.md", r"there they are kept in (\d+) steps", say.portable_steps),
    Told("docs/internals.md", r"where (\d+) steps are enough to read them, whatever the data", say.portable_steps),
    Told("docs/internals.md", r"of the start after (\d+) ms, ten after (\d+) ms", say.starts_left_out),
)
CLAIMS: tuple[tuple[str, str, Callable[[], bool]], ...] = (
    ("README.md docs/index.md", "with Nengo's very spikes", say.nengo_fires_the_same),
    ("docs/explanation.md", "fires exactly Nengo's spikes in float64", say.nengo_fires_the_same),
    (
        "docs/architecture.md",
        r"fires exactly the spikes of Nengo 4\.1 in float64",
        say.nengo_fires_the_same,
    ),
    ("docs/internals.md", "and Nengo those of the reference engine", say.nengo_fires_the_same),
    ("docs/guide/other-simulators.md", "gives the very spikes of the reference engine", say.nengo_fires_the_same),
    (
        "docs/internals.md",
        "The three simulators fire the spikes of that network in every layer",
        say.importers_fire_the_same,
    ),
    ("README.md docs/index.md", "the one on which the two differ most", say.worst_pair),
    ("README.md", "have a better log-likelihood on most sets", say.uci_tuned_is_ahead),
    ("docs/guide/other-networks.md", "spike by spike the same", say.blocks_change_no_spike),
    ("docs/guide/tables.md", "ahead of scikit-learn's network", say.twin_ranks_between),
    ("docs/internals.md", "hundreds of Hz instead of about 16 Hz", say.low_rates_are_worse),
)
FREE = (
    Free("README.md docs/install.md", r"Python 3\.11 to 3\.14", "versions"),
    Free("README.md", r"in ten lines", "lines of the block below"),
    Free("README.md docs/index.md", r"4 digits of radix 4", "the code's name"),
    Free("docs/studies.md", r"13\.8 in the paper", "the paper's figure"),
    Free("docs/install.md", r"the three above", "rows of the table"),
    Free("docs/guide/any-network.md", r"at least 100 rows", "what convert asks for, as its error says"),
    Free("docs/guide/lif.md", r"outputs x 4 bytes", "the size of a float32"),
    Free("docs/guide/other-networks.md", r"whole numbers of 8 bits", "the default of integers"),
    Free("docs/guide/serving.md", r"under 64 clients", "what the command does"),
    Free(
        "docs/guide/tables.md",
        r"0 done; 2 bad .* left; 1 anything else; 130 Ctrl-C, and 128 plus its number",
        "exit codes",
    ),
    Free("docs/guide/tables.md", r"1,234 or \$5 or 12 %|as in 1,234", "examples of cells"),
    Free("docs/guide/tables.md", r"labels, (?:at most|more than) 20", "a rule of the reader"),
    Free("docs/guide/tables.md", r"gone by; 0 and 1", "what cells become"),
    Free("docs/guide/tables.md", r"UTF-8|labels, 01", "an encoding; an example of a label"),
    Free("docs/guide/tables.md", r"90 % of (?:new observations|the rows)", "the default of --coverage"),
    Free("docs/guide/tables.md", r"among four processes", "what the option before it says"),
    Free("docs/guide/time.md", r"values in \[0, 1\]", "an interval"),
    Free("docs/index.md", r"In ten lines", "lines of the block below"),
    Free("docs/architecture.md", r"exact 8-bit products", "how the code is made"),
    Free("docs/architecture.md", r"Five minutes|five frozen|five errors|Seven decisions", "about the page"),
    Free("docs/internals.md", r"Three things", "about the page"),
    Free("docs/internals.md", r"there are three figures|The three simulators", "counts of what is named beside them"),
    Free("docs/internals.md", r"from 0;|samples 0, 1, 2|products with 0|R - 1|1/\(1 - p\)", "mathematics"),
    Free("docs/internals.md", r"sums of \+-1|what a 1 of|is worth 1 of|numbers being 1", "mathematics"),
    Free("docs/internals.md", r"at sharpness 0 and exactly a step at 1|At 1", "the range of sharpness"),
    Free("docs/internals.md", r"eq\. 3|eight Philox blocks|over 16 targets", "how the code is made"),
    Free("docs/internals.md", r"about 17 bits|as far as 24 bits|have 256 inputs", "how code, or a chip, is made"),
    Free("docs/internals.md", r"amplitude 0\.002, gain 30, bias 4|synapses of 20 ms|leak \(100 ms\)", "defaults"),
    Free("docs/internals.md", r"hundreds of Hz instead of about 16 Hz", "1 over the amplitudes; a claim above"),
    Free("docs/internals.md", r"carry 1 %|the 99 % quantile|100 steps are averaged", "the rule of the burn-in"),
    Free("docs/internals.md", r"start after \d+ ms, ten", "the layers whose figure is traced"),
    Free("docs/internals.md", r"among seven settings", "how the defaults were once picked; no file keeps it"),
    Free("docs/internals.md", r"about five steps", "a rule of thumb for the staircase"),
    Free("docs/how-we-judge.md", r"(?m)^\|.*\|$", "the table of margins, which are arguments"),
    Free("docs/how-we-judge.md", r"one of three words|below 1e-3|; 1e-3 in|of 1e-3|fewer than 20 samples", "rules"),
    Free(
        "docs/how-we-judge.md", r"the middle 90 % of rows|more than ten classes|no more than ten tolerances", "rules"
    ),
    Free("docs/how-we-judge.md", r"k = 2 % of B|\(k\+1\)|k \+ 1|1 - t|n = 0 to k|margin of 0\.5", "rules"),
    Free(
        "docs/how-we-judge.md",
        r"S = 100 samples|error of 0\.14 std: of 100 rows|99 of 100|Near 0 and 1",
        "mathematics",
    ),
    Free("docs/how-we-judge.md", r"alpha / 5|at most [51] %", "levels, which the simulations below try"),
    Free("docs/how-we-judge.md", r"a hundred samples|many hundreds", "an example of a budget"),
)


def covering(page: str, *kinds: tuple[Told | Free, ...]) -> list[tuple[int, int]]:
    return [span for kind in kinds for one in kind if page in one.pages.split() for span in one.spans(text_of(page))]


@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.pattern[:40])
def test_a_told_figure_is_that_of_the_results(told: Told) -> None:
    for page in told.pages.split():
        assert not told.wrong(text_of(page)), page


@pytest.mark.parametrize(("pages", "phrase", "holds"), CLAIMS, ids=[claim[1][:40] for claim in CLAIMS])
def test_a_claim_without_a_figure_holds(pages: str, phrase: str, holds: Callable[[], bool]) -> None:
    for page in pages.split():
        assert spaced(phrase).search(text_of(page)), page
    assert holds()


@pytest.mark.parametrize("page", PAGES)
def test_every_number_is_traced_or_no_result(page: str) -> None:
    assert not untraced(text_of(page), covering(page, TOLD, FREE))


@pytest.mark.parametrize("free", FREE, ids=lambda free: free.pattern[:40])
def test_nothing_is_let_through_that_is_not_there(free: Free) -> None:
    assert free.why
    for page in free.pages.split():
        traced = covering(page, TOLD)
        let = [
            one
            for one in NUMBER.finditer(prose(text_of(page)))
            if any(start <= one.start() and one.end() <= end for start, end in free.spans(text_of(page)))
            and not any(start <= one.start() and one.end() <= end for start, end in traced)
        ]
        assert let, page


def test_the_check_itself() -> None:
    (told,) = (told for told in TOLD if told.pattern.startswith("Kept in"))
    readme = text_of("README.md")
    other = readme.replace(f"Kept in [{told.of()} cases]", "Kept in [19 of 21 cases]")
    assert not told.wrong(readme)
    assert told.wrong(other)[0].endswith(f"tells ('19 of 21',), results say ('{told.of()}',)")
    assert told.wrong(readme.replace("Kept in", "Held in")) == [f"no sentence like {told.pattern!r}"]
    covered = covering("README.md", TOLD, FREE)
    more = untraced(readme + "\nOurs are 7.5 times faster, on\nsixteen of these tables.", covered)
    assert ["7.5 times faster" in more[0], "on sixteen of these" in more[1], len(more)] == [True, True, 2]
    code, figure = "```\n12 lines\n```\n", "```{figure} a-13.svg\n:width: 14%\n:alt: of 15 rows\n\nof 16 more\n```\n"
    line = "`17` [a](b-18.md) by Nengo 4.1 of Xia 2019, {{ n19 }}; of 20\n"
    assert NUMBER.findall(prose(code + figure + line)) == ["15", "16", "20"]
