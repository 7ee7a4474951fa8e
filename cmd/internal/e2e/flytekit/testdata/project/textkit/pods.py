"""Secrets, and pods of a task's own."""

import os
import time

from flytekit import PodTemplate, Secret, current_context, task, workflow
from kubernetes.client import V1Container, V1EmptyDirVolumeSource, V1EnvVar, V1PodSpec, V1Volume, V1VolumeMount

SHARED = V1VolumeMount(name="shared", mount_path="/shared")

WEAVERS = PodTemplate(
    primary_container_name="weaver",
    labels={"craft": "weaving"},
    annotations={"cloth": "linen"},
    pod_spec=V1PodSpec(
        containers=[
            V1Container(name="weaver", volume_mounts=[SHARED], env=[V1EnvVar(name="CLOTH", value="/shared/cloth")]),
            V1Container(
                name="spinner",
                image="example.com/spinner:1",
                command=["sh", "-c", "echo spun > /shared/yarn && mv /shared/yarn /shared/cloth && sleep 600"],
                volume_mounts=[SHARED],
            ),
        ],
        volumes=[V1Volume(name="shared", empty_dir=V1EmptyDirVolumeSource())],
    ),
)


@task(
    secret_requests=[
        Secret(group="weavers", key="loom", mount_requirement=Secret.MountType.ENV_VAR),
        Secret(group="weavers", key="thread", mount_requirement=Secret.MountType.ENV_VAR, env_var="THREAD"),
        Secret(group="weavers", key="dye", mount_requirement=Secret.MountType.FILE, env_var="DYE"),
    ]
)
def reveal() -> str:
    """Reads secrets by flytekit, from a variable of its own, and from a file."""
    with open(os.environ["DYE"]) as f:
        dye = f.read()
    return f"{current_context().secrets.get('weavers', 'loom')} {os.environ['THREAD']} {dye}"


@task(pod_template=WEAVERS)
def weave() -> str:
    """Reads what a container beside it writes into a volume that they share."""
    path, deadline = os.environ["CLOTH"], time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.05)
    with open(path) as f:
        return f.read().strip()


@task(pod_template_name="weavers", secret_requests=[])
def patterned() -> str:
    """Has a pod after a template in the cluster."""
    return os.environ.get("PATTERN", "")


@workflow
def revealing() -> str:
    """Shows secrets."""
    return reveal()


@workflow
def weaving() -> str:
    """Has a pod of two containers."""
    return weave()


@workflow
def following() -> str:
    """Has a pod after a template of the namespace."""
    return patterned()
