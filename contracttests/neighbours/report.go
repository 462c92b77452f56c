package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	// worst is how much a 99th percentile may grow beside an attack: this many times the one of alone, plus slack.
	worst = 3
	slack = 100 * time.Millisecond
)

// latencies holds how long the quiet organization waited for each request, or for each webhook.
type latencies []time.Duration

// percentile returns the latency within which a share of the work was done (nearest rank).
func (l latencies) percentile(share float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// lived is what the quiet organization met in a stretch of time.
type lived struct {
	requests, webhooks latencies
	// failed holds what was not answered as it should be.
	failed []string
	// attacker is what the attacking process says of its own requests.
	attacker string
	// peak is the server's peak memory, in bytes.
	peak int64
}

type report struct {
	alone  lived
	output io.Writer
	faults []error
}

func (r *report) head() error {
	_, err := fmt.Fprintf(r.output, "%-28s %9s %9s %9s %9s %7s %8s  %s\n", "beside", "req p50", "req p99", "hook p50", "hook p99", "failed", "RSS MiB", "the attacker got")
	return err
}

// add prints a line and judges it.
func (r *report) add(title string, found lived) error {
	if len(found.failed) > 0 {
		r.faults = append(r.faults, fmt.Errorf("beside %s failed: %s", title, strings.Join(found.failed[:min(3, len(found.failed))], "; ")))
	}
	for _, excess := range r.excesses(found) {
		r.faults = append(r.faults, fmt.Errorf("beside %s %w", title, excess))
	}
	return r.print(title, found)
}

func (r *report) print(title string, found lived) error {
	_, err := fmt.Fprintf(r.output, "%-28s %9s %9s %9s %9s %7d %8d  %s\n", title,
		short(found.requests.percentile(0.5)), short(found.requests.percentile(0.99)),
		short(found.webhooks.percentile(0.5)), short(found.webhooks.percentile(0.99)), len(found.failed), found.peak>>20, found.attacker)
	if err != nil {
		return fmt.Errorf("print a line of the table: %w", err)
	}
	return nil
}

// slow reports whether a percentile is too large.
func (r *report) slow(found lived) bool { return len(r.excesses(found)) > 0 }

func (r *report) excesses(found lived) (excesses []error) {
	for _, kind := range []struct {
		name          string
		alone, beside latencies
	}{
		{"requests", r.alone.requests, found.requests},
		{"webhooks", r.alone.webhooks, found.webhooks},
	} {
		most := worst*kind.alone.percentile(0.99) + slack
		if took := kind.beside.percentile(0.99); took > most {
			excesses = append(excesses, fmt.Errorf("the 99th percentile of %s is %s, more than %s", kind.name, short(took), short(most)))
		}
	}
	return excesses
}

func (r *report) verdict() error { return errors.Join(r.faults...) }

func short(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
