"""Compiled: columns of numbers, checks of text."""
