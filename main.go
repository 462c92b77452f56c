// Command mailstack is a transactional email API server: one binary, beside it Postgres and Amazon SES.
// `mailstack --help` says what it can do; package impl/command does it.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/voostack/mailstack/impl/command"
)

//go:embed openapi.yaml
var document []byte

// What lives in the heap is a few MiB, and most of the rest is of requests that are answered: collecting less often than
// Go does by itself took a quarter off the processor time of a request, for some tens of MiB. Bodies can be much more
// than that, so the collector works as always where the memory comes near the limit.
const (
	garbagePercent = 400
	memoryLimit    = 512 << 20
)

func main() {
	// Who sets these variables knows better.
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(garbagePercent)
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal drains. From then on signals have their usual effect again, so a second one ends at once.
	context.AfterFunc(ctx, stop)
	os.Exit(command.Run(ctx, command.Process{
		Arguments: os.Args[1:],
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Spec:      document,
		Now:       time.Now,
		Random:    rand.Reader,
	}))
}
