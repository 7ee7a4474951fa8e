// Package propeller carries the manifests of a propeller's cluster side into
// the programs that install them. It holds no behaviour.
package propeller

import _ "embed"

// Group is the group to whose members RBAC gives what a propeller needs.
const Group = "skein:propellers"

// RBAC is the role of propellers and its binding to Group, as YAML.
//
//go:embed rbac.yaml
var RBAC []byte

// Fence is the admission policies that hold objects with our labels against the
// cluster's Fence, as YAML. crd.Fences has to be there before it.
//
//go:embed fence.yaml
var Fence []byte
