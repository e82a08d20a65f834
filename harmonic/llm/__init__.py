"""Where a language model comes from: the hub, a folder, a wheel on the package index, or a random draw."""
