"""Code that runs in other environments: these files do not import harmonic, or each other."""
