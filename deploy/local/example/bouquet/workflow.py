"""The workflow."""

from typing import Dict, Tuple

from flytekit import workflow
from flytekit.types.file import FlyteFile

from bouquet.tasks import card, count, water


@workflow
def arrange(flowers: str = "rose tulip rose") -> Tuple[Dict[str, int], FlyteFile]:
    """Counts flowers, waters them and writes a card."""
    counted = count(flowers=flowers)
    watered = water(flowers=counted)
    return watered, card(flowers=watered)
