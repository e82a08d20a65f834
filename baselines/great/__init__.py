"""GReaT."""
