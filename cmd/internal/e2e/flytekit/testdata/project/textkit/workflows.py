"""The workflows and launch plans."""

from datetime import datetime, timedelta
from typing import Dict, List, Optional, Tuple, Union

import pandas as pd
from flytekit import LaunchPlan, Resources, WorkflowFailurePolicy, workflow
from flytekit.core.node_creation import create_node
from flytekit.types.directory import FlyteDirectory
from flytekit.types.error.error import FlyteError
from flytekit.types.file import FlyteFile

from . import tasks
from .helpers import Color, Shape, Tally


@workflow
def which(folder: str, count: int) -> str:
    """Says which code ran."""
    return tasks.edition(folder=folder, count=count)


@workflow
def typed(
    whole: int,
    real: float,
    yes: bool,
    when: datetime,
    span: timedelta,
    color: Color,
    numbers: List[int],
    nested: List[Dict[str, int]],
    table: Dict[str, str],
    shape: Shape,
    either: Union[int, str],
    text: str = "by default",
    maybe: Optional[int] = None,
) -> tasks.Kinds:
    """Takes and gives a value of each kind."""
    return tasks.kinds(
        whole=whole, real=real, yes=yes, text=text, when=when, span=span, color=color, numbers=numbers,
        nested=nested, table=table, shape=shape, either=either, maybe=maybe,
    )  # fmt: skip


@workflow
def parcel(
    file: FlyteFile, folder: FlyteDirectory, tally: Tally, frame: pd.DataFrame
) -> Tuple[FlyteFile, FlyteDirectory, Tally, pd.DataFrame]:
    """Carries things from the client to a task, to another, and back."""
    file, folder, tally, frame = tasks.carry(file=file, folder=folder, tally=tally, frame=frame)
    return tasks.carry(file=file, folder=folder, tally=tally, frame=frame)


@workflow
def failing(text: str) -> int:
    """Fails in its second node."""
    first = tasks.greeting(name=text, times=1)
    return tasks.fail(text=first)


@workflow(on_failure=tasks.sweep)
def careful(folder: str) -> int:
    """Fails, and has a task that cleans up."""
    return tasks.fail(text=folder)


@workflow
def sweeping(folder: str, err: Optional[FlyteError] = None) -> None:
    """Cleans up in two tasks."""
    tasks.nothing(folder=folder)
    tasks.sweep(folder=folder, err=err)


@workflow(on_failure=sweeping)
def thorough(folder: str) -> int:
    """Fails, and has a workflow that cleans up."""
    return tasks.fail(text=folder)


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def patient() -> int:
    """Fails in two ways, and lets what can run do so."""
    tasks.leave(code=3)
    tasks.slow()
    return tasks.add(a=1, b=1)


@workflow
def inner(a: int) -> int:
    """The innermost sub-workflow."""
    return tasks.add(a=a, b=1)


@workflow
def middle(a: int) -> int:
    """A sub-workflow that has one."""
    return inner(a=a)


@workflow
def outer(a: int) -> int:
    """A workflow with sub-workflows, two deep."""
    b = middle(a=a)
    return tasks.add(a=b, b=10).with_overrides(node_name="sum", requests=Resources(cpu="200m", mem="300Mi"), retries=1)


@workflow
def ordered(folder: str) -> int:
    """Orders two tasks that give each other nothing."""
    first, second = create_node(tasks.nothing, folder=folder), create_node(tasks.marks, folder=folder)
    first >> second
    return second.o0


@workflow
def picking(name: str) -> str:
    """Picks parts of a task's output for the next."""
    made = tasks.shapes(name=name)
    return tasks.greeting(name=made[1].notes["full name"], times=made[1].corners)


@workflow
def holding(folder: str) -> int:
    """Runs until it is ended."""
    return tasks.hold(folder=folder)


@workflow
def trying(good: int) -> int:
    """Succeeds after some attempts."""
    return tasks.flaky(good=good)


@workflow
def growing(n: int) -> List[int]:
    """Asks for a dynamic workflow."""
    return tasks.grow(n=n)


@workflow
def greet(name: str, times: int) -> str:
    """Greets by a launch plan with a default and a fixed input."""
    return tasks.greeting(name=name, times=times)


greet_twice = LaunchPlan.get_or_create(
    workflow=greet, name="textkit.greet_twice", default_inputs={"name": "Ada"}, fixed_inputs={"times": 2}
)
