"""Which endpoint serves a request: their state, who is eligible, and who is chosen."""
