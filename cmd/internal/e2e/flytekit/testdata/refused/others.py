"""Workflows of kinds that are not built yet, and conditionals that are wrong."""

from datetime import timedelta
from typing import List

from flytekit import LaunchPlan, approve, conditional, map_task, sleep, task, wait_for_input, workflow


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


@task
def word(n: int) -> str:
    """Gives something else than the other task."""
    return str(n)


@workflow
def mixed(n: int) -> int:
    """Compares an integer with a string."""
    return conditional("mixed").if_(n == 1).then(one(n=n)).elif_(n == "two").then(one(n=n)).else_().fail("neither")


@workflow
def ordered(yes: bool) -> int:
    """Orders booleans."""
    return conditional("ordered").if_(yes > False).then(one(n=1)).else_().then(one(n=2))


@workflow
def uneven(n: int) -> None:
    """Gives one thing or another."""
    conditional("uneven").if_(n == 1).then(one(n=n)).else_().then(word(n=n))


@workflow
def waits(n: int) -> int:
    """Runs a node of a kind that is not built in one case."""
    return conditional("waits").if_(n == 1).then(plan(n=n)).else_().then(one(n=n))
