"""Listeners: they are told events, and never steer."""
