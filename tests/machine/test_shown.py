"""What results look like when they are printed: a line or a few sentences, never all their numbers."""

from __future__ import annotations

import torch

import spikebayes as sb

LONG = 200  # characters of a line that nobody reads


def test_results_are_shown_in_a_line_and_said_in_sentences() -> None:
    torch.manual_seed(0)
    x = torch.randn(120, 4)
    fitted = sb.fit(sb.nn.zoo.mlp(4, 1, (20,)), x[:80], x[:80, :1], validation=(x[80:], x[80:, :1]), epochs=2)
    network, rows = fitted.network(), fitted.scaling.inputs(x)
    one, other = sb.predict(fitted.model, rows, samples=10), sb.predict(network, rows, samples=10)
    verdict = sb.compare(one, other)
    run = sb.simulate(network, rows[:3], samples=2, probe=["spikes", "trace"])
    bill = sb.energy(network, rows[:3], samples=2, model=fitted.model)
    for result in (
        verdict,
        run,
        bill,
        one,
        fitted.conformal,
        sb.evaluate.demand(network),
        sb.check(fitted.model, rows),
    ):
        assert len(repr(result)) < LONG, type(result)
        assert "\n" not in repr(result), type(result)
    assert repr(verdict) == f"Equivalence({verdict.outcome}, 120 rows)"
    assert str(verdict) == verdict.summary()
    assert repr(run) == f"Run(2 samples x 3 rows x 1 outputs, {run.engine}, spikes, trace)"
    assert "Loihi" in str(bill)
    assert repr(fitted).splitlines()[0] == "Fitted(regression, constant noise, after 2 epochs)"
    assert len(repr(fitted)) < 600
