package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func good() figures {
	return figures{accepted: 50_000, sent: 50_000, duplicated: 5, ambiguous: 5, kills: 10, stops: 10, dropped: 100, capped: 2, snapshot: 0.6}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	if err := good().verdict(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*figures){
		"lost":            func(f *figures) { f.lost = 1 },
		"duplicated":      func(f *figures) { f.duplicated = 6 },
		"over_cap":        func(f *figures) { f.overCap = 1 },
		"stuck":           func(f *figures) { f.stuck = 1 },
		"doubled_accepts": func(f *figures) { f.doubled = 1 },
		"miscounted":      func(f *figures) { f.miscounted = 1 },
		"failed":          func(f *figures) { f.failed = 1 },
	} {
		f := good()
		if spoil(&f); f.verdict() == nil {
			t.Errorf("%s passes: %s", name, f)
		}
	}
}

func TestVoid(t *testing.T) {
	t.Parallel()
	if err := good().void(5 * time.Minute); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*figures){
		"accepted":        func(f *figures) { f.accepted-- },
		"kills":           func(f *figures) { f.kills-- },
		"stops":           func(f *figures) { f.stops-- },
		"dropped_answers": func(f *figures) { f.dropped-- },
		"capped":          func(f *figures) { f.capped-- },
		"snapshot":        func(f *figures) { f.snapshot = 0.5 },
	} {
		f := good()
		if spoil(&f); f.void(5*time.Minute) == nil || f.void(time.Hour) == nil {
			t.Errorf("a run with too little %s counts", name)
		}
		if name != "capped" && name != "snapshot" && f.void(4*time.Minute) != nil {
			t.Errorf("a shorter run with as much %s is void", name)
		}
	}
}

func TestTheSeedDecidesTheSequence(t *testing.T) {
	t.Parallel()
	sequence := func(seed uint64) (dealt []int) {
		d := deck[int]{cards: []int{1, 2, 3, 4, 5, 6}, random: rand.New(rand.NewPCG(seed, 0))}
		for range 60 {
			dealt = append(dealt, d.deal())
		}
		return dealt
	}
	first := sequence(1)
	if !slices.Equal(first, sequence(1)) || slices.Equal(first, sequence(2)) {
		t.Error("the sequence does not follow from the seed")
	}
	for round := range slices.Chunk(first, 6) {
		if sorted := slices.Sorted(slices.Values(round)); !slices.Equal(sorted, []int{1, 2, 3, 4, 5, 6}) {
			t.Errorf("not every card is in a round: %v", round)
		}
	}
}
