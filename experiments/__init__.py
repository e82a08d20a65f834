"""Programs that run, collect and report experiments; the only place that knows Hydra."""
