"""What runs in the other environments: these files import nothing of harmonic, nor of one another."""
