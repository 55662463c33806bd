"""The version, where nothing else needs to be imported for it."""

__version__ = "4.0.0"
