"""What only nodes with containers show."""

from flytekit import Resources, task, workflow


@task(limits=Resources(mem="300Mi"))
def eat() -> int:
    """Takes memory until it is killed."""
    print("eating all memory", flush=True)
    eaten = []
    while len(eaten) < 1000:
        eaten.append(bytearray(1 << 24))
    return len(eaten)


@workflow
def eating() -> int:
    return eat()


@task(container_image="example.com/absent:1")
def pull() -> int:
    """Has an image that nobody ever made."""
    return 1


@workflow
def pulling() -> int:
    return pull()
