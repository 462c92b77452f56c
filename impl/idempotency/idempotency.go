// Package idempotency lets a request that is repeated under its idempotency key do its work once.
//
// The transaction of the work claims the key first ([Acquire]), by an advisory lock that it either gets at once or not at
// all, and stores the answer last ([Save]). So there is an answer exactly where the work is committed, nothing ever waits,
// and a process that dies in between leaves nothing behind. [Lookup] alone costs one read: it comes before any work.
package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

// TTL is how long a key is bound to its request and the answer.
const TTL = 24 * time.Hour

var (
	// ErrInProgress is met by a request while another one with its key is at work.
	ErrInProgress = errors.New("a request with this idempotency key is at work")
	// ErrReused is met by a request whose key came with another request.
	ErrReused = errors.New("the idempotency key belongs to another request")
)

// Key stands for an idempotency key of an organization.
type Key [sha256.Size]byte

// Claim is a request under an idempotency key.
type Claim struct {
	organizationID uuid.UUID
	key            Key
	fingerprint    [sha256.Size]byte
}

// NewClaim is that of a request: its operation, with whatever its path names, and the bytes of its body.
func NewClaim(organizationID uuid.UUID, key, operation string, body []byte) *Claim {
	claim := &Claim{organizationID: organizationID}
	claim.key = sha256.Sum256(append(organizationID[:], key...))
	hash := sha256.New()
	hash.Write([]byte(operation + "\n"))
	hash.Write(body)
	hash.Sum(claim.fingerprint[:0])
	return claim
}

// Key is that of the claim.
func (claim *Claim) Key() Key { return claim.key }

// SameRequest tells whether two claims of one key are of the same request.
func (claim *Claim) SameRequest(other *Claim) bool { return claim.fingerprint == other.fingerprint }

// lockID names the advisory lock of the key. That two keys share one is as good as impossible, and would mean no more than
// an ErrInProgress.
func (claim *Claim) lockID() int64 { return int64(binary.BigEndian.Uint64(claim.key[:])) }

// Response is what a request was answered when it succeeded.
type Response struct {
	Status   int
	Location string
	Body     []byte
	// Sealed tells that the body is encrypted.
	Sealed bool
}

// Replay is met by a request that repeats one which was answered: as an error, it ends the work.
type Replay struct{ Response Response }

func (replay *Replay) Error() string { return "the request was answered before" }

// Lookup says what each claim meets: a [*Replay], [ErrReused], or nil where nothing is kept under the key.
func Lookup(ctx context.Context, queries *db.Queries, now time.Time, claims ...*Claim) ([]error, error) {
	wanted := db.IdempotencyKeyListParams{Since: now.Add(-TTL)}
	for _, claim := range claims {
		wanted.OrganizationIds = append(wanted.OrganizationIds, claim.organizationID)
		wanted.KeyHashes = append(wanted.KeyHashes, claim.key[:])
	}
	rows, err := queries.IdempotencyKeyList(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("look up idempotency keys: %w", err)
	}
	known := make(map[string]db.IdempotencyKeyListRow, len(rows))
	for _, row := range rows {
		known[string(row.KeyHash)] = row
	}
	met := make([]error, len(claims))
	for i, claim := range claims {
		row, found := known[string(claim.key[:])]
		switch {
		case !found:
		case string(row.Fingerprint) != string(claim.fingerprint[:]):
			met[i] = ErrReused
		default:
			met[i] = &Replay{Response{Status: int(row.Status), Location: row.Location, Body: row.Body, Sealed: row.Sealed}}
		}
	}
	return met, nil
}

// Acquire claims keys for a transaction; several claims of one key share it. For each it says whether the work may be done: nil, or what
// [Lookup] says, or [ErrInProgress].
func Acquire(ctx context.Context, tx *db.Queries, now time.Time, claims ...*Claim) ([]error, error) {
	locks := make([]int64, len(claims))
	for i, claim := range claims {
		locks[i] = claim.lockID()
	}
	rows, err := tx.IdempotencyKeyClaim(ctx, locks)
	if err != nil {
		return nil, fmt.Errorf("claim idempotency keys: %w", err)
	}
	obtained := make(map[int64]bool, len(rows))
	for _, row := range rows {
		obtained[row.Lock] = row.Obtained
	}
	// Looked up under the locks: whoever held one before has committed or given up.
	met, err := Lookup(ctx, tx, now, claims...)
	if err != nil {
		return nil, err
	}
	for i, claim := range claims {
		if met[i] == nil && !obtained[claim.lockID()] {
			met[i] = ErrInProgress
		}
	}
	return met, nil
}

// SavedResponse is a claim with its answer.
type SavedResponse struct {
	Claim    *Claim
	Response Response
}

// Save stores answers, in the transaction that has taken their claims.
func Save(ctx context.Context, tx *db.Queries, now time.Time, answered ...SavedResponse) error {
	rows := db.IdempotencyKeyUpsertParams{Now: now}
	for _, one := range answered {
		rows.OrganizationIds = append(rows.OrganizationIds, one.Claim.organizationID)
		rows.KeyHashes = append(rows.KeyHashes, one.Claim.key[:])
		rows.Fingerprints = append(rows.Fingerprints, one.Claim.fingerprint[:])
		rows.Statuses = append(rows.Statuses, int16(one.Response.Status))
		rows.Locations = append(rows.Locations, one.Response.Location)
		rows.Bodies = append(rows.Bodies, one.Response.Body)
		rows.Sealed = append(rows.Sealed, one.Response.Sealed)
	}
	if err := tx.IdempotencyKeyUpsert(ctx, rows); err != nil {
		return fmt.Errorf("keep answers under their idempotency keys: %w", err)
	}
	return nil
}
