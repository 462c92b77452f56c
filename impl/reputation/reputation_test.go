package reputation_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/organization"
)

// Everybody counts once, however often mail is sent to them: 250 recipients, of whom 10 bounce, are 4 %.
func TestAWarningIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.sender("acme.test")
	for range 3 {
		s.mail("acme.test", 250, 10)
	}
	s.watch()
	s.watch()
	if rates := s.rates(""); rates.Recipients != 250 || rates.Bounced != 10 || rates.WarnedAt == nil || rates.PausedAt != nil {
		t.Errorf("the rates are %+v", rates)
	}
	told := s.told()
	if len(told) != 2 { // for the organization and for its domain
		t.Fatalf("told %+v", told)
	}
	for _, event := range told {
		if event.Type != "organization.warning" || event.Data.Paused || event.Data.Measure != api.WebhookReputationMeasureBounces ||
			event.Data.Rate != 0.04 || event.Data.Threshold != 0.04 || event.Data.Recipients != 250 || event.Data.Affected != 10 {
			t.Errorf("told %+v", event)
		}
	}
	if s.paused() {
		t.Error("sending is paused")
	}

	// More mail lowers the rate, which ends the warning; the next one is told again.
	s.mail("acme.test", 1000, 0)
	w.now = w.now.Add(2 * time.Hour)
	s.watch()
	if rates := s.rates(""); rates.WarnedAt != nil {
		t.Errorf("the rates are %+v", rates)
	}
	s.mail("acme.test", 1000, 50)
	s.watch()
	if told := s.told(); len(told) != 4 {
		t.Errorf("told %d events", len(told))
	}
}

func TestTooManyBouncesPauseTheOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, other := w.sender("acme.test"), w.sender("other.test")
	s.mail("acme.test", 250, 20)
	other.mail("other.test", 250, 9)
	s.watch()
	if !s.paused() || s.rates("").PausedAt == nil || s.rates("acme.test").PausedAt == nil {
		t.Errorf("the rates are %+v", s.rates(""))
	}
	if other.paused() || len(other.told()) != 0 {
		t.Error("it concerns another organization")
	}
	for _, event := range s.told() {
		if !event.Data.Paused || event.Data.Threshold != 0.08 || event.Data.Rate != 0.08 {
			t.Errorf("told %+v", event)
		}
	}
	// A lower rate does not end a pause: an operator does.
	s.mail("acme.test", 5000, 0)
	w.now = w.now.Add(2 * time.Hour)
	s.watch()
	if !s.paused() || s.rates("").PausedAt == nil || s.rates("").WarnedAt != nil || len(s.told()) != 2 {
		t.Errorf("the rates are %+v", s.rates(""))
	}
}

func TestComplaintsPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, pausing := w.sender("acme.test"), w.sender("pausing.test")
	s.fail("complaint", s.send("acme.test", people(1000)...)[:1], people(1))
	pausing.fail("complaint", pausing.send("pausing.test", people(1000)...)[:3], people(3))
	s.watch()
	told := s.told()
	if len(told) != 2 || told[0].Data.Measure != api.WebhookReputationMeasureComplaints || told[0].Data.Rate != 0.001 || s.paused() {
		t.Errorf("told %+v, paused %t", told, s.paused())
	}
	if !pausing.paused() {
		t.Error("three complaints of a thousand recipients do not pause")
	}
}

// A domain's rate pauses the domain, while the organization's is low enough.
func TestADomainIsPausedAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.sender("good.test", "bad.test")
	s.mail("good.test", 2000, 0)
	s.mail("bad.test", 200, 20)
	s.watch()
	if s.paused() || s.rates("").PausedAt != nil || s.rates("good.test").PausedAt != nil || s.rates("bad.test").PausedAt == nil {
		t.Errorf("the rates are %+v, %+v, %+v", s.rates(""), s.rates("good.test"), s.rates("bad.test"))
	}
	told := s.told()
	if len(told) != 1 || told[0].Data.Domain == nil || *told[0].Data.Domain != "bad.test" || !told[0].Data.Paused {
		t.Errorf("told %+v", told)
	}
}

