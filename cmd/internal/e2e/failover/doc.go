// Package failover holds the tests of what users are promised when a whole
// cluster is lost in the middle of their work (it goes on elsewhere, what had
// succeeded is not run again, and the cluster gives its copy up when it returns),
// and when the control plane's database is put back to an old backup (what
// clusters hold is known again, and is not run again).
//
// There is nothing but a test here. It starts real processes (federationtest)
// and speaks to them as clients do; into the API servers it looks only to check.
// Invariant: it leaves no process behind.
package failover
