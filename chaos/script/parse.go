// Package script runs scenarios: text files that say what a federation of real
// processes goes through, and what must hold afterwards.
//
// It knows the language and the order of things; the processes, the clients and
// what is seen of them are behind ports that the caller fills. The judgement is
// in Verdict and asks nothing of the code under test but what was accepted.
// Invariant: whatever a scenario did to links and processes is undone before
// the verdict, and every execution that was accepted has to end.
//
// A scenario is one verb a line. Words behind it are its arguments, key=value
// its settings; "#" begins a comment, and comments before the first verb say
// what the scenario is about. "repeat N" … "end" repeats what is between.
//
//	federation replicas=3 clusters=3 lease=12s suspect=5s nodes=simulated pods=200 startup=2s certificates=24h
//	launch 30 seconds=4 every=100ms      begins to launch chains of three tasks (tasks=1: of one), and goes on
//	wait running 10 within=30s           until so many are in a phase
//	cut eu-1/hub-*                       also hole, up, down, slow (delay=200ms)
//	heal *
//	disturb */api late share=0.1         until calm; see chaos/inject/kubeapi, and pgwire of */database
//	calm */api
//	disturbed */api 20                   so many answers were, at least
//	fill eu-1/etcd                       the disk below it; wants disks=small
//	clear *
//	readmit eu-1                         by a new join token
//	says eu-1/propeller WORDS            until they are in its log
//	kill leader                          -9; also stop, continue, start
//	restart c1/propeller                 in order; upgrade PART new runs another release
//	add-replica                          one more; remove-replica admin-0 takes one away
//	pause 2s
//	health eu-1 Lapsed within=30s
//	empty eu-1 within=40s                until nothing is placed there
//	doubt within=30s                     until the control plane says so
//	skein cluster drain us-1
//	ended within=2m                      until all that was launched has ended
//	succeeded within=2m                  and has succeeded
//	moves = 0                            also >=, of all that was launched
//	lose eu-1 done=100                   cuts it from all hubs, with work on it (of which so many
//	                                     nodes have succeeded at least), which then
//	failover eu-1 within=60s             runs elsewhere: how long after the cut is measured
//	clean eu-1 within=60s                until nothing of an old epoch is alive there
//	join c4                              one more cluster, by what the command line prints;
//	                                     how long until work is placed there is measured
//	intrude used-token c4                is turned away, and in the audit; refusals has the ways
//	revoke c4                            its members; then silent measures how long its events
//	silent c4                            were still accepted, and shut how long a replica still
//	shut c4 admin-0                      gave them certificates
//	rotated 2 within=60s                 until each member's sessions had so many new certificates
//	told 3                               every end of so many nodes, of an attempt of each, is recorded
//	offer 20 for=60s seconds=1           so many launches a second, each tried once
//	weigh                                the propellers' memory: before, and from then on until
//	weighed                              its growth is measured
//	caughtup within=30s                  until all that was accepted by now has ended, measured
//	settled within=60s                   until all that was offered and exists has ended
//	transfer                             leadership to another replica
//	mark                                 begins a measurement, which
//	gap placements                       ends: the longest pause between first placements;
//	                                     "gap leader": of each kill of a leader; "gap transfer"
//	bar leader_gap_max_ms <= 4000        holds a figure that was measured to a bar
package script

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// Step is one line of a scenario.
type Step struct {
	Line int
	Verb string
	Args []string
	Set  map[string]string
}

// Scenario is a parsed script, its repetitions written out.
type Scenario struct {
	Name  string
	About string
	Setup Setup
	Steps []Step
}

// Setup is the federation that a scenario wants.
type Setup struct {
	Replicas, Clusters int
	Lease              time.Duration
	// Suspect is how long a cluster may be silent before it gets nothing new; it
	// is below the lease. Zero: the default.
	Suspect      time.Duration
	Nodes        string
	Pods         int           // that a simulated node takes at once; zero: the default
	Disturbed    bool          // API servers and databases err at times
	Startup      time.Duration // of a pod on a simulated node, from its creation on
	Certificates time.Duration // how long a member's is valid; zero: the default
	Disks        string        // "small": ones that can be filled; empty: the machine's
}

// maxSteps bounds what repetitions come to.
const maxSteps = 10_000

