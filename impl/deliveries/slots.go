package deliveries

import (
	"sync"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/workqueue"
)

// slots counts the deliveries in flight by organization, and whether their webhooks were quick when they were claimed.
type slots struct {
	mutex          sync.Mutex
	all            inFlight
	byOrganization map[uuid.UUID]inFlight
}

type inFlight struct{ quick, other int32 }

func newSlots() *slots { return &slots{byOrganization: map[uuid.UUID]inFlight{}} }

// claimParams returns what a claim may take.
func (s *slots) claimParams(claim workqueue.ClaimRequest) db.DeliveryClaimParams {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	// A slot is released here shortly before the runner counts it as free.
	quick := min(quickSlots-s.all.quick, claim.Total)
	other := min(otherSlots-s.all.other, claim.Total-quick)
	params := db.DeliveryClaimParams{
		Now: claim.Now, LeasedUntil: claim.LeasedUntil, Seed: claim.Seed,
		QuickRows: quick, OtherRows: other, FailingRows: other - failingReserve,
	}
	for organization, busy := range s.byOrganization {
		params.OrganizationIds = append(params.OrganizationIds, organization)
		params.QuickInFlight = append(params.QuickInFlight, busy.quick)
		params.OtherInFlight = append(params.OtherInFlight, busy.other)
	}
	return params
}

func (s *slots) take(rows []db.DeliveryClaimRow) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, row := range rows {
		s.add(row, 1)
	}
}

func (s *slots) release(row db.DeliveryClaimRow) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.add(row, -1)
}

func (s *slots) add(row db.DeliveryClaimRow, n int32) {
	busy := s.byOrganization[row.OrganizationID]
	if row.Quick {
		busy.quick += n
		s.all.quick += n
	} else {
		busy.other += n
		s.all.other += n
	}
	if busy == (inFlight{}) {
		delete(s.byOrganization, row.OrganizationID)
		return
	}
	s.byOrganization[row.OrganizationID] = busy
}
