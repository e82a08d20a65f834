"""`python -m experiments.results` is the command harmonic-results."""

from experiments.results.command import main

main()
