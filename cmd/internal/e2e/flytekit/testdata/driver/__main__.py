"""Does with FlyteRemote what the suite asks for.

Reads one JSON request a line: {"id", "op", "args"}; answers each with a line
{"id", "result"} or {"id", "error", "type"}, in any order. It decides nothing:
what is right is for the suite to say.
"""

import builtins
import contextvars
import importlib
import json
import os
import sys
import threading
import traceback
import urllib.request
from datetime import timedelta

import pandas as pd
from flytekit.configuration import Config, ImageConfig, SerializationSettings
from flytekit.exceptions.base import FlyteException
from flytekit.models.core.execution import (
    NodeExecutionPhase,
    TaskExecutionPhase,
    WorkflowExecutionPhase,
)
from flytekit.remote import FlyteRemote
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

sys.path.insert(0, os.environ["SUITE_PROJECT"])
from textkit.helpers import Tally  # noqa: E402

IMAGE = os.environ["SUITE_IMAGE"]
SETTINGS = SerializationSettings(
    image_config=ImageConfig.auto(img_name=IMAGE) if IMAGE else ImageConfig.auto_default_image(),
    project="flytesnacks",
    domain="development",
    version="one",
)
PATIENCE = timedelta(seconds=150)


def remote():
    """A client of its own for each request, since requests run side by side."""
    return FlyteRemote(
        Config.auto(config_file=os.environ["SUITE_CONFIG"]), default_project="flytesnacks", default_domain="development"
    )


def plain(value):
    """A value in JSON's terms; what JSON has not is printed."""
    if isinstance(value, (dict,)):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "__dataclass_fields__"):
        return {k: plain(getattr(value, k)) for k in value.__dataclass_fields__}
    return str(getattr(value, "value", value))


def values(resolver, hints=None):
    """All values of a resolver; those of unknown types by their literals."""
    out = {}
    for name in resolver.literals if resolver is not None else {}:
        try:
            out[name] = plain(resolver.get(name, (hints or {}).get(name)))
        except Exception as e:  # noqa: BLE001 - the suite sees what went wrong
            out[name] = f"unread: {type(e).__name__}: {e}"
    return out


def node(execution):
    """One node execution with what is below it."""
    closure = execution.closure
    tasks, children = [], {}
    for t in execution.task_executions:
        tasks.append(
            {
                "attempt": t.id.retry_attempt,
                "phase": TaskExecutionPhase.enum_to_string(t.closure.phase),
                "error": t.closure.error.message if t.closure.error else "",
                "logs": [log.uri for log in t.closure.logs],
            }
        )
    for child in execution.subworkflow_node_executions.values() if execution.metadata.is_parent_node else []:
        children[child.metadata.spec_node_id] = node(child)
    return {
        "id": execution.id.node_id,
        "spec": execution.metadata.spec_node_id,
        "parent": bool(execution.metadata.is_parent_node),
        "phase": NodeExecutionPhase.enum_to_string(closure.phase),
        "inputs": values(execution.inputs) if execution._interface else {},
        "outputs": values(execution.outputs) if execution.is_done and not execution.error and execution._interface else {},
        "tasks": tasks,
        "children": children,
    }


def show(execution):
    """What FlyteRemote knows of an execution."""
    closure, metadata = execution.closure, execution.spec.metadata
    system = metadata.system_metadata
    out = {
        "name": execution.id.name,
        "phase": WorkflowExecutionPhase.enum_to_string(closure.phase),
        "cluster": system.execution_cluster if system else "",
        "entity": execution.spec.launch_plan.name,
        "version": execution.spec.launch_plan.version,
        "error": closure.error.message if closure.error else "",
        "code": closure.error.code if closure.error else "",
        "cause": closure.abort_metadata.cause if closure.abort_metadata else "",
        "labels": execution.spec.labels.values or {},
        "tags": list(execution.spec.tags or []),
        "parallelism": execution.spec.max_parallelism,
        "nodes": {k: node(n) for k, n in execution.node_executions.items() if k not in ("start-node", "end-node")},
    }
    out["outputs"] = values(execution.outputs) if execution.is_done and execution.is_successful else {}
    out["inputs"] = values(execution.inputs)
    return out


def launch(r, name, version, inputs, plan=None, label=None, execution=None):
    """Starts a workflow by its default launch plan, or by another."""
    lp = r.fetch_launch_plan(name=plan or name, version=version)
    return r.execute(lp, inputs=inputs, execution_name=execution, execution_cluster_label=label)


def op_ping(r):
    """Answers."""
    return "pong"


