// Package local and the packages below it run real parts of a Skein set-up on one machine, for `skein demo`, tests,
// chaos and benches. They are not for production, and no plane imports them; of ours they import only api. This
// package itself is only the map:
//
//	proc         supervised children that cannot outlive us; left-over processes
//	namespace    commands in fresh Linux namespaces, for real nodes and private mounts
//	machine      what a set-up needs of the machine, checked first
//	state        the state folder, and a lock that keeps a second copy out
//	ports        loopback ports by name, remembered in the state folder
//	certs        a cluster's CA, certificates and keys
//	tools        etcd and kube-apiserver, built once from their Go modules into a cache
//	cluster      etcd and kube-apiserver on loopback, with TLS and RBAC
//	database     CockroachDB or PostgreSQL on loopback
//	forward      the front door: one TCP address before several replicas
//	node         the Node object and lease of a node agent
//	processnode  a development node whose pods are plain processes
//	kubelet      a real node: the real kubelet, containerd and runc
//	image        container images packed from this machine's files
//	simnode      a node whose pods end by rule and run nothing; for benches
//	apt          Debian packages that are missing, where they may be installed
//	example      a small flytekit project
//	venv         flytekit in a virtual environment
//	localtest    all of these for tests; command with shares them between test processes
//
// Arrows go one way: localtest and the callers above, then cluster and database, then the rest, with proc at the bottom.
//
// Invariant: everything listens on 127.0.0.1 only (a real node on an address of its own network namespace) and ends with
// the process that started it.
package local
