// Package author runs what a workflow author sees first: skein demo
// --flytekit, on a federation of its own and on one that runs already. The
// project is deploy/local/example.
//
// It holds tests only.
package author
