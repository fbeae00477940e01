"""Measurements beside the alternatives, as ratios. `make bench` writes docs/benchmarks.md."""
