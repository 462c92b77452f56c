package worker_test

import (
	"strings"
	"testing"
	"time"
)

func TestSilenceOfEventsIsTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	const told = "SES reports no events"
	listen := func() { must(t, h.worker.Sending.WarnIfNoEvents(t.Context())) }
	listen()
	h.accept(t, o, 1)
	h.pass(t, 1)
	h.clock.advance(9 * time.Minute)
	listen()
	if strings.Contains(h.log.String(), told) {
		t.Error("it was told too early")
	}
	h.notify(t, "{}")
	h.pass(t, 1)
	h.clock.advance(2 * time.Minute)
	listen()
	if strings.Contains(h.log.String(), told) {
		t.Error("it was told though an event came")
	}
	h.accept(t, o, 1)
	h.pass(t, 1)
	h.clock.advance(11 * time.Minute)
	listen()
	listen()
	if n := strings.Count(h.log.String(), told); n != 1 {
		t.Errorf("it was told %d times: %s", n, h.log.String())
	}
}
