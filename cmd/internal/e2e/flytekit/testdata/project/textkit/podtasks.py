"""Tasks that ask something of their pods that is not there, or that does not end."""

import os
import time

from flytekit import PodTemplate, Secret, task, workflow
from kubernetes.client import (
    V1Container,
    V1EmptyDirVolumeSource,
    V1EnvVar,
    V1EnvVarSource,
    V1ObjectFieldSelector,
    V1PodSpec,
    V1Volume,
    V1VolumeMount,
)

from . import tasks


@task(secret_requests=[Secret(group="nowhere", key="token", mount_requirement=Secret.MountType.ENV_VAR)])
def no_secret() -> str:
    """Never runs."""
    return "ran"


@task(secret_requests=[Secret(group="half", key="missing", mount_requirement=Secret.MountType.ENV_VAR)])
def no_key() -> str:
    """Never runs."""
    return "ran"


def with_sidecar(primary, team):
    """A pod in which a side-car, which never ends, says something once."""
    shared, mount = V1EnvVar(name="SHARED", value="/shared"), V1VolumeMount(name="shared", mount_path="/shared")
    own_label = V1EnvVarSource(field_ref=V1ObjectFieldSelector(field_path="metadata.labels['team']"))
    return PodTemplate(
        primary_container_name=primary,
        labels={"team": team},
        annotations={"suite": "yes"},
        pod_spec=V1PodSpec(
            volumes=[V1Volume(name="shared", empty_dir=V1EmptyDirVolumeSource())],
            containers=[
                V1Container(name=primary, env=[shared, V1EnvVar(name="TEAM", value_from=own_label)], volume_mounts=[mount]),
                V1Container(
                    name="beside",
                    image="beside:1",
                    command=["sh", "-c", 'echo "$FLYTE_INTERNAL_EXECUTION_ID" > "$SHARED/said.new"; mv "$SHARED/said.new" "$SHARED/said"; exec sleep 3600'],
                    env=[shared],
                    volume_mounts=[mount],
                ),
            ],
        ),
    )


def what_was_said():
    """What the side-car says, and the label of the pod."""
    said = os.path.join(os.environ["SHARED"], "said")
    while not os.path.exists(said):
        time.sleep(0.05)
    with open(said) as f:
        return f.read().strip() + " of " + os.environ["TEAM"]


@task(pod_template=with_sidecar("mine", "a"), environment={"WORD": "said"})
def beside() -> str:
    """Hears what its side-car says."""
    return os.environ["WORD"] + " by " + what_was_said()


@task
def hears() -> str:
    """Hears what the side-car says that its node gives it."""
    return what_was_said()


@task(pod_template=with_sidecar("mine", "b"))
def unlucky_beside() -> str:
    """Fails beside a side-car that goes on."""
    said = what_was_said()
    if said:
        raise ValueError("no luck beside " + said)
    return said


@workflow
def given_a_pod() -> str:
    """Puts a pod around a task."""
    return hears().with_overrides(pod_template=with_sidecar("given", "c"))


@task(pod_template_name="no-such-template")
def no_template() -> str:
    """Never runs."""
    return "ran"


@workflow
def spacious(a: int) -> int:
    """Gives a task a folder in memory."""
    return tasks.add(a=a, b=1).with_overrides(shared_memory="64Mi")
