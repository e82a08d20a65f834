"""CTAB-GAN+."""
