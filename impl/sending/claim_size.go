package sending

import "sync"

// claimSize bounds how many messages a claim asks for. It shrinks after a claim that ran out of time, since the next of
// that size would do so again, and doubles with each claim that succeeds.
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

// shrink sets the size to a quarter of asked, the size of a claim that ran out of time. Zero changes nothing: such
// a claim waited for other workers.
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
