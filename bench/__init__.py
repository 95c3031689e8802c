"""How fast is Olla beside others?  ``make bench`` measures it, and writes ``docs/performance.rst``."""
