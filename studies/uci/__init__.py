"""The UCI benchmark of MC dropout by spikes: published splits and protocol, published figures beside ours."""
