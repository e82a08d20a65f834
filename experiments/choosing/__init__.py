"""Choose for me: methods tried on one table in a stated time, one of them taken; see experiments.choosing.sweeper."""
