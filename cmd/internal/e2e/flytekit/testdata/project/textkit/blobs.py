"""Values that are stored beside literals."""

import os
from typing import Annotated, Dict, List, Tuple

import pandas as pd
import pyarrow as pa
from flytekit import StructuredDataset, current_context, kwtypes, task, workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

Whole = kwtypes(word=str, n=int)
Counts = kwtypes(n=int)


@task
def tabulate(words: List[str]) -> Annotated[StructuredDataset, Whole]:
    """Makes a dataset with named columns."""
    return StructuredDataset(dataframe=pd.DataFrame({"word": words, "n": [len(w) for w in words]}))


@task
def narrow(table: Annotated[StructuredDataset, Counts]) -> Tuple[Annotated[StructuredDataset, Counts], pa.Table]:
    """Reads one column, as pandas and as pyarrow."""
    frame = table.open(pd.DataFrame).all()
    arrow = table.open(pa.Table).all()
    assert isinstance(frame, pd.DataFrame) and isinstance(arrow, pa.Table)
    return StructuredDataset(dataframe=frame.assign(n=frame["n"] + 1)[["n"]]), arrow


@task
def scatter(names: List[str]) -> List[FlyteFile]:
    """Makes some files."""
    for name in names:
        with open(name, "w") as f:
            f.write(name)
    return [FlyteFile(name) for name in names]


@task
def gather(files: List[FlyteFile]) -> Tuple[Dict[str, FlyteFile["txt"]], FlyteDirectory]:
    """Copies files into others, and into a folder."""
    out, texts = {}, os.path.join(current_context().working_directory, "all")
    os.makedirs(texts)
    for file in files:
        with open(file) as f:
            text = f.read()
        path = os.path.join(texts, text + ".txt")
        with open(path, "w") as f:
            f.write(text * 2)
        out[text] = FlyteFile(path)
    return out, FlyteDirectory(texts)


@task
def elsewhere(text: str, path: str) -> FlyteFile:
    """Stores a file at an address of its own, or where it is told to."""
    with open("here.txt", "w") as f:
        f.write(text)
    return FlyteFile("here.txt", remote_path=path) if path else FlyteFile("here.txt")


@workflow
def tables(words: List[str]) -> Tuple[StructuredDataset, Annotated[StructuredDataset, Counts], pa.Table]:
    """Has a dataset read with fewer columns than it has."""
    whole = tabulate(words=words)
    counts, arrow = narrow(table=whole)
    return whole, counts, arrow


@workflow
def files(names: List[str]) -> Tuple[Dict[str, FlyteFile["txt"]], FlyteDirectory]:
    """Carries lists and maps of files."""
    return gather(files=scatter(names=names))


@workflow
def placed(text: str, path: str = "") -> FlyteFile:
    """Stores a file where the launch says."""
    return elsewhere(text=text, path=path)
