"""What whole numbers of few bits keep of a posterior: LIF, digits and threshold networks with dropout."""
