// Package identity says who speaks on the road: SPIFFE names in certificates,
// the authority that signs them, the TLS configurations of servers, members and
// replicas, and the check of each call's caller.
//
// It is not a policy: it tells who calls and which kind of caller a method
// asks for; whether that caller owns an execution is the store's business. It
// is called by federation/hub and federation/member, and by the room that
// wires servers. Invariant: an identity is read from a verified certificate
// chain or not at all, never from a message, a header or a certificate request.
package identity
