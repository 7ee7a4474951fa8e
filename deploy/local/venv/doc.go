// Package venv makes the Python environment in which tests run Flyte's own client against Skein: flytekit and flyteidl
// at fixed versions, installed once per machine into the cache directory and shared by all test runs.
//
// It serves tests and local clusters only; nothing that is deployed imports it.
//
// Invariant: a directory that Ensure returns holds every package of requirements.txt, each checked against its hash.
package venv
