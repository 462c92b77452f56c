package dns

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Record is one record that a [Server] publishes.
type Record struct {
	Name string
	Type string // TypeCNAME, TypeTXT or TypeMX
	// Value is the target of a CNAME, the whole text of a TXT, or the
	// preference and host of an MX ("10 mail.example.com").
	Value string
	TTL   uint32 // seconds
}

// Zone supplies the records that a [Server] answers with. It must be safe for concurrent use.
type Zone interface {
	// Records returns the records of a name, which is lower-cased and without trailing dot. It may return only
	// CNAMEs and records of the queried type; but then names that have only other types seem not to exist. Records
	// of other names are ignored. No record means that the name does not exist. [ErrRefused] and [ErrSilent] have
	// the effect of their names; other errors are answered with SERVFAIL.
	Records(ctx context.Context, name, qtype string) ([]Record, error)
}

var (
	// ErrRefused makes the server answer REFUSED.
	ErrRefused = errors.New("dns query refused")
	// ErrSilent makes the server send no answer.
	ErrSilent = errors.New("dns query not answered")

	errServerFailure = errors.New("dns zone failure")
)

// Failure is how questions about a name of a [StaticZone] fail.
type Failure string

// The ways to fail.
const (
	FailNone     Failure = "none"     // answer as usual
	FailServfail Failure = "servfail" // the zone is broken
	FailHang     Failure = "hang"     // no answer
	FailRefuse   Failure = "refuse"   // the server refuses
)

// StaticZone is a [Zone] in memory, safe for concurrent use.
type StaticZone struct {
	mu       sync.RWMutex
	records  map[string][]Record
	failures map[string]Failure
}

// NewStaticZone returns a zone with these records.
func NewStaticZone(records ...Record) *StaticZone {
	zone := &StaticZone{records: map[string][]Record{}, failures: map[string]Failure{}}
	zone.Set(records...)
	return zone
}

// Set publishes records. They replace all earlier records of the same name and type.
func (z *StaticZone) Set(records ...Record) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, record := range records {
		name := canonical(record.Name)
		z.records[name] = slices.DeleteFunc(z.records[name], func(old Record) bool { return old.Type == record.Type })
	}
	for _, record := range records {
		name := canonical(record.Name)
		z.records[name] = append(z.records[name], record)
	}
}

// Remove removes all records of the name, and its failure.
func (z *StaticZone) Remove(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, canonical(name))
	delete(z.failures, canonical(name))
}

// Fail makes questions about the name fail from now on; FailNone ends that.
func (z *StaticZone) Fail(name string, failure Failure) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.failures[canonical(name)] = failure
}

// Records implements [Zone].
func (z *StaticZone) Records(_ context.Context, name, _ string) ([]Record, error) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	switch z.failures[name] {
	case FailServfail:
		return nil, errServerFailure
	case FailHang:
		return nil, ErrSilent
	case FailRefuse:
		return nil, ErrRefused
	}
	return slices.Clone(z.records[name]), nil
}
