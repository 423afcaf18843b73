"""A real process is killed, or meets a fault, at each place in turn; then it comes back and the invariants are held.

By default each named place gets each kind of end once. EXPORTER_TEST_EVERY_HIT=1 goes through every single hit
of a life: for n = 1, 2, … until a run is clean.
"""

import os
import re
from itertools import count
from pathlib import Path

import pytest

import exporter
from tests.faults.invariants import check
from tests.faults.lives import BUCKET_PLACES, FAULTS, PART_PLACES, Plan, live, trace

EVERY_HIT = os.environ.get("EXPORTER_TEST_EVERY_HIT") == "1"
REACH = re.compile(r'\breach\("(\w+)"\)')
SOURCE = Path(exporter.__file__).parent
PLACES = sorted({place for path in SOURCE.rglob("*.py") for place in REACH.findall(path.read_text("utf-8"))})
UNMET = {"beat", "before_take_over", "after_take_over", "before_release_stuck"}
ELSEWHERE = UNMET | BUCKET_PLACES | PART_PLACES
IN_A_LIFE = [p for p in PLACES if p not in ELSEWHERE]
WHEN_IT_COMES_BACK = ["before_take_over", "after_take_over", "after_claim", "batch", "after_complete"]
KILLED = -9


def come_back(folder, cradle):
    """Come back, be clean, and hold all promises."""
    code = live(folder, "recover")
    assert code == 0, (folder / "stderr").read_text()
    check(folder, cradle[1])


def meet(folder, plan):
    code = live(folder, "everything", plan)
    assert code == (KILLED if plan.what == "kill" else 0), (folder / "stderr").read_text()


def test_a_life_without_a_fault_reaches_every_place(born, cradle):
    folder = born()
    assert live(folder, "everything") == 0, (folder / "stderr").read_text()
    assert set(IN_A_LIFE) <= set(trace(folder))
    come_back(folder, cradle)


@pytest.mark.parametrize("place", IN_A_LIFE)
def test_a_server_killed_at_any_place_comes_back_whole(born, cradle, place):
    folder = born()
    meet(folder, Plan(what="kill", place=place))
    assert trace(folder)[-1] == place or place in trace(folder)
    come_back(folder, cradle)


@pytest.mark.parametrize("place", IN_A_LIFE)
def test_a_fault_at_any_place_leaves_the_server_whole(born, cradle, place):
    """The kinds of fault take turns over the places; the full loop brings each kind to each hit."""
    kinds = list(FAULTS)
    folder = born()
    meet(folder, Plan(what=kinds[IN_A_LIFE.index(place) % len(kinds)], place=place))
    come_back(folder, cradle)


@pytest.mark.parametrize("place", WHEN_IT_COMES_BACK)
def test_a_server_killed_again_while_it_recovers_comes_back_whole(born, cradle, place):
    folder = born()
    meet(folder, Plan(what="kill", place="before_complete"))
    assert live(folder, "recover", Plan(what="kill", place=place)) == KILLED
    come_back(folder, cradle)


def test_a_job_that_kills_its_process_each_time_fails_in_the_end_and_the_server_stays_up(born, cradle):
    folder = born()
    meet(folder, Plan(what="kill", place="batch"))
    for _ in range(2):
        assert live(folder, "recover", Plan(what="kill", place="batch")) == KILLED
    come_back(folder, cradle)
    outcomes = rows(
        folder,
        "SELECT outcome, a.error_code FROM attempts a JOIN jobs j ON j.id = job_id WHERE j.attempt = 3",
    )
    assert outcomes == [("worker_lost", "worker_lost")] * 3
    assert rows(folder, "SELECT status, error_code FROM jobs WHERE attempt = 3") == [
        ("failed", "worker_lost")
    ]


@pytest.mark.skipif(not EVERY_HIT, reason="the full loop takes minutes: EXPORTER_TEST_EVERY_HIT=1")
@pytest.mark.parametrize("what", ["kill", *FAULTS])
def test_every_single_hit(born, cradle, what):
    for n in count(1):
        folder = born()
        code = live(folder, "everything", Plan(what=what, at=n))
        clean = len(trace(folder)) < n
        assert code in ({0, KILLED} if what == "kill" else {0}), (folder / "stderr").read_text()
        come_back(folder, cradle)
        if clean:
            print(f"{what}: {n - 1} places, {n} runs")  # noqa: T201 - these figures are asked for
            break


def rows(folder, sql):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "instance" / "exporter.sqlite3")) as connection:
        return connection.execute(sql).fetchall()
