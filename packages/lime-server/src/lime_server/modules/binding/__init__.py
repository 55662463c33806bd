"""Agent binding: a human links an agent to an account at a site (protocol section 9)."""
