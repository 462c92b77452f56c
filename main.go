// Command mailstack is a transactional email API server: one binary that runs on Postgres and Amazon SES.
// `mailstack --help` lists its commands; package impl/command implements them.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/voostack/mailstack/impl/command"
)

//go:embed openapi.yaml
var document []byte

// The live heap is a few MiB, and most garbage comes from finished requests. Collecting less often than Go's default
// took a quarter off the processor time of a request and costs some tens of MiB. Request bodies can be much larger than
// that, so near the memory limit the collector runs as often as it must.
const (
	garbagePercent = 400
	memoryLimit    = 512 << 20
)

func main() {
	// GOGC and GOMEMLIMIT, if set by the operator, take precedence.
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(garbagePercent)
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(memoryLimit)
	}
	// Our packages log through slog. What is left is net/http, which would repeat what the endpoints of webhooks send
	// unasked.
	log.SetOutput(io.Discard)
	// The first signal drains. The next ones are the process's own until it releases them: then they end it at once.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		<-signals
		stop()
	}()
	os.Exit(command.Run(ctx, command.Process{
		Arguments: os.Args[1:],
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Spec:      document,
		Now:       time.Now,
		Random:    rand.Reader,

		LimitMemory: func(bytes int64) {
			if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
				debug.SetMemoryLimit(bytes)
			}
		},
		Again:          signals,
		ReleaseSignals: func() { signal.Stop(signals); signal.Reset(os.Interrupt, syscall.SIGTERM) },
	}))
}
