"""Does the spiking network keep the posterior? Seven UCI regression sets, three drop probabilities each.

For every case one network is trained and sampled four times: classical, classical with another seed (the control),
spiking with a third seed (for the KS tests, which need independent samples) and spiking under the first one's masks
(for the paired error). A second method, the plain one, uses SoftLIF units that fire at the low rates of the earlier
conversions, everything else alike: it shows where the error came from.
"""
