// Package badinput holds one table of bad inputs and what becomes of them: sent
// to a running federation over gRPC, REST, signed links, the road that members
// join by, and the command line.
//
// There is nothing but tests here. Each row says exactly how it is refused and
// what its message names; refusals of good requests by state (an outage, a full
// disk) are the business of package faults. Invariant: every method of every
// service that people call is refused something here, no refusal is UNKNOWN or
// INTERNAL, and after all of them the database and the object store hold what
// they held before.
package badinput
