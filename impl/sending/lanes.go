package sending

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/workqueue"
)

// surveyLanes returns the organizations that have messages to send, and when the first of each is due.
func (s *Sender) surveyLanes(ctx context.Context) (map[uuid.UUID]time.Time, error) {
	rows, err := s.config.Store.Queries().SendLanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for organizations with messages: %w", err)
	}
	lanes := make(map[uuid.UUID]time.Time, len(rows))
	for _, row := range rows {
		lanes[row.OrganizationID] = row.DueAt
	}
	return lanes, nil
}

// scanned is what a claim has seen of its lanes.
type scanned struct {
	lanes []uuid.UUID
	// all means that no message of the lanes was left but what another worker had locked.
	all  bool
	rows []db.SendClaimRow
	back []message // put back by the claim
}

// noteScan raises the floors of the lanes of a claim to what it left.
func (s *Sender) noteScan(claim workqueue.ClaimRequest, seen scanned) {
	left := make(map[uuid.UUID]time.Time, len(seen.lanes))
	taken := make(map[uuid.UUID]time.Time, len(seen.lanes))
	for _, row := range seen.rows {
		lane := row.OrganizationID
		left[lane] = row.LeftDueAt
		if row.WasDueAt.After(taken[lane]) {
			taken[lane] = row.WasDueAt
		}
	}
	for _, lane := range seen.lanes {
		latest, found := taken[lane]
		switch {
		case found && left[lane].Before(latest):
			s.lanes.Raise(lane, left[lane])
		case found:
			s.lanes.Raise(lane, latest)
		case seen.all:
			s.lanes.Raise(lane, claim.Now)
		}
	}
	for _, m := range seen.back {
		s.lanes.Lower(m.send.OrganizationID, m.send.WasDueAt)
	}
}

// sawAll reports whether a claim of at most total messages looked at everything that is due in its lanes.
func sawAll(lanes, found int, total int32, smallRoom, largeRoom int64) bool {
	return lanes <= int(total) && found < int(total) && smallRoom > 0 && largeRoom > 0
}
