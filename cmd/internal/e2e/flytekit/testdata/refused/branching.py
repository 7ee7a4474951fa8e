"""A workflow of a kind that is not built yet."""

from flytekit import conditional, task, workflow


@task
def small(n: int) -> str:
    """The one case."""
    return "small"


@task
def large(n: int) -> str:
    """The other case."""
    return "large"


@workflow
def choose(n: int) -> str:
    """Chooses by a condition."""
    return conditional("size").if_(n < 10).then(small(n=n)).else_().then(large(n=n))
