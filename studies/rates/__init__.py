"""How few spikes until the posterior suffers? Networks trained with a growing penalty of what their spikes cost."""
