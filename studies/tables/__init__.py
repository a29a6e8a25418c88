"""Public tables as they come: how good and how sure ``spikebayes fit`` is with its defaults, beside simple rivals."""
