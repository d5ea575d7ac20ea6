"""One file, one drift test."""
