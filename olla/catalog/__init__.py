"""Which models exist, under which names, and how they are listed."""
