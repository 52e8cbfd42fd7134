"""Dask (optional): many machines compute on the rows, or read and prepare a table together."""
