"""Formats of single values, not of files: numbers and dates as people write them in text."""
