"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Learning:
    """The network and its training.

    A neuron that rises slowly behind its threshold, wide first weights and a wide threshold that narrows: what
    makes the difference is where training begins, since such networks can be the same functions as steep ones.

    Args:
        width: of every hidden layer. dropout: drop probability after each.
        gain, bias, amplitude: of the neurons. spread: of first weights.
        epochs, batch_size, learning_rate: of the training. warming: share of the steps in which the rate rises.
        gamma: first and last width of thresholds. annealing: share of the epochs in which it falls.
        seeds: trainings of the random split; the first is judged on, all tell what a seed is worth.
        validation_rows: rows that choose the weights.
        validation_scored: validation rows whose predictions are scored. scored: test rows; None scores all.
        accuracy_samples: S of each.
        boosting: iterations of the boosted trees.
    """

    width: int = 1000
    dropout: float = 0.1
    gain: float = 3.0
    bias: float = 1.0
    amplitude: float = 1 / 150
    spread: float = 1.2
    epochs: int = 20
    batch_size: int = 1024
    learning_rate: float = 5e-4
    warming: float = 0.2
    gamma: tuple[float, float] = (0.3, 0.001)
    annealing: float = 0.9
    seeds: int = 3
    validation_rows: int = 2000
    validation_scored: int = 5000
    scored: int | None = None
    accuracy_samples: int = 20
    boosting: int = 300


@dataclass(frozen=True)
class Settings:
    """Sizes and budgets.

    Args:
        learning: of the network.
        trace_steps: of figure 3.
        few_rows, few_samples: the protocol of figure 2.
        many_rows, forward_steps: the paper's other protocol.
        large_rows, large_samples: the test that its footnote doubts; by codes.
        larger_rows, larger_samples: the same by neurons that step freely, and by one run, which take longer.
        window_rows, window_samples: of every line of the table over codes.
        scored_samples: of the spiking predictions of all test rows, by codes. scored_rows: by steps.
        decided_rows, decided_samples: of the decisions.
        probe_rows, probe_samples: of every line of the tables over steps, synapses and rates.
        redraw_rows, redraw_samples: of every line of the table over redraws.
        longest: steps of the simulations that the parts of the error are read from.
        energy_rows, energy_samples: of the runs whose events are counted.
    """

    learning: Learning = field(default_factory=Learning)
    trace_steps: int = 300
    few_rows: int = 20
    few_samples: int = 100
    many_rows: int = 100
    forward_steps: int = 20
    large_rows: int = 200
    large_samples: int = 1000
    larger_rows: int = 100
    larger_samples: int = 200
    window_rows: int = 48
    window_samples: int = 30
    scored_samples: int = 5
    scored_rows: int = 2000
    decided_rows: int = 1000
    decided_samples: int = 25
    probe_rows: int = 24
    probe_samples: int = 16
    redraw_rows: int = 24
    redraw_samples: int = 30
    longest: int = 1000
    energy_rows: int = 5
    energy_samples: int = 10


PUBLISHED = Settings()
QUICK = Settings(
    learning=Learning(
        width=60,
        epochs=3,
        seeds=2,
        validation_scored=500,
        scored=500,
        accuracy_samples=4,
        boosting=20,
    ),
    few_rows=10,
    few_samples=20,
    many_rows=10,
    forward_steps=10,
    large_rows=10,
    large_samples=40,
    window_rows=6,
    window_samples=6,
    scored_samples=2,
    scored_rows=50,
    larger_rows=10,
    larger_samples=30,
    decided_rows=40,
    decided_samples=10,
    probe_rows=6,
    probe_samples=6,
    redraw_rows=6,
    redraw_samples=20,
    longest=400,
    energy_rows=2,
    energy_samples=3,
)
