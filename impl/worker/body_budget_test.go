package worker_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/worker"
)

// holding is a SES that answers large messages only once it is released.
type holding struct {
	*ses.Client
	release chan struct{}

	mu             sync.Mutex
	inFlight, most int64
	large, small   int
}

func (h *holding) Send(ctx context.Context, m ses.Message) (string, error) {
	size := int64(len(m.HTML) + len(m.Text))
	h.mu.Lock()
	h.inFlight += size
	h.most = max(h.most, h.inFlight)
	if size < 1<<20 {
		h.small++
	} else {
		h.large++
	}
	h.mu.Unlock()
	if size >= 1<<20 {
		<-h.release
	}
	h.mu.Lock()
	h.inFlight -= size
	h.mu.Unlock()
	m.HTML, m.Text = "", "short" // the simulator keeps what it is sent
	return h.Client.Send(ctx, m)
}

func (h *holding) counts() (large, small int, most int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.large, h.small, h.most
}

// A backlog of the largest messages takes a bounded part of the memory, and neither the quota nor the room of others, with
// and without a size in their rows.
func TestLargeBodiesLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]string{"sizes known": "5000000", "rows of the previous release": "NULL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			heavy, light := h.tenant(t), h.tenant(t)
			h.accept(t, heavy, 12)
			h.exec(t, "UPDATE contents SET html = repeat('0123456789', 500000), text = ''")
			h.exec(t, "UPDATE sends SET body_bytes = "+size)
			slow := &holding{Client: h.client, release: make(chan struct{})}
			start(t, h.newWorker(t, func(c *worker.Config) { c.SES, c.FetchQuota = slow, nil }))
			// 16 MiB are room for three such messages; a fourth goes beyond.
			eventually(t, "the room is full", func() bool { large, _, _ := slow.counts(); return large == 4 })
			for range 3 {
				h.accept(t, light, 40)
				eventually(t, "the small messages of another are sent", func() bool {
					return h.count(t, "SELECT count(*) FROM sends WHERE organization_id = $1", light.id) == 0
				})
			}
			if large, small, _ := slow.counts(); large != 4 || small != 120 {
				t.Errorf("%d large and %d small messages are being sent", large, small)
			}
			close(slow.release)
			eventually(t, "all are sent", h.idle(t))
			if _, _, most := slow.counts(); most > 4*5000000+40*20 {
				t.Errorf("bodies of %d bytes were in flight", most)
			}
		})
	}
}

// Bodies are read after the claim is committed: while they cannot be read, no lock is held that other workers need.
func TestBodiesAreReadOutsideTheClaim(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.accept(t, o, 2)
	h.exec(t, "UPDATE sends SET body_bytes = 5000000 WHERE email_id = (SELECT max(email_id::text)::uuid FROM sends)")
	h.exec(t, `CREATE FUNCTION readable() RETURNS boolean LANGUAGE sql AS 'SELECT pg_advisory_xact_lock_shared(42) IS NOT NULL'`)
	h.exec(t, "ALTER TABLE contents RENAME TO stored")
	h.exec(t, "CREATE VIEW contents AS SELECT * FROM stored WHERE readable()")
	ctx := t.Context()
	blocking, err := h.store.Pool().Begin(ctx)
	must(t, err)
	defer func() { _ = blocking.Rollback(context.WithoutCancel(ctx)) }()
	_, err = blocking.Exec(ctx, "SELECT pg_advisory_xact_lock(42)")
	must(t, err)
	start(t, h.worker)
	eventually(t, "the claim is committed", func() bool {
		return h.count(t, "SELECT count(*) FROM sends WHERE leased_until IS NOT NULL") == 2
	})
	must(t, pgx.BeginFunc(ctx, h.store.Pool(), func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT FROM quota FOR UPDATE NOWAIT")
		return err
	}))
	must(t, blocking.Rollback(ctx))
	eventually(t, "they are sent", h.idle(t))
	if h.ses.Stats().Accepted != 2 {
		t.Errorf("%d were sent", h.ses.Stats().Accepted)
	}
}
