"""What owners do with their sites (protocol section 7)."""
