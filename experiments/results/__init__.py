"""The results of a comparison as files: data, pictures and a page; see experiments.results.command."""
