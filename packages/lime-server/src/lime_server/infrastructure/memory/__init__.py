"""Small real implementations of every port, for tests and for machines without engines."""
