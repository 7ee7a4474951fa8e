"""The tasks."""

import os
from collections import Counter
from typing import Dict

from flytekit import Deck, Resources, current_context, task
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.file import FlyteFile


@task(requests=Resources(cpu="100m", mem="256Mi"))
def count(flowers: str) -> Dict[str, int]:
    """Counts the flowers of each kind."""
    found = dict(Counter(flowers.split()))
    print("counted", sum(found.values()), "flowers")
    return found


@task(retries=2)
def water(flowers: Dict[str, int]) -> Dict[str, int]:
    """Fails at its first attempt, as a service that is away for a moment would make it fail."""
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    if attempt == 0:
        raise FlyteRecoverableException("the tap is dry at attempt 0; try again")
    print("watered at attempt", attempt)
    return flowers


@task(enable_deck=True)
def card(flowers: Dict[str, int]) -> FlyteFile:
    """Writes a card, and shows the same in a deck."""
    lines = [f"{n} x {kind}" for kind, n in sorted(flowers.items())]
    Deck("card", "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>")
    path = os.path.join(current_context().working_directory, "card.txt")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    return FlyteFile(path)
