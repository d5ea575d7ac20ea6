"""One file, one model family."""
