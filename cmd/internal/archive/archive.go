// Package archive reads what "pyflyte package" and "pyflyte serialize" write:
// serialised tasks, workflows and launch plans, with or without the code that
// they run, and turns it into the requests that register it.
//
// It does what "flytectl register files" does before it calls the control
// plane (contract 2.3), and calls nobody itself. Invariant: what is read is
// bounded, whatever a file says of itself, and every error names the file.
package archive

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// What an archive may hold; see docs/limits.md.
const (
	maxFiles       = 10_000
	maxDefinition  = 20 << 20  // bytes of one file; the control plane takes no larger message
	maxDefinitions = 256 << 20 // bytes of all files
	maxCode        = 512 << 20 // bytes of the packaged code
	maxUnpacked    = 1 << 30   // bytes of an archive with all that it holds
)

// Archive is what was read.
type Archive struct {
	Code *Code // nil if the code is in the tasks' image

	entries []entry // in the order of registration
}

// Code is the packaged code of the tasks, as one compressed file.
type Code struct {
	Name string
	Raw  []byte
}

// entry is one definition.
type entry struct {
	file    string
	message proto.Message // *admin.TaskSpec, *admin.WorkflowSpec or *admin.LaunchPlan
}

// kinds are what files hold by the end of their names, as flytekit writes them.
var kinds = map[string]func() proto.Message{
	"_1.pb": func() proto.Message { return &admin.TaskSpec{} },
	"_2.pb": func() proto.Message { return &admin.WorkflowSpec{} },
	"_3.pb": func() proto.Message { return &admin.LaunchPlan{} },
}

const codeSuffix = ".tar.gz"

// limit is how many bytes of a file are read; zero means that the file is of no
// known kind.
func limit(name string) int64 {
	switch {
	case strings.HasSuffix(name, codeSuffix):
		return maxCode
	case kinds[suffix(name)] != nil:
		return maxDefinition
	}
	return 0
}

// suffix is the part of a definition's name that tells its kind.
func suffix(name string) string {
	if i := strings.LastIndexByte(name, '_'); i >= 0 {
		return name[i:]
	}
	return ""
}

// reader gathers files.
type reader struct {
	Archive
	size int64 // of all definitions
}

// add takes one file.
func (r *reader) add(name string, raw []byte) error {
	if strings.HasSuffix(name, codeSuffix) {
		if r.Code != nil {
			return invalid(name, "is a second archive of code beside %s: want at most one", r.Code.Name)
		}
		r.Code = &Code{Name: path.Base(name), Raw: raw}
		return nil
	}
	message := kinds[suffix(name)]()
	if err := proto.Unmarshal(raw, message); err != nil {
		return invalid(name, "is no %s: %v", message.ProtoReflect().Descriptor().FullName(), err)
	}
	if r.size += int64(len(raw)); r.size > maxDefinitions {
		return invalid(name, "is one too many: all definitions together may have %d bytes", maxDefinitions)
	}
	if len(r.entries) == maxFiles {
		return invalid(name, "is one too many: want at most %d files", maxFiles)
	}
	r.entries = append(r.entries, entry{name, message})
	return nil
}

// done puts the definitions in their order, that of their files' own names:
// what others depend on has a lower number.
func (r *reader) done() (*Archive, error) {
	if len(r.entries) == 0 {
		return nil, fault.E(fault.Invalid, "nothing to register: there is no file that ends in _1.pb (task), _2.pb (workflow) or _3.pb (launch plan), as pyflyte package and pyflyte serialize write them")
	}
	slices.SortStableFunc(r.entries, func(a, b entry) int { return cmp.Compare(path.Base(a.file), path.Base(b.file)) })
	return &r.Archive, nil
}

func invalid(file, format string, args ...any) error {
	return fault.Field(file, format, args...)
}
