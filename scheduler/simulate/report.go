package simulate

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Result is what came out of one run.
type Result struct {
	Policy      string   `json:"policy"`
	Launched    int      `json:"launched"`
	Ended       int      `json:"ended"`       // the others could run nowhere
	WaitP50     float64  `json:"waitP50"`     // seconds from launch to first start
	WaitP99     float64  `json:"waitP99"`     //
	WaitMax     float64  `json:"waitMax"`     //
	Utilisation float64  `json:"utilisation"` // of all CPUs, until the last launch
	ShareError  float64  `json:"shareError"`  // part of the shares that the wrong one of the backlogged tenants had
	Cost        float64  `json:"cost"`        // CPU hours × the cluster's cost
	Moves       int      `json:"moves"`       // forced ones
	LostHours   float64  `json:"lostHours"`   // work that was done and is done again
	Makespan    Duration `json:"makespan"`    // until the last end
	Decisions   int      `json:"decisions"`
	Hash        string   `json:"hash"` // of all decisions in order

	times []time.Duration
	usage []float64
	waits []float32
}

// Report compares results.
type Report struct {
	Scenario Summary  `json:"scenario"`
	Results  []Result `json:"results"`
}

// Summary says what was played.
type Summary struct {
	Seed       uint64   `json:"seed"`
	Executions int      `json:"executions"`
	Over       Duration `json:"over"`
	Clusters   int      `json:"clusters"`
	Tenants    int      `json:"tenants"`
	Failures   int      `json:"failures"`
}

func (s Scenario) summary() Summary {
	n := s.Executions
	if len(s.Recorded) > 0 {
		n, s.Over = len(s.Recorded), s.Recorded[len(s.Recorded)-1].At
	}
	return Summary{Seed: s.Seed, Executions: n, Over: Duration(s.Over.D().Round(time.Second)), Clusters: len(s.fleet()),
		Tenants: len(s.withRecorded().Tenants), Failures: len(s.Failures)}
}

// Table writes the report for people.
func (r Report) Table(to io.Writer) error {
	s := r.Scenario
	fmt.Fprintf(to, "%d executions of %d tenants over %s on %d clusters, %d failures, seed %d\n\n",
		s.Executions, s.Tenants, s.Over.D(), s.Clusters, s.Failures, s.Seed)
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "POLICY\tWAIT P50\tP99\tMAX\tUTILISATION\tSHARE ERROR\tCOST\tMOVES\tLOST WORK\tNEVER RAN\tDECISIONS")
	for _, x := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.1f %%\t%.1f %%\t%.0f\t%d\t%.1f h\t%d\t%s\n", x.Policy, seconds(x.WaitP50), seconds(x.WaitP99), seconds(x.WaitMax),
			100*x.Utilisation, 100*x.ShareError, x.Cost, x.Moves, x.LostHours, x.Launched-x.Ended, x.Hash[:8])
	}
	return t.Flush()
}

// seconds are written to three digits or so.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Hour:
		return d.Round(time.Minute).String()[:len(d.Round(time.Minute).String())-2]
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
