"""The tasks."""

import os
import shutil
import time
from datetime import datetime, timedelta
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

import pandas as pd
from flytekit import Deck, current_context, dynamic, task
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.directory import FlyteDirectory
from flytekit.types.error.error import FlyteError
from flytekit.types.file import FlyteFile

from . import helpers
from .helpers import Color, Shape, Tally


class Kinds(NamedTuple):
    """One output of each kind."""

    whole: int
    real: float
    yes: bool
    text: str
    when: datetime
    span: timedelta
    color: Color
    numbers: List[int]
    nested: List[Dict[str, int]]
    table: Dict[str, str]
    shape: Shape
    maybe: Optional[int]
    either: Union[int, str]


@task
def kinds(
    whole: int,
    real: float,
    yes: bool,
    text: str,
    when: datetime,
    span: timedelta,
    color: Color,
    numbers: List[int],
    nested: List[Dict[str, int]],
    table: Dict[str, str],
    shape: Shape,
    either: Union[int, str],
    maybe: Optional[int] = None,
) -> Kinds:
    """Changes each value a little."""
    return Kinds(
        whole + 1,
        real * 2,
        not yes,
        text + "!",
        when + span,
        span * 2,
        Color.GREEN if color is Color.RED else Color.RED,
        numbers[::-1],
        nested + [{"more": 1}],
        {v: k for k, v in table.items()},
        Shape(shape.name + "s", shape.corners + 1, shape.sides + [0.5], {**shape.notes, "seen": "yes"}, shape.name),
        None if maybe is None else maybe + 1,
        either + "?" if isinstance(either, str) else either + 1,
    )


@task
def edition(folder: str, count: int) -> str:
    """Says which code ran, once so many run side by side."""
    helpers.meet(folder, helpers.EDITION, count)
    return helpers.EDITION


@task
def carry(
    file: FlyteFile, folder: FlyteDirectory, tally: Tally, frame: pd.DataFrame
) -> Tuple[FlyteFile, FlyteDirectory, Tally, pd.DataFrame]:
    """Passes on what is stored outside of literals, with a bit added to each."""
    out = current_context().working_directory
    with open(file) as f:
        text = f.read()
    path = os.path.join(out, "carried.txt")
    with open(path, "w") as f:
        f.write(text + "+")
    target = os.path.join(out, "carried")
    shutil.copytree(folder.download(), target)
    os.makedirs(os.path.join(target, "deep"), exist_ok=True)
    with open(os.path.join(target, "deep", "b.txt"), "a") as f:
        f.write("b")
    with open(os.path.join(target, "a.txt"), "a") as f:
        f.write("+")
    frame = frame.assign(n=frame["n"] + 1)
    return FlyteFile(path), FlyteDirectory(target), tally.add("carried"), frame


@task
def fail(text: str) -> int:
    """Fails for good."""
    if text:
        raise ValueError(f"no luck with {text}")
    return 0


@task
def leave(code: int) -> int:
    """Ends its process without a word to flytekit, unless the code is 0."""
    print("leaving early", flush=True)
    if code:
        os._exit(code)
    return code


@task(timeout=timedelta(seconds=1))
def slow() -> int:
    """Takes longer than it may."""
    time.sleep(600)
    return 0


@task
def size(file: FlyteFile, folder: FlyteDirectory, frame: pd.DataFrame) -> str:
    """Describes what the command line has sent."""
    with open(file) as f:
        return f"{f.read()} {sorted(os.listdir(folder))} {list(frame['n'])}"


@task(retries=2)
def flaky(good: int) -> int:
    """Succeeds in attempt number good, counted from one."""
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"]) + 1
    if attempt < good:
        raise FlyteRecoverableException(f"attempt {attempt} is not good")
    return attempt


@task
def hold(folder: str) -> int:
    """Says its process id and runs until it is ended."""
    with open(os.path.join(folder, "pid.tmp"), "w") as f:
        f.write(str(os.getpid()))
    os.rename(f.name, os.path.join(folder, "pid"))
    helpers.meet(folder, "waiting", 99, seconds=600)
    return 0


@task
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@task(cache=True, cache_version="1", enable_deck=True)
def greeting(name: str, times: int) -> str:
    """Greets, and shows a deck."""
    Deck("greeting", f"<b>{name}</b>")
    return " ".join([f"hello {name}"] * times) + os.environ.get("PUNCTUATION", "")


@task
def nothing(folder: str) -> None:
    """Has no output."""
    helpers.mark(folder, "nothing")


@task
def marks(folder: str) -> int:
    """Counts marks."""
    return len(os.listdir(folder))


@task
def shapes(name: str) -> List[Shape]:
    """Makes structured values to pick from."""
    return [Shape("none"), Shape(name, 2, notes={"full name": name + " Smith"})]


@task
def sweep(folder: str, err: Optional[FlyteError] = None) -> None:
    """Cleans up after a failure, and says which."""
    with open(os.path.join(folder, "swept"), "a") as f:
        f.write(f"{err.failed_node_id}: {err.message}\n" if err else "nothing\n")


@dynamic
def grow(n: int) -> List[int]:
    """Makes a workflow at run time."""
    return [add(a=i, b=i) for i in range(n)]
