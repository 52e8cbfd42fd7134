"""Compiled: orders of rows."""
