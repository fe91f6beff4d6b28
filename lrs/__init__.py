"""A lightweight Learning Record Store."""

__version__ = "0.2.0"
