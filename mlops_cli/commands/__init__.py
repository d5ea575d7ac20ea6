"""One file, one command: flags, help, one call, print."""
