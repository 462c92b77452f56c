package sending

import "sync"

// claimSize is how many messages a claim asks for. It shrinks when one was not done in time, since large bodies over a slow
// connection would never be, and grows again.
type claimSize struct {
	largest int32

	mu   sync.Mutex
	most int32
}

func newClaimSize(largest int32) *claimSize { return &claimSize{largest: largest, most: largest} }

func (s *claimSize) limit(wanted int32) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(wanted, s.most)
}

// shrink notes that a claim of so many ran out of time. One of none was held up by others, which says nothing.
func (s *claimSize) shrink(asked int32) {
	if asked == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = max(1, asked/4)
}

func (s *claimSize) grow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = min(2*s.most, s.largest)
}
