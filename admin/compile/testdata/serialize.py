"""Writes what flytekit registers for shapes.py, each message after its length.

Run it in the folder it is in, with flytekit 1.16.31.
"""

from collections import OrderedDict

import shapes
from flytekit import LaunchPlan
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.core.workflow import WorkflowBase
from flytekit.models.admin.workflow import WorkflowSpec
from flytekit.models.launch_plan import LaunchPlan as LaunchPlanModel
from flytekit.models.task import TaskSpec
from flytekit.tools.translator import get_serializable
from google.protobuf.internal.encoder import _VarintBytes

FILES = {TaskSpec: "tasks.pb", WorkflowSpec: "workflows.pb", LaunchPlanModel: "launch_plans.pb"}


def main():
    settings = SerializationSettings(
        image_config=ImageConfig.auto(img_name="example.com/shapes:1"),
        project="flytesnacks",
        domain="development",
        version="v1",
    )
    entities = OrderedDict()
    for value in list(vars(shapes).values()):
        if isinstance(value, (WorkflowBase, LaunchPlan)):
            get_serializable(entities, settings, value)
    for kind, name in FILES.items():
        with open(name, "wb") as out:
            for entity in entities.values():
                if isinstance(entity, kind):
                    data = entity.to_flyte_idl().SerializeToString(deterministic=True)
                    out.write(_VarintBytes(len(data)) + data)


if __name__ == "__main__":
    main()
