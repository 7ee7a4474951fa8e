// Package crd carries the custom resource definitions, as generated from
// api/crd, into the programs that install them. It holds no behaviour.
package crd

import _ "embed"

// FlyteWorkflows is the definition of flyteworkflows.skein.dev, as YAML.
//
//go:embed skein.dev_flyteworkflows.yaml
var FlyteWorkflows []byte

// Fences is the definition of fences.skein.dev, as YAML.
//
//go:embed skein.dev_fences.yaml
var Fences []byte
