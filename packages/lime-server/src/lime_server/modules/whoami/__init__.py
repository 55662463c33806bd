"""Who am I? What a holder of a token may ask about itself (protocol section 7)."""