func TestWhatDoesNotCount(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(s *sender){
		"fewer than 200 recipients": func(s *sender) { s.mail("acme.test", 199, 100) },
		"the mailbox simulator": func(s *sender) {
			const bounce = "bounce@simulator.amazonses.com"
			s.mail("acme.test", 250, 0)
			for range 50 {
				s.fail("bounce", s.send("acme.test", bounce), []string{bounce})
			}
		},
		"recipients at the mailbox simulator": func(s *sender) {
			for i, id := range s.send("acme.test", people(100)...) {
				s.fail("bounce", []uuid.UUID{id}, people(100)[i:i+1])
			}
			for range 200 {
				s.send("acme.test", uuid.NewString()+"@simulator.amazonses.com")
			}
		},
		"messages that are not counted yet": func(s *sender) {
			s.now = s.now.Add(2 * time.Minute)
			s.mail("acme.test", 250, 100)
			s.now = s.now.Add(-2 * time.Minute)
		},
		"a week ago": func(s *sender) {
			s.mail("acme.test", 250, 100)
			s.now = s.now.Add(7 * 24 * time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t).sender("acme.test")
			act(s)
			s.watch()
			if s.paused() || len(s.told()) != 0 {
				t.Errorf("paused %t, told %+v", s.paused(), s.told())
			}
		})
	}
}

// What was known when an operator resumed sending does not pause it again, also when more becomes known about older mail.
func TestResumingBeginsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.sender("acme.test")
	s.mail("acme.test", 250, 50)
	s.watch()
	late := s.send("acme.test", people(250)...)
	organizations := organization.Organizations{Store: w.store, Now: func() time.Time { return w.now.Add(time.Second) }}
	must(t, organizations.Resume(t.Context(), s.id))
	if s.paused() || s.rates("").PausedAt != nil || s.rates("acme.test").PausedAt != nil {
		t.Fatalf("not resumed: %+v", s.rates(""))
	}
	s.fail("bounce", late[:100], people(100))
	w.now = w.now.Add(2 * time.Second)
	s.mail("acme.test", 250, 0)
	s.watch()
	if rates := s.rates(""); s.paused() || rates.Recipients != 250 || rates.Bounced != 0 {
		t.Errorf("paused %t, the rates are %+v", s.paused(), rates)
	}
	s.mail("acme.test", 250, 50)
	s.watch()
	if !s.paused() {
		t.Error("new bounces do not pause")
	}
}

// A pause belongs to the name of the domain: registering it again does not end it.
func TestAPauseOutlivesTheDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.sender("good.test", "bad.test")
	s.mail("good.test", 2000, 0)
	s.mail("bad.test", 200, 20)
	s.watch()
	w.execute("DELETE FROM domains WHERE id = $1", s.domains["bad.test"])
	w.now = w.now.Add(2 * time.Hour)
	s.watch()
	if s.rates("bad.test").PausedAt == nil {
		t.Error("the pause has ended")
	}
}

// Several processes watch at the same time: everything is counted and told once.
func TestWatchersOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.sender("acme.test")
	for range 3 {
		s.mail("acme.test", 2000, 100)
	}
	w.now = w.now.Add(3 * time.Minute)
	var together errgroup.Group
	for range 4 {
		together.Go(func() error { return w.Run(t.Context()) })
	}
	must(t, together.Wait())
	s.watch()
	rates := s.rates("")
	if rates.Recipients < 1900 || rates.Recipients > 2100 || rates.Bounced != 100 {
		t.Errorf("the rates are %+v", rates)
	}
	if told := s.told(); len(told) != 2 {
		t.Errorf("told %+v", told)
	}
}
