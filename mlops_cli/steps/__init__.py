"""The library: paths and structs in, a result struct out; it never prints and never exits."""
