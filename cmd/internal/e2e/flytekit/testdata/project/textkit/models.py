"""Structured values: models, dataclasses within dataclasses, dictionaries of anything."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, List, Literal, NamedTuple, Optional, Union

from flytekit import task, workflow
from flytekit.types.file import FlyteFile
from pydantic import BaseModel

from .helpers import Color


class Address(BaseModel):
    """A model in a model."""

    street: str
    number: int = 1


class Person(BaseModel):
    """A model with a default, a list, an enum and another model."""

    name: str
    address: Address
    age: Optional[int] = None
    nicknames: List[str] = []
    favourite: Color = Color.RED


@dataclass
class Leaf:
    """The inner dataclass."""

    n: int
    notes: Dict[str, str] = field(default_factory=dict)


@dataclass
class Tree:
    """A dataclass that holds others."""

    leaf: Leaf
    leaves: List[Leaf]
    named: Dict[str, Leaf]
    color: Color
    when: datetime
    maybe: Optional[Leaf] = None


@dataclass
class Parcel:
    """A dataclass with a file."""

    label: str
    file: FlyteFile


class Structured(NamedTuple):
    """What comes back."""

    person: Person
    tree: Tree
    anything: dict
    size: Literal["small", "large"]
    many: Union[List[int], Dict[str, int], None]
    people: List[Person]


@task
def change(
    person: Person, tree: Tree, anything: dict, size: Literal["small", "large"], many: Union[List[int], Dict[str, int], None]
) -> Structured:
    """Changes each value a little."""
    person.address.number += 1
    grown = Tree(
        leaf=Leaf(tree.leaf.n + 1, {**tree.leaf.notes, "seen": "yes"}),
        leaves=[*tree.leaves, tree.leaf],
        named={k.upper(): v for k, v in tree.named.items()},
        color=Color.GREEN,
        when=tree.when,
        maybe=None if tree.maybe else tree.leaf,
    )
    older = Person(name=person.name, address=person.address, age=(person.age or 0) + 1, nicknames=["Al"], favourite=Color.GREEN)
    return Structured(
        person=person,
        tree=grown,
        anything={**anything, "more": {"list": [1, 2.5, None, True]}},
        size="large" if size == "small" else "small",
        many={"n": len(many)} if isinstance(many, list) else None,
        people=[person, older],
    )


@task
def wrap(text: str) -> Parcel:
    """Puts a file into a dataclass."""
    with open("parcel.txt", "w") as f:
        f.write(text)
    return Parcel(text, FlyteFile("parcel.txt"))


@task
def unwrap(parcel: Parcel) -> str:
    """Reads the file of a dataclass."""
    with open(parcel.file) as f:
        return f"{parcel.label}: {f.read()}"


@workflow
def structured(
    person: Person, tree: Tree, anything: dict, size: Literal["small", "large"], many: Union[List[int], Dict[str, int], None]
) -> Structured:
    """Takes and gives structured values."""
    return change(person=person, tree=tree, anything=anything, size=size, many=many)


@workflow
def wrapped(text: str) -> str:
    """Has a file travel inside a dataclass."""
    return unwrap(parcel=wrap(text=text))
