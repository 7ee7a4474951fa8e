package flytekit

import "testing"

// cases are what is tested beside registration itself. Those of a group look
// at one execution, since Python's start is what costs.
var cases = []testCase{
	// Registration.
	{"two editions run, each its own code", 0, (*suite).editions},
	{"registering the same again is no error", s3, (*suite).again},
	{"registering other code as the same version is refused", 0, (*suite).changed},
	{"one file without a package", 0, (*suite).alone},
	{"a package is registered by skein", 0, (*suite).archive},
	{"a map task is refused by name", 0, refused("mapped", "is an array node")},
	{"an approval is refused by name", 0, refused("approved", "is a gate node")},
	{"a wait for input is refused by name", 0, refused("asked", "is a gate node")},
	{"a sleep is refused by name", 0, refused("slept", "is a gate node")},
	{"a launch plan in a workflow is refused by name", 0, refused("parent", "is a launch-plan node")},

	// Types, sent by the command line.
	{"int and float", 0, func(s *suite, t *testing.T) { kind("whole", 42)(s, t); kind("real", 3)(s, t) }},
	{"str with a default", 0, kind("text", "by default!")},
	{"bool", 0, kind("yes", false)},
	{"datetime", 0, kind("when", "2024-02-29 12:00:00+00:00")},
	{"timedelta", 0, kind("span", "4:00:00")},
	{"enum", 0, kind("color", "green")},
	{"list", 0, kind("numbers", []int{3, 2, 1})},
	{"list of dicts", 0, kind("nested", []any{values{"a": 1}, values{"more": 1}})},
	{"dict", 0, kind("table", values{"v": "k"})},
	{"None for an Optional", 0, kind("maybe", nil)},
	{"Union", 0, kind("either", "word?")},
	{"dataclass", 0, kind("shape", shape)},
	{"settings of the command line", 0, (*suite).settings},
	{"a label of a cluster", 0, (*suite).labelled},
	{"inputs and outputs of a node", 0, (*suite).nodeValues},

	// Types, sent as objects.
	{"pydantic model", kubelet | s3, structured("person", person)},
	{"list of pydantic models", 0, structured("people", []any{person, older})},
	{"dataclass of dataclasses", 0, structured("tree", tree)},
	{"dict of anything", 0, structured("anything", anything)},
	{"Literal", 0, structured("size", "large")},
	{"Union of list, dict and None", 0, structured("many", values{"n": 3})},
	{"file in a dataclass", s3, output("models.wrapped", values{"text": "inside"}, values{"o0": "inside: inside"})},

	// What is stored beside literals.
	{"FlyteFile", kubelet | s3, parcel("file", "file++")},
	{"FlyteDirectory", kubelet | s3, parcel("folder", values{"a.txt": "a++", "deep/b.txt": "bb"})},
	{"pickle", s3, parcel("counts", values{"sent": 1, "carried": 2})},
	{"dataframe", s3, parcel("frame", values{"word": []string{"x", "y"}, "n": []int{3, 4}})},
	{"StructuredDataset as pyarrow", 0, tables("whole", values{"word": []string{"a", "bcd"}, "n": []int{1, 3}})},
	{"StructuredDataset with fewer columns, as pandas", 0, tables("narrow", values{"n": []int{2, 4}})},
	{"columns of a StructuredDataset", 0, tables("columns", values{"n": "1"})},
	{"pyarrow table", 0, tables("arrow", values{"n": []int{1, 3}})},
	{"dict of files from a list of files", 0, files("texts", values{"x": "xx", "y": "yy"})},
	{"names in a FlyteDirectory", 0, files("names", []string{"x.txt", "y.txt"})},
	{"files on the command line", kubelet | s3, (*suite).sent},
	{"a file at an address of the task's own", 0, (*suite).placed},
	{"download of outputs", s3, (*suite).download},
	{"files of a container that knows nothing of flytekit", s3, (*suite).contained},
	{"inputs and outputs that fill no row", s3, (*suite).large},

	// What a task learns.
	{"environment variables of a launch", kubelet, (*suite).variables},
	{"a raw output prefix", 0, (*suite).rawPrefix},
	{"the context of a task", 0, (*suite).context},

	// Workflows.
	{"sub-workflows", kubelet | s3, (*suite).subworkflows},
	{"an order without data", 0, (*suite).order},
	{"picked parts of an output", s3, (*suite).picking},
	{"named outputs", 0, (*suite).named},
	{"defaults for every input", 0, output("runs.defaults", nil, values{"o0": "None nothing None"})},
	{"no outputs", 0, output("runs.nothing", values{"text": "said"}, nil)},
	{"a container that knows nothing of flytekit", s3, output("runs.shouting", values{"text": "ho", "times": 3}, values{"o0": "HOHOHO"})},

	// Executions.
	{"a single task on the command line", kubelet, (*suite).single},
	{"a single task, and a generated name", 0, (*suite).fetched},
	{"a label that no cluster has", 0, (*suite).nowhere},
	{"an execution is ended", 0, (*suite).terminated},
	{"a cluster pool is refused by name", 0, (*suite).pool},
	{"nodes one after another for a parallelism of one", 0, (*suite).parallelism},
	{"a name taken twice", 0, (*suite).twice},
	{"relaunch", 0, (*suite).relaunched},
	{"recover is refused by name", 0, (*suite).recovered},
	{"labels, annotations and account reach the pod", 0, (*suite).decorated},
	{"labels of a launch plan reach the pod", 0, (*suite).planned},
	{"image and resources of a task", 0, (*suite).resources},
	{"overrides of image and resources", 0, (*suite).overrides},
	{"secrets in variables and in a file", 0, (*suite).secrets},
	{"a pod template of two containers", 0, (*suite).template},
	{"a pod template of the cluster", 0, (*suite).namedTemplate},
	{"deck", s3, (*suite).deck},
	{"data by a flyte address", 0, (*suite).address},

	// Launch plans.
	{"default and fixed inputs", kubelet | s3, (*suite).greeting},
	{"another value for a default input", 0, (*suite).overridden},
	{"another value for a fixed input is refused", 0, (*suite).fixed},
	{"one active version at a time", 0, (*suite).activation},
	{"activation and list by commands", 0, (*suite).planCommands},

	// Bad launches.
	{"an input of the wrong type", 0, bare("textkit.workflows.inner", values{"a": "word"}, "", "FlyteInvalidInputException", "a")},
	{"a missing input", 0, bare("textkit.workflows.inner", values{}, "", "FlyteInvalidInputException", "a")},
	{"an unknown input", 0, bare("textkit.workflows.inner", values{"a": 1, "surplus": 2}, "", "FlyteInvalidInputException", "surplus")},
	{"an unknown launch plan", 0, bare("textkit.workflows.nobody", values{}, "", "FlyteEntityNotExistException", "nobody")},
	{"a bad execution name", 0, bare("textkit.workflows.inner", values{"a": 1}, "9lives", "FlyteInvalidInputException", "name")},

	// Failures.
	{"a failure reaches the client", kubelet | s3, (*suite).failure},
	{"a traceback tells where", 0, failing("runs.dividing", values{"n": 3}, "ZeroDivisionError", "runs.py", "innermost", "USER")},
	{"sys.exit", 0, failing("runs.quitting", values{"code": 7}, "7")},
	{"an exit without a word", kubelet, patient("n0", "FAILED", "exit code (3)")},
	{"a timeout", kubelet, patient("n1", "FAILED", "timeout [1s] expired")},
	{"what can run does so beside a failure", 0, patient("n2", "SUCCEEDED", "")},
	{"a task cleans up after a failure", 0, func(s *suite, t *testing.T) { s.cleanup(t, "careful") }},
	{"a workflow cleans up after a failure", 0, func(s *suite, t *testing.T) { s.cleanup(t, "thorough") }},
	{"retries until it is good", kubelet | s3, func(s *suite, t *testing.T) { s.retry(t, 2, "SUCCEEDED") }},
	{"retries that do not suffice", 0, func(s *suite, t *testing.T) { s.retry(t, 9, "FAILED") }},
	{"a checkpoint outlives an attempt", s3, output("runs.resuming", nil, values{"o0": "as far as this"})},
	{"a dynamic task fails by name", 0, failing("growing", values{"n": 2}, "DynamicNotSupported")},

	// Lists.
	{"pages, sorted both ways", 0, (*suite).pages},
	{"filters", 0, (*suite).filters},
	{"bad lists are refused by name", 0, (*suite).badLists},
	{"lists of what is registered", 0, (*suite).registry},
	{"interfaces of what is registered", 0, (*suite).interfaces},
	{"recent executions", 0, (*suite).recent},
	{"pages of nodes", 0, (*suite).nodePages},
	{"projects and domains", 0, (*suite).domains},
}
