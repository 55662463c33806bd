"""One folder per feature. Modules do not import each other."""
