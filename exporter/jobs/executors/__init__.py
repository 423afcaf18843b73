"""Where claimed work runs: threads of this process, or a Dask cluster."""
