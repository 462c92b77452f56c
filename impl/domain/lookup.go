package domain

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/dns"
)

const (
	// lookupTimeout bounds the lookups of one domain, which run concurrently.
	lookupTimeout = 5 * time.Second
	// Bounds on what is stored of an answer, because the owner of the zone controls its size.
	maxObserved      = 10
	maxObservedBytes = 300
)

// lookUp returns the records with what the DNS holds now.
func (s *Service) lookUp(ctx context.Context, records []Record) []Record {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found := slices.Clone(records)
	var pending sync.WaitGroup
	for i := range found {
		pending.Go(func() { s.observe(ctx, &found[i]) })
	}
	pending.Wait()
	return found
}

func (s *Service) observe(ctx context.Context, r *Record) {
	observed, matches, err := s.resolve(ctx, *r)
	if err != nil {
		// Keep what was observed before.
		r.Status = RecordUnknown
		return
	}
	r.Observed = bounded(observed)
	switch {
	case matches:
		r.Status = RecordVerified
	case len(observed) == 0:
		r.Status = RecordMissing
	default:
		r.Status = RecordMismatch
	}
}

func (s *Service) resolve(ctx context.Context, r Record) (observed []string, matches bool, err error) {
	switch r.Type {
	case dns.TypeCNAME:
		observed, err = s.dns.CNAME(ctx, r.Name)
		return observed, dns.MatchCNAME(observed, r.Value), err
	case dns.TypeMX:
		exchangers, err := s.dns.MX(ctx, r.Name)
		for _, mx := range exchangers {
			observed = append(observed, mx.String())
		}
		return observed, dns.MatchMX(exchangers, r.Value), err
	case dns.TypeTXT:
		observed, err = s.dns.TXT(ctx, r.Name)
		return observed, matchTXT(r, observed), err
	}
	return nil, false, errors.New("no look-up for records of type " + r.Type)
}

func matchTXT(r Record, texts []string) bool {
	switch r.Purpose {
	case PurposeSPF:
		return dns.MatchSPF(texts, spfInclude)
	case PurposeDMARC:
		return dns.MatchDMARC(texts)
	}
	return dns.MatchTXT(texts, r.Value)
}

func bounded(observed []string) []string {
	kept := make([]string, 0, min(len(observed), maxObserved))
	for _, text := range observed[:min(len(observed), maxObserved)] {
		if len(text) > maxObservedBytes {
			text = strings.ToValidUTF8(text[:maxObservedBytes], "") + "…"
		}
		kept = append(kept, text)
	}
	return kept
}
