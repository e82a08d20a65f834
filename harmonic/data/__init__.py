"""The packaged tables; where they come from: PROVENANCE.md."""
