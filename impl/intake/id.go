package intake

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
)

// newIDs makes version-7 ids (RFC 9562, 5.7) of one moment, in order: 48 bits of milliseconds, 12 bits that count, the
// rest random. The lists of messages go by them: the time of a message is in its id, exactly, and the messages of a
// request keep their order.
func newIDs(random io.Reader, at time.Time, count int) ([]uuid.UUID, error) {
	raw := make([]byte, count*len(uuid.UUID{}))
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fmt.Errorf("make ids: %w", err)
	}
	ids := make([]uuid.UUID, count)
	for i := range ids {
		copy(ids[i][:], raw[i*len(ids[i]):])
		var milliseconds [8]byte
		binary.BigEndian.PutUint64(milliseconds[:], uint64(at.UnixMilli())<<16)
		copy(ids[i][:6], milliseconds[:6])
		binary.BigEndian.PutUint16(ids[i][6:8], 0x7000|uint16(i&0x0fff))
		ids[i][8] = 0x80 | ids[i][8]&0x3f
	}
	return ids, nil
}
