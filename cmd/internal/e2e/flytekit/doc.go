// Package flytekit tests Skein through Flyte's own Python client: it drives the
// real pyflyte and FlyteRemote against a whole federation, with tasks that run
// in real Python processes.
//
// It holds tests only. Invariant: the only reason for which they do not run is
// a machine that reaches no Python package index, and then one fixed line says
// so (venv.SkipLine).
package flytekit
