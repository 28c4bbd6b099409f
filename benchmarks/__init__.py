"""Benchmarks, run by hand: python -m benchmarks.engine. Their figures are in RESULTS.md."""
