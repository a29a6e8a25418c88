"""What other simulators make of networks that were exported: spikes, read-outs and time, by importer and profile."""
