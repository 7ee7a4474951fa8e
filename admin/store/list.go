package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// listing says how one noun may be listed: which public names stand for which
// SQL, and nothing else ever gets into a statement's text.
type listing struct {
	noun   string // prefix that a field may carry: "execution.phase"
	fields map[string]field
	newest string // SQL of the time by which lists are ordered unless asked otherwise
	tie    []string
	ascend bool // default order is ascending
}

type field struct {
	sql   string
	parse func(string) (any, error)
	like  bool // contains and not_like make sense
}

func text(sql string) field    { return field{sql, func(v string) (any, error) { return v, nil }, true} }
func instant(sql string) field { return field{sql, parseTime, false} }
func integer(sql string) field { return field{sql, parseInteger, false} }
func boolean(sql string) field { return field{sql, parseBoolean, false} }
func seconds(sql string) field { return field{sql, parseSeconds, false} }

// lasted is how many seconds a run took, or NULL while it goes on.
const lasted = "EXTRACT(EPOCH FROM (ended_at - COALESCE(started_at, created_at)))::FLOAT8"

// phase compares by Flyte's names of phases.
func phase[P interface {
	~int32
	String() string
}](last P) field {
	return field{"phase", func(v string) (any, error) {
		for p := P(0); p <= last; p++ {
			if p.String() == v {
				return int64(p), nil
			}
		}
		return nil, fmt.Errorf("%q is no phase", v)
	}, false}
}

func parseTime(v string) (any, error) {
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil { // in a query of a URL, the + of an offset has become a space
		t, err = time.Parse(time.RFC3339Nano, strings.Replace(v, " ", "+", 1))
	}
	if err != nil {
		return nil, fmt.Errorf("%q is no time such as 2026-01-31T12:00:00Z", v)
	}
	return t.UTC(), nil
}

func parseInteger(v string) (any, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no integer", v)
	}
	return n, nil
}

func parseBoolean(v string) (any, error) {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return nil, fmt.Errorf("%q is neither true (1) nor false (0)", v)
	}
	return b, nil
}

func parseSeconds(v string) (any, error) {
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		return n, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return nil, fmt.Errorf("%q is no duration in seconds, nor one such as 1m30s", v)
	}
	return d.Seconds(), nil
}

var comparisons = map[flow.Op]string{
	flow.OpEqual: "=", flow.OpNotEqual: "<>", flow.OpGreater: ">", flow.OpAtLeast: ">=",
	flow.OpLess: "<", flow.OpAtMost: "<=", flow.OpContains: "LIKE", flow.OpNotLike: "NOT LIKE",
	flow.OpIn: "IN", flow.OpNotIn: "NOT IN",
}

// selection is the growing tail of a SELECT.
type selection struct {
	where []string
	args  []any
}

// and adds a condition in which each ? is the next argument.
func (s *selection) and(condition string, args ...any) {
	for _, a := range args {
		s.args = append(s.args, a)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(s.args)), 1)
	}
	s.where = append(s.where, condition)
}

func (l listing) field(name string) (field, bool) {
	f, ok := l.fields[name]
	if !ok && l.noun != "" {
		f, ok = l.fields[strings.TrimPrefix(name, l.noun+".")]
	}
	return f, ok
}

// tail writes WHERE, ORDER BY, LIMIT and OFFSET. Invalid if the query names a
// field that the noun does not have, or a value that the field cannot have.
func (l listing) tail(s *selection, q flow.Query) (string, error) {
	if q.Limit < 1 {
		return "", fault.Field("limit", "must be at least 1, is %d", q.Limit)
	}
	if q.Offset < 0 {
		return "", fault.Field("token", "must not be negative, is %d", q.Offset)
	}
	for _, f := range q.Filters {
		if err := l.filter(s, f); err != nil {
			return "", err
		}
	}
	order, err := l.order(q)
	if err != nil {
		return "", err
	}
	where := ""
	if len(s.where) > 0 {
		where = " WHERE " + strings.Join(s.where, " AND ")
	}
	return fmt.Sprintf("%s ORDER BY %s LIMIT %d OFFSET %d", where, order, q.Limit, q.Offset), nil
}

func (l listing) filter(s *selection, f flow.Filter) error {
	known, ok := l.field(f.Field)
	if !ok {
		return fault.Field(f.Field, "is not a field that %s lists can be filtered by", l.noun)
	}
	compare, ok := comparisons[f.Op]
	if !ok {
		return fault.Field(f.Field, "%q is not a comparison", f.Op)
	}
	many := f.Op == flow.OpIn || f.Op == flow.OpNotIn
	if len(f.Values) == 0 || (!many && len(f.Values) > 1) {
		return fault.Field(f.Field, "%s takes %d values too many or too few", f.Op, len(f.Values))
	}
	if (f.Op == flow.OpContains || f.Op == flow.OpNotLike) && !known.like {
		return fault.Field(f.Field, "%s works on text only", f.Op)
	}
	values := make([]any, len(f.Values))
	for i, text := range f.Values {
		v, err := known.parse(text)
		if err != nil {
			return fault.Field(f.Field, "%s", err)
		}
		values[i] = v
	}
	mark := "?"
	switch {
	case many:
		mark = "(" + strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ") + ")"
	case f.Op == flow.OpContains:
		values[0] = "%" + f.Values[0] + "%"
	}
	s.and(known.sql+" "+compare+" "+mark, values...)
	return nil
}

// order ends in the noun's key, so that pages never overlap.
func (l listing) order(q flow.Query) (string, error) {
	by, direction := l.newest, " DESC"
	if q.SortBy != "" {
		known, ok := l.field(q.SortBy)
		if !ok {
			return "", fault.Field("sort_by.key", "%q is not a field that %s lists can be sorted by", q.SortBy, l.noun)
		}
		by = known.sql
	}
	if q.Ascend || (q.SortBy == "" && l.ascend) {
		direction = " ASC"
	}
	list := []string{by + direction}
	for _, t := range l.tie {
		list = append(list, t+direction)
	}
	return strings.Join(list, ", "), nil
}
