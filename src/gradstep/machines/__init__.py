"""Many machines: an executor that runs the engine's tasks on a Dask cluster (optional)."""
