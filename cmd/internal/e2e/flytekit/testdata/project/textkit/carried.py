"""Files of raw containers, and data that is too large for a row."""

from typing import List

from flytekit import ContainerTask, kwtypes, task, workflow
from flytekit.types.file import FlyteFile

carrier = ContainerTask(
    name="textkit.carried.carrier",
    image="example.com/carrier:1",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(file=FlyteFile, suffix=str),
    outputs=kwtypes(copy=FlyteFile, size=int),
    command=[
        "sh",
        "-c",
        "cat /var/inputs/file /var/inputs/suffix > /var/outputs/copy && wc -c < /var/inputs/file | tr -d ' \\n' > /var/outputs/size",
    ],
)


@task
def note(text: str) -> FlyteFile:
    """Makes a file."""
    with open("note.txt", "w") as f:
        f.write(text)
    return FlyteFile("note.txt")


@task
def multiply(words: List[str], times: int) -> List[str]:
    """Makes much of little."""
    return words * times


@workflow
def carried(text: str) -> FlyteFile:
    """Passes a file of a Python task to a container that knows nothing of flytekit."""
    return carrier(file=note(text=text), suffix="!").copy


@workflow
def contained(file: FlyteFile) -> FlyteFile:
    """Passes a client's file to a container."""
    return carrier(file=file, suffix="?").copy


@workflow
def large(words: List[str], times: int) -> List[str]:
    """Has inputs and outputs that lie in the object store."""
    return multiply(words=words, times=times)
