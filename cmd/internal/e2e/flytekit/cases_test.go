package flytekit

import "testing"

// cases are what is tested beside registration itself.
var cases = []testCase{
	{"two editions run, each its own code", 0, (*suite).editions},
	{"registering the same again is no error", 0, (*suite).again},
	{"registering other code as the same version is refused", 0, (*suite).changed},
	{"what is not built is refused by name", 0, (*suite).refused},

	{"values of each type go round", kubelet | s3, (*suite).typed},
	{"stored data goes round", kubelet | s3, (*suite).parcel},
	{"files on the command line", kubelet | s3, (*suite).files},

	{"a single task", kubelet, (*suite).single},
	{"a label that no cluster has", 0, (*suite).nowhere},
	{"an execution is ended", 0, (*suite).terminated},
	{"a launch plan's inputs", kubelet | s3, (*suite).plan},
	{"a name taken twice", 0, (*suite).twice},

	{"a failure reaches the client", kubelet | s3, (*suite).failure},
	{"a task cleans up after a failure", 0, func(s *suite, t *testing.T) { s.cleanup(t, "careful") }},
	{"a workflow cleans up after a failure", 0, func(s *suite, t *testing.T) { s.cleanup(t, "thorough") }},
	{"other ways to fail", kubelet, (*suite).patient},
	{"retries until it is good", kubelet | s3, func(s *suite, t *testing.T) { s.retry(t, 3, "SUCCEEDED") }},
	{"retries that do not suffice", kubelet, func(s *suite, t *testing.T) { s.retry(t, 4, "FAILED") }},
	{"a dynamic task fails by name", kubelet, (*suite).dynamic},

	{"sub-workflows", kubelet | s3, (*suite).subworkflows},
	{"an order without data", 0, (*suite).order},
	{"picked parts of an output", s3, (*suite).picking},
}
