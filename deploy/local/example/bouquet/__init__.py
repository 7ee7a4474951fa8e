"""A small project: three tasks and a workflow over them."""
