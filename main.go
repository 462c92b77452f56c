// Command mailstack is a transactional email API server: one binary, beside it Postgres and Amazon SES.
// `mailstack --help` says what it can do; package impl/command does it.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/voostack/mailstack/impl/command"
)

//go:embed openapi.yaml
var document []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal drains. From then on signals have their usual effect again, so a second one ends at once.
	context.AfterFunc(ctx, stop)
	os.Exit(command.Run(ctx, command.Process{
		Arguments: os.Args[1:],
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Document:  document,
		Now:       time.Now,
		Random:    rand.Reader,
	}))
}
