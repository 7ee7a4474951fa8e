"""One file without a package around it."""

from flytekit import task, workflow


@task
def double(n: int) -> int:
    """Doubles."""
    return 2 * n


@workflow
def quadruple(n: int = 3) -> int:
    """Doubles twice."""
    return double(n=double(n=n))
