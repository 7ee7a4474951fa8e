// Package baremachine starts the demo on machines that lack something, and
// holds it to what a stranger needs then: an error that names what is wrong
// and the way out, an exit code of its kind, and nothing left running.
//
// It holds tests only. What is missing is really missing: the real programs
// run in mount and network namespaces of their own, without the folder, with
// a full disk, without a loopback.
package baremachine
