"""Figures that another process counted."""

import json

from exporter.figures import Figures, Spreads


def test_what_a_process_took_counts_once_among_anothers():
    theirs, ours = Figures(), Figures()
    for figures in (theirs, ours):
        figures.rows.add("csv", by=10)
        figures.attempts.add(0.5, "csv", "completed")
    theirs.failures.add("disk_full")
    told = json.loads(json.dumps(theirs.take()))
    ours.put(told)
    ours.put(theirs.take())
    assert ours.rows.items() == [(("csv",), 20)]
    assert ours.failures.items() == [(("disk_full",), 1)]
    [(labels, spread)] = ours.attempts.items()
    assert (labels, spread.counts, spread.sum) == (("csv", "completed"), (0, *[2] * 7), 1.0)
    assert theirs.attempts.items() == []


def test_a_spread_of_other_bounds_is_left_out():
    theirs, ours = Spreads((1.0,)), Spreads((1.0, 2.0))
    theirs.add(0.5, "csv")
    ours.put(theirs.take())
    assert ours.items() == []
