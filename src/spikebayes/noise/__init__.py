"""Random bits as a function of (seed, sample, site, row), and the masks, synapses and units made of them."""
