"""The journey of one request, the same on both engines."""
