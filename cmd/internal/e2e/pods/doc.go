// Package pods tests what a pod means against a real kubelet: each row of the phase table in contract 19.3 that a node
// brings about is seen there once, and read by plugins/pod.
//
// It holds tests only. Invariant: the only reason for which they do not run is a machine that cannot have real nodes,
// and then one fixed line says so (namespace.SkipLine).
package pods
