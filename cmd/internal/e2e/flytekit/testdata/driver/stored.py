"""Sends and reads what is stored beside literals, and structured values."""

import builtins
import os
import urllib.request
from datetime import datetime, timezone
from typing import Dict, List

import pandas as pd
import pyarrow as pa
from flytekit import StructuredDataset
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from launches import launch, wait
from show import plain, show, values
from textkit import models
from textkit.helpers import Color, Tally


def read(path):
    """The text of a file, downloaded if need be."""
    with open(path) as f:
        return f.read()


def op_frame(r, path):
    """Writes a dataframe for the command line to send."""
    pd.DataFrame({"n": [1, 2]}).to_parquet(path)


def op_get(r, url, types):
    """Reads by a flyte:// address; each value's type is named."""
    return values(r.get(url), {name: getattr(builtins, t) for name, t in types.items()})


def op_deck(r, execution, node):
    """Downloads a node's deck."""
    ended = r.sync(r.fetch_execution(name=execution), sync_nodes=True)
    link = r.client.get_download_artifact_signed_url(
        node_id=node, project=ended.id.project, domain=ended.id.domain, name=execution
    )
    with urllib.request.urlopen(link.pre_signed_urls.signed_url[0]) as f:
        return f.read().decode()


def op_download(r, execution, folder):
    """Downloads all outputs, and says which files there are."""
    r.download(wait(r, r.fetch_execution(name=execution)).outputs, folder)
    found = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    return {os.path.relpath(path, folder): read(path) for path in found}


def op_parcel(r, version, folder):
    """Sends a file, a directory, a pickle and a dataframe, and reads what comes back."""
    source = os.path.join(folder, "sent")
    os.makedirs(source)
    for path, text in (("a.txt", "a"), ("file name.txt", "file")):  # flytekit itself flattens what lies deeper
        with open(os.path.join(source, path), "w") as f:
            f.write(text)
    inputs = {
        "file": FlyteFile(os.path.join(source, "file name.txt")),
        "folder": FlyteDirectory(source),
        "tally": Tally({"sent": 1}),
        "frame": pd.DataFrame({"word": ["x", "y"], "n": [1, 2]}),
    }
    ended = wait(r, launch(r, "textkit.workflows.parcel", version, inputs))
    if not ended.is_successful:
        return show(ended)
    got = ended.outputs  # keeps each value in the type in which it is first read
    file = got.get("o0", FlyteFile)
    directory = got.get("o1", FlyteDirectory).download()
    tally = got.get("o2", Tally)
    frame = got.get("o3", pd.DataFrame)
    out = show(ended)
    out["file"] = read(file)
    out["folder"] = {path: read(os.path.join(directory, path)) for path in ("a.txt", os.path.join("deep", "b.txt"))}
    out["counts"], out["frame"] = tally.counts, frame.to_dict("list")
    return out


def op_tables(r, version):
    """Has a dataset made and read, and reads all three that come back."""
    ended = wait(r, launch(r, "textkit.blobs.tables", version, {"words": ["a", "bcd"]}))
    if not ended.is_successful:
        return show(ended)
    got, out = ended.outputs, {}
    whole, counts = got.get("o0", StructuredDataset), got.get("o1", StructuredDataset)
    out["columns"] = {c.name: str(c.literal_type.simple) for c in counts.metadata.structured_dataset_type.columns}
    out["whole"] = whole.open(pa.Table).all().to_pydict()
    out["narrow"] = counts.open(pd.DataFrame).all().to_dict("list")
    out["arrow"] = got.get("o2", pa.Table).to_pydict()
    return {**show(ended), **out}


def op_files(r, version):
    """Has lists of files made, and reads the map of files and the folder that come back."""
    ended = wait(r, launch(r, "textkit.blobs.files", version, {"names": ["x", "y"]}))
    if not ended.is_successful:
        return show(ended)
    got = ended.outputs
    texts = {k: read(f) for k, f in got.get("o0", Dict[str, FlyteFile]).items()}
    names = sorted(os.path.basename(f.path) for f in FlyteDirectory.listdir(got.get("o1", FlyteDirectory)))
    return {**show(ended), "texts": texts, "names": names}


def op_structured(r, version):
    """Sends structured values, and reads them as the same types."""
    inputs = {
        "person": models.Person(name="Ada", address=models.Address(street="Main", number=4)),
        "tree": models.Tree(
            leaf=models.Leaf(1, {"k": "v"}),
            leaves=[models.Leaf(2)],
            named={"a": models.Leaf(3)},
            color=Color.RED,
            when=datetime(2024, 2, 29, 10, tzinfo=timezone.utc),
        ),
        "anything": {"x": [1, {"y": None}], "pi": 3.5},
        "size": "small",
        "many": [1, 2, 3],
    }
    ended = wait(r, launch(r, "textkit.models.structured", version, inputs, type_hints=models.structured.python_interface.inputs))
    if not ended.is_successful:
        return show(ended)
    got, hints = ended.outputs, {**models.structured.python_interface.outputs, "people": List[models.Person]}
    outputs = {name: plain(got.get(name, hints[name])) for name in got.literals}
    return {**show(ended), "outputs": outputs}
