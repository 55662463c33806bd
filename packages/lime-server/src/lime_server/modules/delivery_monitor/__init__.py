"""What an owner sees of events on their way to a site, and may do about them."""
