// Package proc starts, watches and ends the processes that a local set-up is made of.
//
// It is not an init system: it restarts nothing by itself (see [Group.OnExit]) and knows nothing of what it runs.
// deploy/local/cluster, deploy/local/database, `skein demo`, tests and benches call it.
//
// Invariant: no child outlives the process that started it, however that ends. Each child is in a process group of its
// own and asks the kernel for SIGKILL at the death of the thread that started it; since that is per OS thread and not
// per process, all children are started from one thread that lives as long as the process. When the leader of a group
// ends while we live, the rest of its group is killed; a grandchild whose own parent died because we were killed has to
// notice that by itself (PostgreSQL's do; etcd and kube-apiserver have none). Every child has SKEIN_STATE=<state folder> in its environment, so that
// [Leftovers] can prove the invariant.
package proc
