"""Workflows of the other kinds that are not built yet."""

from datetime import timedelta
from typing import List

from flytekit import LaunchPlan, approve, map_task, sleep, task, wait_for_input, workflow


@task
def one(n: int) -> int:
    """Does next to nothing."""
    return n


@workflow
def mapped(ns: List[int]) -> List[int]:
    """Maps a task over a list."""
    return map_task(one)(n=ns)


@workflow
def approved(n: int) -> int:
    """Waits for a person."""
    return approve(one(n=n), "ok", timeout=timedelta(hours=1))


@workflow
def asked() -> int:
    """Waits for a person's input."""
    return one(n=wait_for_input("n", timeout=timedelta(hours=1), expected_type=int))


@workflow
def slept(n: int) -> int:
    """Sleeps."""
    first = sleep(timedelta(seconds=1))
    second = one(n=n)
    first >> second
    return second


@workflow
def child(n: int) -> int:
    """Is run by another."""
    return one(n=n)


plan = LaunchPlan.get_or_create(workflow=child, name="others.plan")


@workflow
def parent(n: int) -> int:
    """Runs another by its launch plan."""
    return plan(n=n)
