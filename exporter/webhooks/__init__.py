"""Telling other programs how exports ended: whom, and by signed requests that reach nobody else."""
