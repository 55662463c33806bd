"""Adapters for the ports that the inner rooms declare."""