// Parse reads a scenario. Errors are Invalid and name the line.
func Parse(name string, text []byte) (Scenario, error) {
	s := Scenario{Name: name, Setup: Setup{Replicas: 3, Clusters: 3, Lease: 12 * time.Second, Nodes: "simulated"}}
	p := parser{scenario: &s}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		if err := p.line(n, lines.Text()); err != nil {
			return s, fault.Wrap(fault.Invalid, err, "%s, line %d", name, n)
		}
	}
	switch {
	case p.block != nil:
		return s, fault.E(fault.Invalid, "%s: a repeat has no end", name)
	case len(s.Steps) == 0:
		return s, fault.E(fault.Invalid, "%s: there are no steps", name)
	case len(s.Steps) > maxSteps:
		return s, fault.E(fault.Invalid, "%s: %d steps; %d are the most", name, len(s.Steps), maxSteps)
	}
	return s, lines.Err()
}

type parser struct {
	scenario *Scenario
	begun    bool
	block    []Step // of a repeat; nil outside one
	times    int
}

func (p *parser) line(n int, text string) error {
	if about, ok := strings.CutPrefix(strings.TrimSpace(text), "#"); ok && !p.begun {
		p.scenario.About = strings.TrimSpace(p.scenario.About + " " + strings.TrimSpace(about))
		return nil
	}
	text, _, _ = strings.Cut(text, "#")
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil
	}
	step := Step{Line: n, Verb: words[0], Set: map[string]string{}}
	for _, w := range words[1:] {
		// "=" alone, ">=" and what the command line takes are words.
		if k, v, ok := strings.Cut(w, "="); ok && k != "" && v != "" && step.Verb != "skein" && !strings.ContainsAny(k, "<>!-") {
			step.Set[k] = v
			continue
		}
		step.Args = append(step.Args, w)
	}
	return p.step(step)
}

func (p *parser) step(s Step) error {
	switch s.Verb {
	case "federation":
		if p.begun {
			return fault.E(fault.Invalid, "federation comes first, and once")
		}
		p.begun = true
		return p.setup(s)
	case "repeat":
		n, err := s.count(0)
		if err != nil || p.block != nil {
			return fault.E(fault.Invalid, "repeat takes a number, and holds no other repeat")
		}
		p.block, p.times = []Step{}, n
		return nil
	case "end":
		if p.block == nil {
			return fault.E(fault.Invalid, "end without repeat")
		}
		for range p.times {
			p.scenario.Steps = append(p.scenario.Steps, p.block...)
		}
		p.block = nil
		return nil
	}
	p.begun = true
	if err := known(s); err != nil {
		return err
	}
	if s.Verb == "disturb" {
		p.scenario.Setup.Disturbed = true
	}
	if p.block != nil {
		p.block = append(p.block, s)
	} else {
		p.scenario.Steps = append(p.scenario.Steps, s)
	}
	return nil
}

func (p *parser) setup(s Step) (err error) {
	u := &p.scenario.Setup
	for k, v := range s.Set {
		switch k {
		case "replicas":
			u.Replicas, err = strconv.Atoi(v)
		case "clusters":
			u.Clusters, err = strconv.Atoi(v)
		case "lease":
			u.Lease, err = time.ParseDuration(v)
		case "suspect":
			u.Suspect, err = time.ParseDuration(v)
		case "nodes":
			u.Nodes = v
		case "pods":
			u.Pods, err = strconv.Atoi(v)
		case "startup":
			u.Startup, err = time.ParseDuration(v)
		case "certificates":
			u.Certificates, err = time.ParseDuration(v)
		case "disks":
			u.Disks = v
		default:
			err = fmt.Errorf("want replicas, clusters, lease, suspect, nodes, pods, startup, certificates or disks, got %q", k)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// count is the argument at i as a number.
func (s Step) count(i int) (int, error) {
	if len(s.Args) <= i {
		return 0, fault.E(fault.Invalid, "%s wants a number", s.Verb)
	}
	n, err := strconv.Atoi(s.Args[i])
	if err != nil || n < 0 {
		return 0, fault.E(fault.Invalid, "%s: %q is no number", s.Verb, s.Args[i])
	}
	return n, nil
}

// number is a setting that counts something, or 0.
func (s Step) number(key string) (int, error) {
	text, said := s.Set[key]
	if !said {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.E(fault.Invalid, "%s: %s=%q is no number", s.Verb, key, text)
	}
	return n, nil
}

// duration is a setting, or a default.
func (s Step) duration(key string, otherwise time.Duration) time.Duration {
	d, err := time.ParseDuration(s.Set[key])
	if err != nil {
		return otherwise
	}
	return d
}

// String prints the step as it was written.
func (s Step) String() string {
	out := append([]string{s.Verb}, s.Args...)
	for k, v := range s.Set {
		out = append(out, k+"="+v)
	}
	return strings.Join(out, " ")
}
