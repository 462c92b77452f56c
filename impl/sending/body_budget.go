package sending

import "sync"

const (
	// largeBody is the size from which bodies share a part of the budget of their own, so that large messages leave
	// the small ones room.
	largeBody = 256 << 10
	// bodyRoom is how many bytes of bodies are in memory before no more are claimed, of large messages and of all
	// others. One message may go beyond it, or the largest would never be sent. A body takes about four times its
	// size while its request is made.
	bodyRoom = 16 << 20
)

// bodyBudget counts the bytes of the bodies that are in memory.
type bodyBudget struct {
	mu           sync.Mutex
	small, large int64
	short        bool // a claim has found no room for large or for small bodies
}

// room returns how many more bytes of small and of large bodies may be claimed.
func (b *bodyBudget) room() (small, large int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	small, large = bodyRoom-b.small, bodyRoom-b.large
	b.short = b.short || small <= 0 || large <= 0
	return small, large
}

func (b *bodyBudget) take(size int32) { b.add(size, 1) }

// release gives back the room of a body. It reports whether a claim may find room now that found none before.
func (b *bodyBudget) release(size int32) (found bool) {
	b.add(size, -1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.short || b.small >= bodyRoom || b.large >= bodyRoom {
		return false
	}
	b.short = false
	return true
}

func (b *bodyBudget) add(size int32, times int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if size > largeBody {
		b.large += times * int64(size)
	} else {
		b.small += times * int64(size)
	}
}
