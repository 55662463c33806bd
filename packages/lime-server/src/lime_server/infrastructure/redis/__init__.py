"""Redis: a bell and a counter. Nothing in it would be missed."""
