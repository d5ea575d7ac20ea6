"""Scoring protocols: how a request and an answer look on the wire."""
