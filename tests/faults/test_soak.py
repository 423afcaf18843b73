"""The short form of bench/soak.py: seconds instead of minutes, and the same demands."""

from bench.soak import soak


def test_a_short_soak_with_a_kill_loses_nothing_and_leaves_nothing(tmp_path):
    figures = soak(tmp_path, seconds=8, kill_every=4)
    assert figures["broken"] == []
    assert figures["strays"] == []
    assert figures["kills"] >= 1
    assert figures["jobs"] > 0
    assert figures["after"]["threads"] <= figures["before"]["threads"]
    assert (
        figures["after"]["descriptors"] <= figures["before"]["descriptors"] + 5
    )  # idle connections of the pool
