"""mlops takes a machine-learning model through its whole life from a shell."""

__version__ = "0.1.0"
