"""Registers, fetches, lists and changes tasks, workflows and launch plans."""

import importlib
import os
import sys
import threading

from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.exceptions.base import FlyteException
from flytekit.models.admin.common import Sort
from flytekit.models.common import NamedEntityIdentifier
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.models.filters import Filter
from flytekit.models.launch_plan import LaunchPlanState
from launches import DOMAIN, PROJECT

LOADING = threading.Lock()
IMAGE = os.environ["SUITE_IMAGE"]
SETTINGS = SerializationSettings(
    image_config=ImageConfig.auto(img_name=IMAGE) if IMAGE else ImageConfig.auto_default_image(),
    project=PROJECT,
    domain=DOMAIN,
    version="one",
)


def op_refusal(r, folder, name):
    """Tries to register a workflow of others.py, and returns what was said."""
    with LOADING:  # flytekit compiles when it registers, and only one at a time
        sys.path.insert(0, folder)
        module = importlib.import_module("others")
        try:
            r.register_workflow(getattr(module, name), serialization_settings=SETTINGS)
        except FlyteException as e:
            return f"{type(e).__name__}: {e} {e.__cause__}"
    return ""


def op_copy_plan(r, name, version, into):
    """Registers a launch plan once more, in another version."""
    plan = r.fetch_launch_plan(name=name, version=version)
    r.client.create_launch_plan(Identifier(ResourceType.LAUNCH_PLAN, PROJECT, DOMAIN, name, into), plan)


def op_set_plan(r, name, version, active):
    """Makes a version of a launch plan the active one, or no longer."""
    state = LaunchPlanState.ACTIVE if active else LaunchPlanState.INACTIVE
    r.client.update_launch_plan(Identifier(ResourceType.LAUNCH_PLAN, PROJECT, DOMAIN, name, version), state)


def op_active(r, name):
    """Says which version of a launch plan is active."""
    active = r.fetch_active_launchplan(name=name)
    return active.id.version if active else ""


def op_fetch(r, kind, name, version=None):
    """Fetches an entity and tells its version and interface."""
    found = getattr(r, "fetch_" + kind)(name=name, version=version)
    interface = getattr(found, "interface", None)
    return {
        "version": found.id.version,
        "inputs": sorted(interface.inputs) if interface else [],
        "outputs": sorted(interface.outputs) if interface else [],
    }


def op_list(r, kind, filters=(), key="", ascending=False, limit=100, token="", name=None):
    """Asks for one page of a list."""
    where = (PROJECT, DOMAIN) if kind == "executions" else (NamedEntityIdentifier(PROJECT, DOMAIN, name),)
    order = Sort(key, Sort.Direction.ASCENDING if ascending else Sort.Direction.DESCENDING) if key else None
    ask = getattr(r.client, f"list_{kind}_paginated")
    found, token = ask(*where, limit=limit, token=token, sort_by=order, filters=[Filter.from_python_std(f) for f in filters])
    return {"names": [e.id.name for e in found], "versions": [getattr(e.id, "version", "") for e in found], "token": token}


def op_names(r, kind):
    """Lists the names of all entities of a kind, page by page."""
    names, token = [], ""
    while True:
        page, token = getattr(r.client, f"list_{kind}_ids_paginated")(PROJECT, DOMAIN, limit=7, token=token)
        names += [e.name for e in page]
        if not token:
            return names


def op_nodes(r, execution, limit):
    """Lists the nodes of an execution, page by page."""
    identifier, pages, token = r.fetch_execution(name=execution).id, [], ""
    while True:
        page, token = r.client.list_node_executions(identifier, limit=limit, token=token)
        pages.append([n.id.node_id for n in page])
        if not token:
            return pages


def op_domains(r):
    """Lists projects and domains."""
    return {"projects": [p.id for p in r.list_projects()], "domains": [d.id for d in r.get_domains()]}
