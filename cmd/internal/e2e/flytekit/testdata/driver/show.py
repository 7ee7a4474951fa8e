"""Says in JSON's terms what FlyteRemote knows."""

from flytekit.models.core.execution import (
    NodeExecutionPhase,
    TaskExecutionPhase,
    WorkflowExecutionPhase,
)


def plain(value):
    """A value in JSON's terms; what JSON has not is printed."""
    if isinstance(value, (dict,)):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
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
        "started": closure.started_at.timestamp() if closure.started_at else 0,
        "seconds": closure.duration.total_seconds() if closure.duration else 0,
        "inputs": values(execution.inputs) if execution._interface else {},
        "outputs": values(execution.outputs) if execution.is_done and not execution.error and execution._interface else {},
        "tasks": tasks,
        "children": children,
    }


def show(execution):
    """What FlyteRemote knows of an execution."""
    closure, metadata = execution.closure, execution.spec.metadata
    system, security = metadata.system_metadata, execution.spec.security_context
    raw = execution.spec.raw_output_data_config
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
        "annotations": execution.spec.annotations.values or {},
        "interruptible": bool(execution.spec.interruptible),
        "overwrite": bool(execution.spec.overwrite_cache),
        "account": security.run_as.k8s_service_account if security and security.run_as else "",
        "raw": raw.output_location_prefix if raw else "",
        "envs": execution.spec.envs.envs if execution.spec.envs else {},
        "tags": list(execution.spec.tags or []),
        "parallelism": execution.spec.max_parallelism,
        "nodes": {k: node(n) for k, n in execution.node_executions.items() if k not in ("start-node", "end-node")},
    }
    out["outputs"] = values(execution.outputs) if execution.is_done and execution.is_successful else {}
    out["inputs"] = values(execution.inputs)
    return out
