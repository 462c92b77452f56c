// Package rotation seals what is stored under the secret keys of the installation anew, under the first of them, so that the
// others can go: signing keys of webhooks, and saved responses that show a secret. Nothing else that is sealed is stored.
//
//   - rotation.go: [Rotation], batch after batch
//   - tables.go: a batch of each table
package rotation

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store"
)

// defaultBatch is how many rows one transaction locks: few enough to be free again within milliseconds.
const defaultBatch = 100

// Counts says what became of the sealed values.
type Counts struct {
	// Sealed is how many values were looked at, Resealed how many of them were sealed anew.
	Sealed, Resealed int
	// Unreadable is how many no key opens. They are left as they are.
	Unreadable int
}

func (c *Counts) add(other Counts) {
	c.Sealed, c.Resealed, c.Unreadable = c.Sealed+other.Sealed, c.Resealed+other.Resealed, c.Unreadable+other.Unreadable
}

// Rotation seals stored values anew. It may be stopped at any time and run again: what is sealed under the first key is left
// as it is. Processes may serve requests meanwhile.
type Rotation struct {
	Store *store.Store
	// Sealer has the new key first, and every key that values may be sealed under.
	Sealer *sealed.Sealer
	// Batch is how many rows one transaction locks. Zero means 100.
	Batch int
	// Progress is called after each batch with the counts so far. Nil means none.
	Progress func(Counts)
}

// Run goes through all sealed values once.
func (r *Rotation) Run(ctx context.Context) (Counts, error) {
	batch := r.Batch
	if batch <= 0 {
		batch = defaultBatch
	}
	counts := Counts{}
	for _, next := range []nextBatch{r.webhooks(int32(batch)), r.responses(int32(batch))} {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return counts, err
			}
			var done batchResult
			err := r.Store.Tx(ctx, func(tx *db.Queries) (err error) {
				done, err = next(ctx, tx)
				return err
			})
			if err != nil {
				return counts, fmt.Errorf("seal a batch anew: %w", err)
			}
			done.committed()
			more = done.more
			counts.add(done.Counts)
			if r.Progress != nil {
				r.Progress(counts)
			}
		}
	}
	return counts, nil
}

// reseal returns a value under the first key, and counts it. A value that no key opens is returned as it is.
func (r *Rotation) reseal(value, aad []byte, counts *Counts) (resealed []byte, changed bool, err error) {
	if value == nil {
		return nil, false, nil
	}
	counts.Sealed++
	resealed, changed, err = r.Sealer.Reseal(value, aad)
	switch {
	case isNotOpened(err):
		counts.Unreadable++
		return value, false, nil
	case changed:
		counts.Resealed++
	}
	return resealed, changed, err
}
