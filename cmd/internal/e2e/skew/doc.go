// Package skew holds the test of what users are promised while the control plane
// and the members are upgraded, rolled back, and given other replicas: launches
// go on, and nothing is lost, doubled or moved, although two releases serve side
// by side.
//
// There is nothing but a test here. The earlier release is a commit of this
// repository, named in testdata/earlier; its programs are built once into the
// cache. What happens is told by the scenarios beside it. Invariant: it leaves no
// process behind.
package skew
