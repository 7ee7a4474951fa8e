"""Workflows whose serialised form the compiler must accept."""

import enum
import typing
from dataclasses import dataclass
from datetime import datetime, timedelta

from flytekit import LaunchPlan, Resources, kwtypes, approve, conditional, dynamic, map_task, sleep, task, wait_for_input, workflow
from flytekit.core.array_node import array_node
from flytekit.types.error.error import FlyteError
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from flytekit.types.structured import StructuredDataset
from typing_extensions import Annotated


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Inner:
    ratio: float
    names: typing.List[str]


@dataclass
class Config:
    size: int
    inner: Inner


class Opaque:
    pass


@task
def number() -> int:
    return 1


@task(requests=Resources(cpu="100m", mem="100Mi"), limits=Resources(cpu="200m", mem="200Mi"))
def add(a: int, b: int = 2) -> int:
    return a + b


@task
def void() -> None:
    pass


@task
def two() -> typing.Tuple[int, str]:
    return 1, "x"


@task
def maybe(x: typing.Optional[int] = None) -> typing.Optional[int]:
    return x


@task
def either(x: typing.Union[int, str]) -> typing.Union[int, str]:
    return x


@task
def total(xs: typing.List[int]) -> int:
    return sum(xs)


@task
def numbers() -> typing.List[int]:
    return [1, 2]


@task
def table(d: typing.Dict[str, int]) -> int:
    return len(d)


@task
def config() -> Config:
    return Config(1, Inner(0.5, ["a"]))


@task
def use_config(c: Config) -> int:
    return c.size


@task
def use_float(x: float) -> float:
    return x


@task
def use_text(x: str) -> str:
    return x


@task
def csv() -> FlyteFile["csv"]:
    return "/tmp/x.csv"


@task
def any_file(f: FlyteFile) -> FlyteDirectory:
    return "/tmp"


@task
def dataset() -> StructuredDataset:
    return StructuredDataset(uri="s3://x")


@task
def use_dataset(s: StructuredDataset, m: typing.Optional[StructuredDataset] = None) -> int:
    return 1


@task
def paint(c: Color = Color.RED) -> Color:
    return c


@task
def opaque() -> Opaque:
    return Opaque()


@task
def use_opaque(o: Opaque) -> int:
    return 1


@task
def moment(t: datetime, d: timedelta) -> datetime:
    return t


@task
def plain_dict(d: dict) -> dict:
    return d


@task
def nones(xs: typing.List[None]) -> None:
    pass


@dynamic
def spread(n: int) -> int:
    return add(a=n)


@workflow
def chain(a: int = 1) -> typing.Tuple[int, str]:
    x = number()
    y = add(a=x, b=a)
    z = add(a=y)
    n, s = two()
    void()
    x >> z
    return z, s


@workflow
def unions(x: typing.Optional[int] = None) -> typing.Optional[int]:
    a = maybe(x=x)
    maybe(x=number())
    maybe(x=3)
    maybe()
    either(x="a")
    either(x=number())
    either(x=either(x=1))
    return a


@workflow
def containers(m: typing.Dict[str, int]) -> typing.List[int]:
    a = number()
    total(xs=[a, 2, add(a=a)])
    total(xs=[])
    table(d={"a": a, "b": 1})
    table(d={})
    table(d=m)
    xs = numbers()
    total(xs=xs)
    add(a=xs[0])
    nones(xs=[])
    return [a, 1]


@workflow
def structures() -> Config:
    c = config()
    use_config(c=c)
    use_config(c=Config(2, Inner(0.1, [])))
    add(a=c.size)
    use_float(x=c.inner.ratio)
    use_text(x=c.inner.names[0])
    plain_dict(d={"a": 1})
    return c


@workflow
def values(t: datetime = datetime(2024, 1, 1), col: Color = Color.BLUE) -> FlyteDirectory:
    d = any_file(f=csv())
    s = dataset()
    use_dataset(s=s, m=s)
    use_dataset(s=s)
    paint(c=col)
    paint(c=Color.RED)
    paint()
    use_opaque(o=opaque())
    moment(t=t, d=timedelta(hours=1))
    return d


