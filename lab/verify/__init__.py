"""Every interleaving of a few starts, in a model of Step Functions and ECS. `make verify` runs it."""
