// Package flyteidl is the root of Skein's own description of Flyte's public wire contract at release 1.16.8. The
// messages and services are in the packages below it: core, admin, event, service, plugins, plugins/kubeflow,
// datacatalog and cacheservice.
//
// It is what a Flyte client sees on the wire: proto packages, message and field names, numbers, types, RPC paths and
// HTTP mappings. It is not a copy of Flyte's sources, and it is not a place for Skein's own calls, which are in
// api/skein/v1. Nothing here has behavior.
//
// Invariant: every descriptor agrees with the Python package flyteidl of the same release, in both directions; the
// conformance test of this package says so. Proto names register once in a process, so no other Go package with
// Flyte's contract may be linked into one that links this.
//
// The .proto files come first and the Go files are generated from them by `make generate`. HTTP mappings are in
// gateway.yaml.
package flyteidl

import _ "embed"

// Gateway is gateway.yaml: which HTTP method and path stands for which RPC.
//
//go:embed gateway.yaml
var Gateway []byte
