package placement

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// maxView bounds what a stored view may unpack to.
const maxView = 1 << 30

// Encode packs a view, to be stored with what was decided by it: the same view,
// in whatever order its lists come, gives the same bytes. What requirements the
// pending executions carry besides their digest is left out where the view knows
// the digest.
func Encode(v View) ([]byte, error) {
	v = canonical(v)
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "cannot pack a view")
	}
	if err := json.NewEncoder(zip).Encode(v); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "cannot write a view as JSON")
	}
	if err := zip.Close(); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "cannot pack a view")
	}
	return out.Bytes(), nil
}

// Decode reads what Encode wrote. Errors are Invalid.
func Decode(b []byte) (View, error) {
	var v View
	zip, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return v, fault.Wrap(fault.Invalid, err, "the view of a round is not packed as this program packs it")
	}
	if err := json.NewDecoder(io.LimitReader(zip, maxView)).Decode(&v); err != nil {
		return v, fault.Wrap(fault.Invalid, err, "the view of a round cannot be read")
	}
	return v, nil
}

// canonical puts the lists of a view in order, and its times in UTC.
func canonical(v View) View {
	v.Now = v.Now.UTC()
	v.Pending, v.Clusters = slices.Clone(v.Pending), slices.Clone(v.Clusters)
	v.Loads, v.Recent = slices.Clone(v.Loads), slices.Clone(v.Recent)
	v.Policies = slices.Clone(v.Policies)
	for i := range v.Pending {
		p := &v.Pending[i]
		p.CreatedAt, p.NotBefore = p.CreatedAt.UTC(), p.NotBefore.UTC()
		if _, ok := v.Requirements[p.Digest]; ok {
			p.Requirement = flow.Requirement{}
		}
	}
	slices.SortFunc(v.Pending, func(a, b flow.Pending) int { return cmp.Compare(a.Execution.String(), b.Execution.String()) })
	slices.SortFunc(v.Clusters, func(a, b ClusterView) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Loads, func(a, b flow.Load) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Tenant.String(), b.Tenant.String()), cmp.Compare(a.Group, b.Group),
			cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Executions, b.Executions), cmp.Compare(fmt.Sprint(a.Reservation), fmt.Sprint(b.Reservation)))
	})
	slices.SortFunc(v.Recent, func(a, b Ran) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Tenant.String(), b.Tenant.String()), cmp.Compare(a.Workflow, b.Workflow))
	})
	slices.SortFunc(v.Policies, func(a, b flow.Policy) int {
		return cmp.Or(cmp.Compare(a.Scope.String(), b.Scope.String()), cmp.Compare(a.Version, b.Version))
	})
	return v
}

// marks are the bytes of a plan that Mark keeps of one decision.
const marks = 16

// Mark is what a Round keeps of a plan: a short digest of each decision, the
// placements first, in the order in which they were made.
func (p Plan) Mark() []byte {
	out := make([]byte, 0, marks*(len(p.Placements)+len(p.Waits)))
	for _, x := range p.Placements {
		out = append(out, mark(x.Execution, x.Cluster, x.From, string(x.Kind), x.Fallback, x.Trail, fmt.Sprint(x.Prior, x.Restart), score(x.Score))...)
	}
	for _, w := range p.Waits {
		out = append(out, mark(w.Execution, w.Trail)...)
	}
	return out
}

func mark(id flow.ExecutionID, facts ...string) []byte {
	var b []byte
	for _, s := range append([]string{id.String()}, facts...) {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	sum := sha256.Sum256(b)
	return sum[:marks]
}

func score(x float64) string { return fmt.Sprintf("%x", math.Float64bits(x)) }

// Digest names a plan: equal digests, equal decisions for equal reasons.
func (p Plan) Digest() string {
	sum := sha256.Sum256(p.Mark())
	return hex.EncodeToString(sum[:])
}

// Difference is a decision that a replay took otherwise than it was stored.
type Difference struct {
	Execution flow.ExecutionID // of the replay's decision; zero if it has fewer
	Position  int              // in the plan: placements first, in order
	Cluster   string           // what the replay decides; empty: to wait
	Message   string
}

// Replay takes a stored round again, and tells where it comes out otherwise. A
// round that the same program decided has no differences. Errors are Invalid.
func Replay(r flow.Round) ([]Difference, error) {
	v, err := Decode(r.View)
	if err != nil {
		return nil, err
	}
	if len(r.Plan)%marks != 0 {
		return nil, fault.E(fault.Invalid, "the plan of round %s holds %d bytes, no multiple of %d", r.ID, len(r.Plan), marks)
	}
	plan := Decide(v)
	now := plan.Mark()
	var out []Difference
	for i := 0; i*marks < max(len(now), len(r.Plan)); i++ {
		d := Difference{Position: i, Message: "the stored decision is another one"}
		switch {
		case (i+1)*marks > len(now):
			d.Message = "the replay takes fewer decisions"
			out = append(out, d)
			continue
		case (i+1)*marks > len(r.Plan):
			d.Message = "this decision was not stored"
		case bytes.Equal(now[i*marks:(i+1)*marks], r.Plan[i*marks:(i+1)*marks]):
			continue
		}
		if i < len(plan.Placements) {
			d.Execution, d.Cluster = plan.Placements[i].Execution, plan.Placements[i].Cluster
		} else {
			d.Execution = plan.Waits[i-len(plan.Placements)].Execution
		}
		out = append(out, d)
	}
	return out, nil
}
