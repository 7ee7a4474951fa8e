"""What the tasks share. The suite writes another edition over this file."""

import os
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Dict, List, Optional

EDITION = "one"


class Color(Enum):
    """An input of a few fixed values."""

    RED = "red"
    GREEN = "green"


@dataclass
class Shape:
    """A structured input."""

    name: str
    corners: int = 3
    sides: List[float] = field(default_factory=list)
    notes: Dict[str, str] = field(default_factory=dict)
    parent: Optional[str] = None


class Tally:
    """A class that flytekit knows nothing of, so that it travels as a pickle."""

    def __init__(self, counts):
        self.counts = dict(counts)

    def add(self, word):
        """Returns a tally with one more of a word."""
        return Tally({**self.counts, word: self.counts.get(word, 0) + 1})


def mark(folder: str, name: str) -> int:
    """Leaves a mark in a folder that all share, and returns how many there are."""
    open(os.path.join(folder, name), "w").close()
    return len(os.listdir(folder))


def meet(folder: str, name: str, count: int, seconds: float = 90) -> None:
    """Waits until so many have left a mark in the folder."""
    deadline = time.monotonic() + seconds
    mark(folder, name)
    while len(os.listdir(folder)) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} is alone in {folder}: {os.listdir(folder)}")
        time.sleep(0.05)
