"""Starts, follows and ends executions."""

import os
from datetime import timedelta

from flytekit.configuration import Config
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.options import Options
from flytekit.core.type_engine import TypeEngine
from flytekit.models.common import Annotations, Labels, RawOutputDataConfig
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.models.execution import ExecutionMetadata, ExecutionSpec
from flytekit.models.literals import LiteralMap
from flytekit.models.security import Identity, SecurityContext
from flytekit.remote import FlyteRemote
from show import show

PROJECT, DOMAIN = "flytesnacks", "development"
PATIENCE = timedelta(seconds=280)


def remote():
    """A client of its own for each request, since requests run side by side."""
    return FlyteRemote(Config.auto(config_file=os.environ["SUITE_CONFIG"]), default_project=PROJECT, default_domain=DOMAIN)


def settings(labels=None, annotations=None, account=None, raw=None, parallelism=None):
    """What flytekit has in an object of its own."""
    return Options(
        labels=Labels(labels) if labels else None,
        annotations=Annotations(annotations) if annotations else None,
        security_context=SecurityContext(run_as=Identity(k8s_service_account=account)) if account else None,
        raw_output_data_config=RawOutputDataConfig(raw) if raw else None,
        max_parallelism=parallelism,
    )


def launch(r, name, version, inputs=None, plan=None, task=None, label=None, execution=None, prefix=None, options=None, **other):
    """Starts a workflow by its default launch plan, or another plan, or a task."""
    entity = r.fetch_task(name=task, version=version) if task else r.fetch_launch_plan(name=plan or name, version=version)
    return r.execute(
        entity,
        inputs=inputs or {},
        execution_name=execution,
        execution_name_prefix=prefix,
        execution_cluster_label=label,
        options=settings(**options or {}),
        **other,
    )


def wait(r, execution):
    """Waits for the end of an execution."""
    return r.wait(execution, timeout=PATIENCE, poll_interval=1)


def op_launch(r, **args):
    """Starts an execution and does not wait."""
    return show(launch(r, **args))


def op_run(r, **args):
    """Starts an execution, waits for its end and shows all of it."""
    return show(wait(r, launch(r, **args)))


def op_show(r, execution):
    """Shows an execution with its nodes, once it has ended."""
    return show(wait(r, r.fetch_execution(name=execution)))


def op_refresh(r, execution):
    """Shows an execution as it is now, without its nodes."""
    return show(r.sync(r.fetch_execution(name=execution)))


def op_terminate(r, execution, cause):
    """Ends an execution."""
    r.terminate(r.fetch_execution(name=execution), cause)


def op_recent(r, limit):
    """Lists the newest executions."""
    return [e.id.name for e in r.recent_executions(limit=limit)]


def op_create(r, plan, version, inputs, execution=None):
    """Creates an execution by the bare call, without flytekit's own checks."""
    context = FlyteContextManager.current_context()
    literals = {k: TypeEngine.to_literal(context, v, type(v), TypeEngine.to_literal_type(type(v))) for k, v in inputs.items()}
    spec = ExecutionSpec(
        Identifier(ResourceType.LAUNCH_PLAN, PROJECT, DOMAIN, plan, version),
        ExecutionMetadata(ExecutionMetadata.ExecutionMode.MANUAL, "placeholder", 0),
    )
    return r.client.create_execution(PROJECT, DOMAIN, execution, spec, LiteralMap(literals)).name


def op_recover(r, execution):
    """Asks for a recovery."""
    return r.client.recover_execution(r.fetch_execution(name=execution).id).name
