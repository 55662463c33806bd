"""The console of those who run this office."""
