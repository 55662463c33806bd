"""What owners do with their agents (protocol section 7)."""
