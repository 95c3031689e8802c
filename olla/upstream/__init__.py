"""What we ask of backends: requests, checks and listings."""
