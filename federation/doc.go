// Package federation is the road between the control plane and the clusters.
// It holds no code of its own: session decides, codec translates, identity and
// join say who may speak, hub is the control plane's end and member the
// cluster's. The tests beside this page drive both ends over real connections.
package federation
