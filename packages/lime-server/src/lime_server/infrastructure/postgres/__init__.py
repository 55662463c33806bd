"""The only truth: one database, a schema per room."""
