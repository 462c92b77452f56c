package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/spec"
	"github.com/voostack/mailstack/impl/store"
)

// unwritten accepts every message and stores none.
type unwritten struct{}

// AcceptOnce returns the result of an acceptance.
func (unwritten) AcceptOnce(_ context.Context, messages []intake.Message, _ *intake.Idempotency) ([]intake.Result, error) {
	results := make([]intake.Result, len(messages))
	for i := range results {
		results[i].ID = uuid.Must(uuid.NewV7())
	}
	return results, nil
}

// Full always returns false.
func (unwritten) Full(int64, bool) bool { return false }

// serveStub serves the API without its database write until ctx ends.
func serveStub(ctx context.Context, address string) error {
	document, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	read, err := spec.Prepare(document)
	if err != nil {
		return err
	}
	database, err := store.Open(ctx, store.Config{URL: os.Getenv("DATABASE_URL"), Name: "stub"})
	if err != nil {
		return err
	}
	defer database.Close()
	sealer, err := sealed.NewSealer(rand.Reader, make([]byte, 32))
	if err != nil {
		return err
	}
	server, err := rest.New(rest.Config{
		Spec: read, Store: database, Intake: unwritten{}, Now: time.Now, Random: rand.Reader, Sealer: sealer,
		NewID: func() uuid.UUID { return uuid.Must(uuid.NewV7()) }, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	listening := &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}
	unwatch := context.AfterFunc(ctx, func() { _ = listening.Close() })
	defer unwatch()
	if err := listening.Serve(listener); !errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
