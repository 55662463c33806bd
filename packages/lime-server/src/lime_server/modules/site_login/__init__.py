"""The five steps of a site login, headless from end to end."""
