"""Several processes as one proxy: the first owns what must be one, the workers ask it (docs/architecture.rst)."""
