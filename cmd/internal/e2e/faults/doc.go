// Package faults holds the tests of what users are promised while parts of a
// real federation die, stall or fill up: replicas, propellers, the database, API
// servers, disks, the object store, clusters that fall silent, clients that
// leave, and the demo itself.
//
// There is nothing but tests here. They start real processes (federationtest),
// speak to them as clients do, and look into the database and the API servers
// only to check. Invariant: every test names the seed of its chance, and
// leaves no process behind.
package faults
