"""What an identity, a key and a passport are. Standard library only."""