@workflow
def child(a: int) -> int:
    return add(a=a)


@workflow
def nested(a: int) -> int:
    b = child(a=a)
    return child(a=b)


@workflow
def outer(a: int = 5) -> int:
    return nested(a=child(a=a)).with_overrides(name="inner")


@workflow
def overridden() -> int:
    return add(a=1).with_overrides(limits=Resources(cpu="1", mem="1Gi"), retries=3, timeout=timedelta(minutes=5),
                                   node_name="custom-name")


@workflow
def nothing() -> None:
    void()


@workflow
def dynamics(n: int) -> int:
    return spread(n=n)


@workflow
def passing(a: int) -> int:
    return a


@workflow
def branches(a: int) -> int:
    b = number()
    return (
        conditional("size")
        .if_((a > 3) & (b < 2))
        .then(add(a=a, b=b))
        .elif_(a == 1)
        .then(number())
        .else_()
        .fail("too small")
    )


@workflow
def gates(a: int) -> int:
    s = sleep(timedelta(seconds=1))
    v = wait_for_input("v", timeout=timedelta(hours=1), expected_type=int)
    w = approve(add(a=v), "ok", timeout=timedelta(hours=1))
    s >> v
    return w


@workflow
def arrays(xs: typing.List[int]) -> typing.List[int]:
    return map_task(add)(a=xs, b=[1, 2])


@workflow
def ratios(xs: typing.List[int]) -> typing.List[typing.Optional[int]]:
    return map_task(add, min_success_ratio=0.5)(a=xs, b=[1, 2])


plan = LaunchPlan.get_or_create(outer, name="outer_plan", default_inputs={"a": 7})


@workflow
def launches() -> int:
    plan()
    return plan(a=number())


@workflow(on_failure=add)
def failing(a: int, b: int) -> int:
    return add(a=a, b=b)


@task
def clean(a: int, b: int, err: typing.Optional[FlyteError] = None) -> None:
    pass


@workflow(on_failure=clean)
def failing_with_error(a: int, b: int) -> int:
    return add(a=a, b=b)


@workflow
def plan_arrays(xs: typing.List[int]) -> typing.List[int]:
    return array_node(plan)(a=xs)


@workflow
def plan_ratios(xs: typing.List[int]) -> typing.List[typing.Optional[int]]:
    return array_node(plan, min_success_ratio=0.5)(a=xs)


@task
def typed_dataset() -> Annotated[StructuredDataset, kwtypes(a=int, b=str)]:
    return StructuredDataset(uri="s3://x")


@task
def use_typed_dataset(s: Annotated[StructuredDataset, kwtypes(a=int)]) -> None:
    pass


@workflow
def datasets() -> None:
    use_typed_dataset(s=typed_dataset())
    use_typed_dataset(s=dataset())
    use_dataset(s=typed_dataset())


@task
def many(xs: typing.List[typing.Optional[int]], m: typing.Dict[str, typing.List[typing.Union[int, str]]]) -> None:
    pass


@workflow
def mixtures() -> None:
    n = number()
    many(xs=[1, None, n], m={"a": [1, "x", n], "b": []})
    many(xs=[], m={})


@workflow
def nested_branches(a: int) -> int:
    return (
        conditional("outer")
        .if_(a > 3)
        .then(conditional("inner").if_(a > 5).then(add(a=a, b=a)).else_().then(number()))
        .else_()
        .then(add(a=a))
    )


@task
def optional_config(c: typing.Optional[Config] = None) -> typing.Optional[Config]:
    return c


@workflow
def optional_structures(c: typing.Optional[Config] = None) -> None:
    optional_config(c=config())
    optional_config(c=c)
    optional_config(c=Config(1, Inner(0.5, [])))
