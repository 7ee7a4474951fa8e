package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/skein-project/skein/api/flow"
)

const scopeForms = "system, domain/DOMAIN, project/PROJECT, project/PROJECT/DOMAIN, workflow/PROJECT/DOMAIN/WORKFLOW"

// System is the widest scope.
func System() flow.PolicyScope { return flow.PolicyScope{Level: flow.PolicySystem} }

// ParseScope reads what flow.PolicyScope.String prints. A workflow's name may
// hold slashes.
func ParseScope(text string) (flow.PolicyScope, error) {
	parts := strings.SplitN(text, "/", 4)
	var s flow.PolicyScope
	switch level := flow.PolicyLevel(parts[0]); {
	case level == flow.PolicySystem && len(parts) == 1:
		s = System()
	case level == flow.PolicyDomain && len(parts) == 2:
		s = flow.PolicyScope{Level: level, Domain: parts[1]}
	case level == flow.PolicyProject && len(parts) == 2:
		s = flow.PolicyScope{Level: level, Project: parts[1]}
	case level == flow.PolicyProject && len(parts) == 3:
		s = flow.PolicyScope{Level: level, Project: parts[1], Domain: parts[2]}
	case level == flow.PolicyWorkflow && len(parts) == 4:
		s = flow.PolicyScope{Level: level, Project: parts[1], Domain: parts[2], Workflow: parts[3]}
	default:
		return s, fmt.Errorf("%s is not a scope; write one of %s", quote(text), scopeForms)
	}
	problem := scopeProblem(s)
	if problem == "" && s.String() != text { // an empty last part
		problem = fmt.Sprintf("%s is not a scope; write one of %s", quote(text), scopeForms)
	}
	if problem != "" {
		return flow.PolicyScope{}, errors.New(problem)
	}
	return s, nil
}

// scopeProblem says what is wrong with a scope's names; it is empty if nothing is.
func scopeProblem(s flow.PolicyScope) string {
	want := map[flow.PolicyLevel][3]bool{ // project, domain, workflow
		flow.PolicySystem: {}, flow.PolicyDomain: {false, true, false},
		flow.PolicyProject: {true, s.Domain != "", false}, flow.PolicyWorkflow: {true, true, true},
	}
	w, known := want[s.Level]
	if !known || w != [3]bool{s.Project != "", s.Domain != "", s.Workflow != ""} {
		return fmt.Sprintf("%s is not a scope; write one of %s", quote(s.String()), scopeForms)
	}
	for _, part := range []string{s.Project, s.Domain} {
		if strings.Contains(part, "/") || !printable(part, 63) {
			return fmt.Sprintf("%s cannot name a project or a domain", quote(part))
		}
	}
	if !printable(s.Workflow, 255) {
		return fmt.Sprintf("%s cannot name a workflow", quote(s.Workflow))
	}
	return ""
}
