package simnode

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Annotations on a pod that say what becomes of it, over the agent's own rule.
const (
	DelayAnnotation    = "simulated.skein.dev/delay"     // a duration, such as 1s
	ResultAnnotation   = "simulated.skein.dev/result"    // succeed, fail, oom or evict
	ExitCodeAnnotation = "simulated.skein.dev/exit-code" // of a failure; by itself it means fail unless it is 0
)

// Result is how a pod ends.
type Result string

// The results.
const (
	Succeed Result = "succeed"
	Fail    Result = "fail"
	OOM     Result = "oom"
	Evict   Result = "evict"
)

// Rule says what becomes of a pod.
type Rule struct {
	// Delay is how long it runs; 0: it is never seen running.
	Delay time.Duration
	// Result is how it ends; empty: Succeed.
	Result Result
	// ExitCode is the first container's if it fails; 0: 1.
	ExitCode int32
}

func (r Rule) check() error {
	if r.Delay < 0 {
		return fmt.Errorf("delay %s is below 0", r.Delay)
	}
	if r.ExitCode < 0 || r.ExitCode > 255 {
		return fmt.Errorf("exit code %d is not from 0 to 255", r.ExitCode)
	}
	switch r.Result {
	case "", Succeed, Fail, OOM, Evict:
		return nil
	}
	return fmt.Errorf("result %q is none of succeed, fail, oom and evict", r.Result)
}

// of is the rule for one pod.
func (r Rule) of(pod *corev1.Pod) (Rule, error) {
	if text, ok := pod.Annotations[DelayAnnotation]; ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return r, fmt.Errorf("annotation %s: %w", DelayAnnotation, err)
		}
		r.Delay = d
	}
	result, said := pod.Annotations[ResultAnnotation]
	if said {
		r.Result = Result(result)
	}
	if text, ok := pod.Annotations[ExitCodeAnnotation]; ok {
		code, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return r, fmt.Errorf("annotation %s: %q is no number", ExitCodeAnnotation, text)
		}
		if r.ExitCode = int32(code); !said {
			r.Result = Succeed
			if code != 0 {
				r.Result = Fail
			}
		}
	}
	return r, r.check()
}

// outcome is how a pod ended, in a kubelet's words.
type outcome struct {
	succeeded       bool
	exit            int32  // of the first container, or of all
	all             bool   // containers ended so
	container       string // the reason in their states
	reason, message string // of the pod
}

func (r Rule) outcome() outcome {
	switch r.Result {
	case Fail:
		return outcome{exit: max(r.ExitCode, 1), container: "Error"}
	case OOM:
		return outcome{exit: 137, container: "OOMKilled"}
	case Evict:
		return outcome{exit: 137, all: true, container: "Error", reason: "Evicted", message: "The pod was evicted by its rule."}
	}
	return outcome{succeeded: true, container: "Completed"}
}

// What ends a pod besides its rule.
var (
	pastDeadline = outcome{exit: 143, all: true, container: "Error", reason: "DeadlineExceeded",
		message: "Pod was active on the node longer than the specified deadline"}
	deleted = outcome{exit: 143, all: true, container: "Error"}
	lost    = outcome{exit: 137, all: true, container: "ContainerStatusUnknown", reason: "NodeShutdown",
		message: "the simulated node agent was restarted"}
)

func badRule(err error) outcome {
	return outcome{exit: 1, all: true, container: "Error", reason: "BadSimulationRule", message: err.Error()}
}
