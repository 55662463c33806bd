"""The LIME passport office: agents, sites, and the passports that travel between them."""

__version__ = "4.0.0"
