"""Side-by-side measurements: our jobs and the peers' own ways, in fresh processes, on the same data. Not shipped."""
