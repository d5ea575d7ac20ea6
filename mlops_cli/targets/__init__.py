"""One file, one deployment target."""
