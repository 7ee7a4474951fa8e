// Package flytekit tests Skein through Flyte's own Python client: it drives the
// real pyflyte and FlyteRemote against a whole federation, with tasks that run
// in real Python processes. What is tested is listed in cases_test.go, one
// named case a line, with marks for the runs on other nodes and another object
// store; conditionals have a list of their own.
//
// It holds tests only. Invariant: the only reason for which they do not run is
// a machine that reaches no Python package index, and then one fixed line says
// so (venv.SkipLine).
package flytekit
