"""Writes the descriptors of every module of the Python package flyteidl to stdout, as one FileDescriptorSet."""

import importlib
import pkgutil
import sys

import flyteidl
from google.protobuf import descriptor_pb2


def main():
    files = descriptor_pb2.FileDescriptorSet()
    for module in pkgutil.walk_packages(flyteidl.__path__, "flyteidl."):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(module.name).DESCRIPTOR
            files.file.append(descriptor_pb2.FileDescriptorProto.FromString(descriptor.serialized_pb))
    sys.stdout.buffer.write(files.SerializeToString())


if __name__ == "__main__":
    main()
