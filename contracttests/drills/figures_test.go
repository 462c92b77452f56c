package main

import (
	"testing"
	"time"
)

func good() figures {
	return figures{
		requests: 1000, statuses: map[int]int{202: 1000}, accepted: 1000, sent: 1000, ambiguous: 5,
		gap: 5 * time.Second, down: 2 * time.Second, resumed: 5 * time.Second,
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	everything := bounds{flawless: true, onlyUnavailable: true, returns: true, resumes: true}
	if err := good().verdict(everything); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]struct {
		of   bounds
		with func(*figures)
	}{
		"nothing accepted": {bounds{}, func(f *figures) { f.accepted = 0 }},
		"lost":             {bounds{}, func(f *figures) { f.lost = 1 }},
		"stuck":            {bounds{}, func(f *figures) { f.stuck = 1 }},
		"failed":           {bounds{}, func(f *figures) { f.failed = 1 }},
		"doubled":          {bounds{}, func(f *figures) { f.doubled = 1 }},
		"duplicated":       {bounds{}, func(f *figures) { f.duplicated = 6 }},
		"one duplicate":    {bounds{flawless: true}, func(f *figures) { f.duplicated = 1 }},
		"one 503":          {bounds{flawless: true}, func(f *figures) { f.requests, f.statuses[503] = 1001, 1 }},
		"one cut":          {bounds{flawless: true}, func(f *figures) { f.requests, f.errors = 1001, 1 }},
		"one 500":          {bounds{onlyUnavailable: true}, func(f *figures) { f.requests, f.statuses[500] = 1001, 1 }},
		"one cut beside":   {bounds{onlyUnavailable: true}, func(f *figures) { f.requests, f.errors = 1001, 1 }},
		"a long gap":       {bounds{returns: true}, func(f *figures) { f.gap++ }},
		"late mail":        {bounds{resumes: true}, func(f *figures) { f.resumed++ }},
		"no mail again":    {bounds{resumes: true}, func(f *figures) { f.resumed = 0 }},
	} {
		f := good()
		if spoil.with(&f); f.verdict(spoil.of) == nil {
			t.Errorf("%s passes: %s", name, f)
		}
	}
}

func TestUntilMonthEnd(t *testing.T) {
	t.Parallel()
	for _, now := range []string{
		"2026-11-28T05:00:00Z", "2026-11-30T23:59:30Z", "2026-12-31T23:59:30Z", "2028-02-01T00:00:00Z", "2026-06-30T12:00:00+14:00",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		ahead := untilMonthEnd(at)
		end := at.Add(ahead + beforeMonthEnd).UTC()
		if ahead < 0 || end != time.Date(end.Year(), end.Month(), 1, 0, 0, 0, 0, time.UTC) || end.AddDate(0, 0, -1).Day() != 30 {
			t.Errorf("%s: %s ahead, and the month ends at %s", now, ahead, end)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for letters, want := range map[string]int{"": 6, "a": 1, "da": 2, "abcdef": 6} {
		chosen, err := choose(letters)
		if err != nil || len(chosen) != want {
			t.Errorf("%q: %d parts, %v", letters, len(chosen), err)
		}
	}
	for _, letters := range []string{"g", "ax", "aa"} {
		if _, err := choose(letters); err == nil {
			t.Errorf("%q is accepted", letters)
		}
	}
}
