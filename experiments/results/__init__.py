"""Results that ship: a comparison's frame, its pictures and its page; see experiments.results.command."""
