"""Speed and memory, compared with plain reference procedures: `python -m experiments.benchmarks.<name>`."""
