package service

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// page is what every list request has.
type page interface {
	GetLimit() uint32
	GetToken() string
	GetFilters() string
	GetSortBy() *admin.Sort
}

// query reads limit, token, filters and order of a list request about one
// noun (contract section 8). noun is the filter prefix that means the listed
// thing itself.
func query(p page, noun string) (flow.Query, error) {
	if p.GetLimit() == 0 {
		return flow.Query{}, fault.Field("limit", "must be above 0")
	}
	offset, err := offsetOf(p.GetToken())
	if err != nil {
		return flow.Query{}, err
	}
	filters, err := parseFilters(p.GetFilters(), noun)
	if err != nil {
		return flow.Query{}, err
	}
	q := flow.Query{Limit: int(min(p.GetLimit(), MaxPageSize)), Offset: offset, Filters: filters}
	if sort := p.GetSortBy(); sort.GetKey() != "" {
		q.SortBy = ownField(sort.GetKey(), noun)
		q.Ascend = sort.GetDirection() == admin.Sort_ASCENDING
	}
	return q, nil
}

func offsetOf(token string) (int, error) {
	if token == "" {
		return 0, nil
	}
	offset, err := strconv.Atoi(token)
	if err != nil || offset < 0 || offset > 1<<31-1 {
		return 0, fault.Field("token", "%s is not a decimal offset", fault.Quote(token))
	}
	return offset, nil
}

// nextToken is empty once a page is not full: clients stop there.
func nextToken(q flow.Query, got int) string {
	if got < q.Limit {
		return ""
	}
	return strconv.Itoa(q.Offset + got)
}

// What one list may be asked for: a statement has a bounded number of
// parameters.
const (
	maxFilters      = 50
	maxFilterValues = 1000
)

var operators = []flow.Op{flow.OpEqual, flow.OpNotEqual, flow.OpGreater, flow.OpAtLeast, flow.OpLess,
	flow.OpAtMost, flow.OpContains, flow.OpNotLike, flow.OpIn, flow.OpNotIn}

// parseFilters reads fn(field,value) expressions joined by +. A + within a
// value is kept: it joins only where the next operator follows.
func parseFilters(s, noun string) ([]flow.Filter, error) {
	if err := prose("filters", s); err != nil {
		return nil, err
	}
	var filters []flow.Filter
	for s = strings.TrimSpace(s); s != ""; {
		name, rest, ok := strings.Cut(s, "(")
		op := flow.Op(strings.TrimSpace(name))
		if !ok || !slices.Contains(operators, op) {
			return nil, fault.Field("filters", "%s does not begin with a function such as eq(field,value)", fault.Quote(s))
		}
		end := expressionEnd(rest)
		if end < 0 {
			return nil, fault.Field("filters", "%s has no closing parenthesis", fault.Quote(s))
		}
		field, value, ok := strings.Cut(rest[:end], ",")
		if field = strings.TrimSpace(field); !ok || field == "" {
			return nil, fault.Field("filters", "%s is not of the form %s(field,value)", fault.Quote(s), op)
		}
		f := flow.Filter{Field: ownField(field, noun), Op: op, Values: []string{strings.TrimPrefix(value, " ")}}
		if op == flow.OpIn || op == flow.OpNotIn {
			f.Values = strings.Split(f.Values[0], ";")
		}
		if len(f.Values) > maxFilterValues || len(filters) == maxFilters {
			return nil, fault.Field("filters", "there are too many: at most %d fit in one request, with at most %d values each", maxFilters, maxFilterValues)
		}
		filters = append(filters, f)
		s = strings.TrimLeft(rest[end+1:], "+ ")
	}
	return filters, nil
}

// nextExpression is what follows an expression that is not the last.
var nextExpression = regexp.MustCompile(`^[+ ]+[a-z_]+\(`)

// expressionEnd finds the parenthesis that ends an expression: one that ends
// all, or that another expression follows.
func expressionEnd(s string) int {
	for i := range len(s) {
		if s[i] != ')' {
			continue
		}
		if strings.Trim(s[i+1:], "+ ") == "" || nextExpression.MatchString(s[i+1:]) {
			return i
		}
	}
	return -1
}

// ownField drops the prefix that means the listed noun itself.
func ownField(field, noun string) string {
	own := strings.TrimPrefix(field, noun+".")
	if noun == "execution" {
		switch own {
		case "project", "domain", "name":
			return "execution_" + own
		}
	}
	return own
}

// hasField reports whether a query filters by one of the fields.
func hasField(q flow.Query, fields ...string) bool {
	return slices.ContainsFunc(q.Filters, func(f flow.Filter) bool { return slices.Contains(fields, f.Field) })
}
