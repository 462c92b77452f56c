// Package idempotency makes a request that is repeated under its idempotency key do its work once.
//
// The transaction of the work acquires the key first ([Acquire]), by an advisory lock that it either gets at once
// or not at all, and stores the response last ([Save]). So a response is stored exactly when the work is
// committed, no request waits for another, and a process that dies in between leaves nothing behind. [Lookup]
// alone costs one read: it comes before any work.
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

// TTL is how long a key is bound to its request and the response.
const TTL = 24 * time.Hour

var (
	// ErrInProgress is returned while another request with the same key is in flight.
	ErrInProgress = errors.New("a request with this idempotency key is at work")
	// ErrReused is returned when the key came with a different request before.
	ErrReused = errors.New("the idempotency key belongs to another request")
)

// Key is the hash of an organization and its idempotency key.
type Key [sha256.Size]byte

// AAD returns the associated data that binds a sealed response to its key.
func (key Key) AAD() []byte { return append([]byte("idempotency "), key[:]...) }

// Claim is a request under an idempotency key.
type Claim struct {
	organizationID uuid.UUID
	key            Key
	fingerprint    [sha256.Size]byte
}

// NewClaim returns the claim of a request. operation includes the parameters of its path; body is its bytes.
func NewClaim(organizationID uuid.UUID, key, operation string, body []byte) *Claim {
	claim := &Claim{organizationID: organizationID}
	claim.key = sha256.Sum256(append(organizationID[:], key...))
	hash := sha256.New()
	hash.Write([]byte(operation + "\n"))
	hash.Write(body)
	hash.Sum(claim.fingerprint[:0])
	return claim
}

// Key returns the key of the claim.
func (claim *Claim) Key() Key { return claim.key }

// SameRequest reports whether two claims of one key are of the same request.
func (claim *Claim) SameRequest(other *Claim) bool { return claim.fingerprint == other.fingerprint }

// lockID returns the id of the key's advisory lock. Two keys share a lock only when 64 bits of their hashes are
// equal, and then the worst result is an ErrInProgress.
func (claim *Claim) lockID() int64 { return int64(binary.BigEndian.Uint64(claim.key[:])) }

// Response is the response to a request that succeeded.
type Response struct {
	Status   int
	Location string
	Body     []byte
	// Sealed reports whether the body is encrypted.
	Sealed bool
}

// Replay is the error for a repetition of a completed request. It ends the work, and carries the saved response.
type Replay struct{ Response Response }

func (replay *Replay) Error() string { return "the request was answered before" }

// Lookup returns, for each claim, a [*Replay], [ErrReused], or nil when no response is saved under the key.
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

// Acquire acquires the keys of claims until the end of a transaction; several claims of one key share it. For each
// claim it returns nil when the work may be done, else what [Lookup] returns, or [ErrInProgress]. It never waits.
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
	// Look up under the locks: any earlier holder has committed or rolled back by now.
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

// SavedResponse is a claim with its response.
type SavedResponse struct {
	Claim    *Claim
	Response Response
}

// Save stores responses, in the transaction that has acquired their claims.
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
