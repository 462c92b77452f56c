package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/sending"
)

// brokenSession is a session that ends before a claim can be started, until it is mended.
type brokenSession struct {
	mutex   sync.Mutex
	id      uuid.UUID
	mended  bool
	refused int
}

func (s *brokenSession) Worker() (*uuid.UUID, bool) { return &s.id, true }

func (s *brokenSession) Start(context.Context, uuid.UUID, time.Time) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.mended {
		return nil
	}
	s.refused++
	return errors.New("the session has ended")
}

func (s *brokenSession) mend() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.mended = true
}

// TestNothingIsStartedWithoutASession: what was claimed is put back as it was due, and nothing of it goes to SES.
func TestNothingIsStartedWithoutASession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	ids := h.accept(t, o, 3)
	session := &brokenSession{id: uuid.New()}
	sender, err := sending.New(sending.Config{
		Store: h.store, SES: h.client, Session: session, Now: h.clock.Now, Random: func() float64 { return 0 },
		Log: slog.New(slog.NewTextHandler(h.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := sender.RunOnce(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d messages were started: %v", n, err)
	}
	if session.refused != 1 || len(h.ses.Messages()) > 0 {
		t.Errorf("asked %d times, and SES has %d messages", session.refused, len(h.ses.Messages()))
	}
	for _, id := range ids {
		row := h.row(t, id)
		if row == nil || row.LeasedUntil != nil || row.DueAt.After(h.clock.Now()) || row.AmbiguousAttempts != 0 {
			t.Errorf("it was not put back: %+v", row)
		}
	}
	session.mend()
	h.clock.advance(time.Second)
	if n, err := sender.RunOnce(t.Context()); n != len(ids) || err != nil {
		t.Fatalf("%d messages were sent: %v", n, err)
	}
	for _, id := range ids {
		h.requireSent(t, o, id)
	}
	if n := len(h.ses.Messages()); n != len(ids) {
		t.Errorf("SES has %d messages", n)
	}
}

// absentSession is a session that is lost.
type absentSession struct{ brokenSession }

func (*absentSession) Worker() (*uuid.UUID, bool) { return nil, false }

func TestNothingIsClaimedWithoutASession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	sender, err := sending.New(sending.Config{Store: h.store, SES: h.client, Session: &absentSession{}, Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := sender.RunOnce(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d messages were claimed: %v", n, err)
	}
	if row := h.row(t, id); row == nil || row.Attempt != 0 {
		t.Errorf("it was attempted: %+v", row)
	}
}
