"""Benchmarks: `python -m benchmarks [NAME…] [--json] [--quick]`; see docs/benchmarks.md.

They stand apart from the tests and gate nothing: the machine may be shared. Each runs in a fresh
process; every figure states roles, cores and load.
"""
