"""The version of the package, for what is written to files."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
