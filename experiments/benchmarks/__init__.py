"""Speed and memory against plain reference procedures: `python -m experiments.benchmarks.<name>`."""