def op_launch(r, **args):
    """Starts an execution and does not wait."""
    return show(launch(r, **args))


def op_run(r, **args):
    """Starts an execution, waits for its end and shows all of it."""
    return show(r.wait(launch(r, **args), timeout=PATIENCE, poll_interval=1))


def op_show(r, execution):
    """Shows an execution as it is, with its nodes, once it has ended."""
    return show(r.wait(r.fetch_execution(name=execution), timeout=PATIENCE, poll_interval=1))


def op_terminate(r, execution, cause):
    """Ends an execution."""
    r.terminate(r.fetch_execution(name=execution), cause)


def op_refresh(r, execution):
    """Shows an execution as it is now, without its nodes."""
    return show(r.sync(r.fetch_execution(name=execution)))


def op_frame(r, path):
    """Writes a dataframe for the command line to send."""
    pd.DataFrame({"n": [1, 2]}).to_parquet(path)


def op_recent(r, limit):
    """Lists the newest executions."""
    return [e.id.name for e in r.recent_executions(limit=limit)]


def op_get(r, url, types):
    """Reads by a flyte:// address; each value's type is named."""
    return values(r.get(url), {name: getattr(builtins, t) for name, t in types.items()})


def op_refusals(r, folder, names):
    """Tries to register workflows of others.py, and returns what was said."""
    sys.path.insert(0, folder)
    module, said = importlib.import_module("others"), {}
    for name in names:
        try:
            r.register_workflow(getattr(module, name), serialization_settings=SETTINGS)
            said[name] = ""
        except FlyteException as e:
            said[name] = f"{type(e).__name__}: {e} {e.__cause__}"
    return said


def op_deck(r, execution, node):
    """Downloads a node's deck."""
    ended = r.sync(r.fetch_execution(name=execution), sync_nodes=True)
    link = r.client.get_download_artifact_signed_url(
        node_id=node, project=ended.id.project, domain=ended.id.domain, name=execution
    )
    with urllib.request.urlopen(link.pre_signed_urls.signed_url[0]) as f:
        return f.read().decode()


def op_newest(r, name):
    """Says which version of a launch plan is the newest, and which is active."""
    r.activate_launchplan(r.fetch_launch_plan(name=name, version="one").id)
    active = r.fetch_active_launchplan(name=name)
    return {"newest": r.fetch_launch_plan(name=name).id.version, "active": active.id.version if active else ""}


def op_parcel(r, version, folder):
    """Sends a file, a directory, a pickle and a dataframe, and reads what comes back."""
    source = os.path.join(folder, "sent")
    os.makedirs(source)
    for path, text in (("a.txt", "a"), ("file name.txt", "file")):  # flytekit itself flattens what lies deeper
        with open(os.path.join(source, path), "w") as f:
            f.write(text)
    ended = r.wait(
        launch(
            r,
            "textkit.workflows.parcel",
            version,
            {
                "file": FlyteFile(os.path.join(source, "file name.txt")),
                "folder": FlyteDirectory(source),
                "tally": Tally({"sent": 1}),
                "frame": pd.DataFrame({"word": ["x", "y"], "n": [1, 2]}),
            },
        ),
        timeout=PATIENCE,
        poll_interval=1,
    )
    if not ended.is_successful:
        return show(ended)
    got = ended.outputs  # keeps each value in the type in which it is first read
    file = got.get("o0", FlyteFile)
    directory = got.get("o1", FlyteDirectory).download()
    tally = got.get("o2", Tally)
    frame = got.get("o3", pd.DataFrame)
    out = show(ended)
    texts = {}
    for path in ("a.txt", os.path.join("deep", "b.txt")):
        with open(os.path.join(directory, path)) as f:
            texts[path] = f.read()
    with open(file) as f:
        texts["file"] = f.read()
    out["texts"], out["counts"], out["frame"] = texts, tally.counts, frame.to_dict("list")
    return out


def answer(write, request):
    """Does one request."""
    reply = {"id": request["id"]}
    try:
        reply["result"] = globals()["op_" + request["op"]](remote(), **request.get("args") or {})
    except BaseException as e:  # noqa: BLE001 - the suite is told
        reply["type"], reply["error"] = type(e).__name__, f"{e}"
        traceback.print_exc()
    write(json.dumps(reply) + "\n")


def main():
    """Serves until the input ends."""
    lock, out = threading.Lock(), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer

    def write(line):
        with lock:
            out.write(line)
            out.flush()

    for line in sys.stdin:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(answer, write, json.loads(line)), daemon=True).start()


main()
