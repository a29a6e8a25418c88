"""From torch modules to spiking networks, and what hardware asks of their weights."""
