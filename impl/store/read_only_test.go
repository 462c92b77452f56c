package store_test

import (
	"context"
	"testing"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// A connection to a server that takes no writes fails one statement, and is gone: the next statement may find another
// server.
func TestAReadOnlyConnectionLeavesThePool(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for name, write := range map[string]func(ctx context.Context) error{
		"statement": s.ProbeWrite,
		"transaction": func(ctx context.Context) error {
			return s.Tx(ctx, func(tx *db.Queries) error { return tx.SendComplete(ctx, nil) })
		},
		"pipeline": func(ctx context.Context) error {
			return s.TxPipelined(ctx, func(tx *db.Queries) error { return tx.SendComplete(ctx, nil) })
		},
	} {
		connection, err := s.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Exec(t.Context(), "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"); err != nil {
			t.Fatal(err)
		}
		connection.Release()
		failures := 0
		for range 20 {
			if err := write(t.Context()); err != nil {
				failures++
				if !store.IsUnavailable(err) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if failures != 1 {
			t.Errorf("%s: %d of 20 writes failed, want 1", name, failures)
		}
	}
}
