"""What tasks learn of their execution, and how they end."""

import os
import sys
from typing import Dict, List, NamedTuple, Optional

from flytekit import ContainerTask, Labels, LaunchPlan, Resources, current_context, kwtypes, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException

Halves = NamedTuple("Halves", first=str, second=str)


@task
def surroundings(names: List[str]) -> Dict[str, str]:
    """Says what is in the environment and what flytekit knows of it."""
    context = current_context()
    found = {name: os.environ.get(name, "") for name in names}
    return {
        **found,
        "execution": context.execution_id.name,
        "task": context.task_id.name,
        "version": context.task_id.version,
        "raw": context.raw_output_prefix,
    }


@task
def halve(text: str) -> Halves:
    """Has outputs with names."""
    return Halves(text[: len(text) // 2], text[len(text) // 2 :])


@task
def swap(first: str, second: str) -> Halves:
    """Gives its inputs the other way round."""
    return Halves(first=second, second=first)


@task
def silent(text: str) -> None:
    """Gives nothing."""
    print(text)


@task(retries=1)
def resume() -> str:
    """Fails once, and goes on from its checkpoint."""
    checkpoint = current_context().checkpoint
    before = checkpoint.read()
    if before is None:
        checkpoint.write(b"as far as this")
        raise FlyteRecoverableException("not yet")
    return before.decode()


@task
def quit_with(code: int) -> int:
    """Ends by sys.exit."""
    if code >= 0:
        sys.exit(code)
    return code


@task
def deep(n: int) -> int:
    """Fails a few calls below."""

    def innermost(k: int) -> int:
        return k // (k - n)

    return innermost(n)


@task
def optional(n: Optional[int] = None, text: str = "nothing", flags: Optional[List[bool]] = None) -> str:
    """Has a default for each input."""
    return f"{n} {text} {flags}"


sleeper = ContainerTask(
    name="textkit.runs.sleeper",
    image="example.com/sleeper:1",
    command=["sleep", "600"],
    requests=Resources(cpu="150m", mem="64Mi"),
)

rower = ContainerTask(name="textkit.runs.rower", image="example.com/rower:1", command=["sleep", "0.2"])

shouter = ContainerTask(
    name="textkit.runs.shouter",
    image="example.com/shouter:1",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(text=str, times=int),
    outputs=kwtypes(loud=str),
    command=[
        "sh",
        "-c",
        'for i in $(seq "$(cat /var/inputs/times)"); do tr a-z A-Z < /var/inputs/text; done | tr -d "\\n" > /var/outputs/loud',
    ],
)


@workflow
def context(names: List[str]) -> Dict[str, str]:
    """Asks for the environment."""
    return surroundings(names=names)


@workflow
def halves(text: str = "left and right") -> Halves:
    """Passes outputs on by their names."""
    both = halve(text=text)
    return swap(first=both.first, second=both.second)


@workflow
def nothing(text: str) -> None:
    """Has no outputs."""
    silent(text=text)


@workflow
def resuming() -> str:
    """Has a task that goes on from its checkpoint."""
    return resume()


@workflow
def quitting(code: int) -> int:
    """Has a task that ends its process."""
    return quit_with(code=code)


@workflow
def dividing(n: int) -> int:
    """Has a task that fails a few calls below."""
    return deep(n=n)


@workflow
def defaults() -> str:
    """Needs no inputs."""
    return optional()


@workflow
def shouting(text: str, times: int) -> str:
    """Runs a container that knows nothing of flytekit."""
    return shouter(text=text, times=times)


@workflow
def sleeping() -> None:
    """Runs for long."""
    sleeper()


@workflow
def rowing() -> None:
    """Has three nodes that wait for none."""
    rower()
    rower()
    rower()


@workflow
def tailored() -> None:
    """Runs for long, with other resources and another image."""
    sleeper().with_overrides(
        requests=Resources(cpu="250m", mem="96Mi"),
        limits=Resources(cpu="500m", mem="128Mi"),
        container_image="example.com/tailored:2",
    )


labelled = LaunchPlan.get_or_create(
    workflow=sleeping, name="textkit.labelled", labels=Labels({"team": "plan"}), max_parallelism=3, overwrite_cache=True
)
