package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
)

// Idempotency is the idempotency key that a request came with.
type Idempotency struct {
	*idempotency.Claim
	// Respond returns the response to a request with these results, or nil when it is no success: only successes
	// are saved. It is called inside the transaction, and again when the transaction is repeated.
	Respond func(results []Result) (*idempotency.Response, error)
}

// acquireKeys acquires the idempotency keys of a group, and returns the submissions that may do their work: every
// submission without a key and, per key, the first submission, unless an earlier request holds or has used that
// key.
func acquireKeys(ctx context.Context, tx *db.Queries, group []*submission, now time.Time) ([]*submission, error) {
	var claiming []*submission
	var claims []*idempotency.Claim
	for _, submitted := range group {
		submitted.prior, submitted.leader, submitted.response = nil, nil, nil
		if submitted.key != nil {
			claiming, claims = append(claiming, submitted), append(claims, submitted.key.Claim)
		}
	}
	if len(claims) == 0 {
		return group, nil
	}
	met, err := idempotency.Acquire(ctx, tx, now, claims...)
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	first := make(map[idempotency.Key]*submission)
	for i, submitted := range claiming {
		key := submitted.key.Key()
		submitted.prior, submitted.leader = met[i], first[key]
		if submitted.prior == nil && submitted.leader == nil {
			first[key] = submitted
		}
	}
	working := make([]*submission, 0, len(group))
	for _, submitted := range group {
		if submitted.prior == nil && submitted.leader == nil {
			working = append(working, submitted)
		}
	}
	return working, nil
}

// responsesOf returns the responses to save: one for each submission with a key that succeeded.
func responsesOf(working []*submission) ([]idempotency.SavedResponse, error) {
	var kept []idempotency.SavedResponse
	for _, submitted := range working {
		if submitted.key == nil {
			continue
		}
		answer, err := submitted.key.Respond(submitted.results)
		if err != nil {
			return nil, fmt.Errorf("make the answer to keep: %w", err)
		}
		if answer != nil {
			submitted.response = answer
			kept = append(kept, idempotency.SavedResponse{Claim: submitted.key.Claim, Response: *answer})
		}
	}
	return kept, nil
}

// shareLeaderResponse settles the submissions that share a key with an earlier one of the group, their leader. A
// repetition of the leader's request gets the leader's response or results; a different request gets ErrReused or
// ErrInProgress.
func shareLeaderResponse(group []*submission) {
	for _, submitted := range group {
		leader := submitted.leader
		if leader == nil {
			continue
		}
		repeats := submitted.key.SameRequest(leader.key.Claim)
		switch {
		case repeats && leader.response != nil:
			submitted.prior = &idempotency.Replay{Response: *leader.response}
		case repeats:
			submitted.results = leader.results
		case leader.response != nil:
			submitted.prior = idempotency.ErrReused
		default:
			// The leader failed: the key is free again once this transaction has ended.
			submitted.prior = idempotency.ErrInProgress
		}
	}
}
