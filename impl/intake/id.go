package intake

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
)

// ids makes version-7 ids (RFC 9562, 5.7), in order: 48 bits of milliseconds, 12 bits that count within a
// millisecond, the rest random. Lists of messages are ordered by id: the time of a message is in its id, exactly,
// and the messages that one process accepts keep their order, up to 4,096 in a millisecond.
type ids struct {
	random io.Reader

	mutex        sync.Mutex
	milliseconds int64
	made         int // in this millisecond
}

func (s *ids) next(at time.Time, count int) ([]uuid.UUID, error) {
	raw := make([]byte, count*len(uuid.UUID{}))
	if _, err := io.ReadFull(s.random, raw); err != nil {
		return nil, fmt.Errorf("make ids: %w", err)
	}
	first := s.count(at.UnixMilli(), count)
	made := make([]uuid.UUID, count)
	for i := range made {
		id := &made[i]
		copy(id[:], raw[i*len(id):])
		var milliseconds [8]byte
		binary.BigEndian.PutUint64(milliseconds[:], uint64(at.UnixMilli())<<16)
		copy(id[:6], milliseconds[:6])
		binary.BigEndian.PutUint16(id[6:8], 0x7000|uint16((first+i)&0x0fff))
		id[8] = 0x80 | id[8]&0x3f
	}
	return made, nil
}

// count adds more ids to the millisecond, and returns how many it had before.
func (s *ids) count(milliseconds int64, more int) int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if milliseconds != s.milliseconds {
		s.milliseconds, s.made = milliseconds, 0
	}
	first := s.made
	s.made += more
	return first
}
