package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
)

// Claim is the idempotency key that a request came with.
type Claim struct {
	*idempotency.Claim
	// Answer is what the request is answered when these are its results, or nil when that is no success: only successes
	// are kept. It is called inside the transaction, and again when that is repeated.
	Answer func(results []Result) (*idempotency.Answer, error)
}

// claim takes the idempotency keys of a group, and returns the submissions that may do their work: those without a key,
// and of those with the same key the first, unless it met somebody.
func claim(ctx context.Context, tx *db.Queries, group []*submission, now time.Time) ([]*submission, error) {
	var claiming []*submission
	var claims []*idempotency.Claim
	for _, submitted := range group {
		submitted.met, submitted.follows, submitted.answer = nil, nil, nil
		if submitted.claim != nil {
			claiming, claims = append(claiming, submitted), append(claims, submitted.claim.Claim)
		}
	}
	if len(claims) == 0 {
		return group, nil
	}
	met, err := idempotency.Take(ctx, tx, now, claims...)
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	first := make(map[idempotency.Key]*submission)
	for i, submitted := range claiming {
		key := submitted.claim.Key()
		submitted.met, submitted.follows = met[i], first[key]
		if submitted.met == nil && submitted.follows == nil {
			first[key] = submitted
		}
	}
	working := make([]*submission, 0, len(group))
	for _, submitted := range group {
		if submitted.met == nil && submitted.follows == nil {
			working = append(working, submitted)
		}
	}
	return working, nil
}

// answers are those of the successes among the submissions that have done their work under a key.
func answers(working []*submission) ([]idempotency.Answered, error) {
	var kept []idempotency.Answered
	for _, submitted := range working {
		if submitted.claim == nil {
			continue
		}
		answer, err := submitted.claim.Answer(submitted.results)
		if err != nil {
			return nil, fmt.Errorf("make the answer to keep: %w", err)
		}
		if answer != nil {
			submitted.answer = answer
			kept = append(kept, idempotency.Answered{Claim: submitted.claim.Claim, Answer: *answer})
		}
	}
	return kept, nil
}

// follow gives those who share a key with an earlier one of the group what that one got.
func follow(group []*submission) {
	for _, submitted := range group {
		leader := submitted.follows
		if leader == nil {
			continue
		}
		repeats := submitted.claim.Repeats(leader.claim.Claim)
		switch {
		case repeats && leader.answer != nil:
			submitted.met = &idempotency.Replay{Answer: *leader.answer}
		case repeats:
			submitted.results = leader.results
		case leader.answer != nil:
			submitted.met = idempotency.ErrReused
		default:
			// The key is free again once this transaction has ended.
			submitted.met = idempotency.ErrInProgress
		}
	}
}
