"""Requests of every kind, made by schemathesis out of ``/openapi.json``."""
