"""Workflows that choose."""

import os
from datetime import datetime, timedelta
from typing import List, Optional

from flytekit import conditional, task, workflow

from . import tasks
from .helpers import Color, Shape


@task
def say(word: str) -> str:
    """Says a word."""
    return word


@task
def listing(words: List[str]) -> str:
    """Joins words."""
    return " ".join(words)


@task
def leave_mark(folder: str, name: str) -> None:
    """Leaves a mark, and has no output."""
    open(os.path.join(folder, name), "w").close()


@task
def shape(corners: int) -> Shape:
    """Makes a structured value."""
    return Shape("made", corners, [1.0])


@workflow
def band(n: int) -> str:
    """Compares an integer with constants."""
    return (
        conditional("band")
        .if_(n < 10)
        .then(say(word="small"))
        .elif_((n >= 10) & (n < 100))
        .then(say(word="medium"))
        .else_()
        .then(say(word="large"))
    )


@workflow
def kinds(
    text: str, yes: bool, real: float, when: datetime, span: timedelta, color: Color, other: int, n: int,
    maybe: Optional[int] = None,
) -> str:  # fmt: skip
    """Compares a value of each kind, with constants and with each other; says the first that is odd."""
    return (
        conditional("kinds")
        .if_(text != "yes")
        .then(say(word="text"))
        .elif_(yes.is_false())
        .then(say(word="yes"))
        .elif_((real <= 0.1) | (real > 0.5))
        .then(say(word="real"))
        .elif_(when >= datetime(2025, 1, 1))
        .then(say(word="when"))
        .elif_(span < timedelta(hours=1))
        .then(say(word="span"))
        .elif_(color == Color.GREEN)
        .then(say(word="color"))
        .elif_((n != other) & (n <= other))
        .then(say(word="pair"))
        .elif_(maybe.is_none())
        .then(say(word="maybe"))
        .else_()
        .then(say(word="none is odd"))
    )


@workflow
def positive(n: int) -> int:
    """Fails in words of its own, and what follows never runs."""
    checked = conditional("sign").if_(n > 0).then(tasks.add(a=n, b=0)).else_().fail("n must be positive")
    return tasks.add(a=checked, b=1)


@workflow
def nested(a: int, b: int) -> str:
    """Chooses within a choice."""
    return (
        conditional("outer")
        .if_(a > 0)
        .then(
            conditional("inner")
            .if_(b > 0)
            .then(say(word="both"))
            .elif_(b == 0)
            .then(say(word="first only"))
            .else_()
            .fail("b must not be negative")
        )
        .else_()
        .then(say(word="neither"))
    )


@workflow
def doubled(n: int) -> int:
    """Is what a case runs."""
    return tasks.add(a=tasks.add(a=n, b=0), b=n)


@workflow
def through(n: int) -> int:
    """Runs a workflow in one case, and goes on with what it gives."""
    first = tasks.add(a=n, b=1)
    chosen = conditional("through").if_(first > 10).then(doubled(n=first)).else_().then(tasks.add(a=first, b=100))
    return tasks.add(a=chosen, b=1000)


@workflow
def marking(folder: str, n: int) -> None:
    """Chooses between tasks that give nothing."""
    conditional("marking").if_(n == 1).then(leave_mark(folder=folder, name="one")).else_().then(
        leave_mark(folder=folder, name="other")
    )


@workflow
def within(n: int) -> str:
    """Runs a workflow that chooses."""
    first = tasks.add(a=n, b=n)
    return listing(words=[band(n=n), band(n=first)])


@workflow
def fields(corners: int, given: Shape) -> str:
    """Compares parts of structured values: of an input, and of a task's output."""
    made = shape(corners=corners)
    return (
        conditional("fields")
        .if_(made.corners != 4)
        .then(say(word="made"))
        .elif_(given.corners == 300)
        .then(
            conditional("name")
            .if_(given.name == "tri")
            .then(conditional("parent").if_(given.parent.is_none()).then(say(word="orphan")).else_().fail("a parent"))
            .else_()
            .fail("another name")
        )
        .else_()
        .fail("another number of corners")
    )


@workflow
def optional(n: Optional[int] = None) -> str:
    """Asks whether there is a value before it compares it."""
    return (
        conditional("optional")
        .if_(n.is_none() | (n > 3))
        .then(say(word="nothing or much"))
        .else_()
        .then(say(word="little"))
    )


@workflow
def unlucky(n: int, folder: str, good: int) -> int:
    """Fails in one case, and needs several attempts in the other."""
    return conditional("luck").if_(n == 1).then(tasks.fail(text=folder)).else_().then(tasks.flaky(good=good))
