"""Our own HTTP/1.1, facing clients and facing backends."""
