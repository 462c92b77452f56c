package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/contracttests/harness"
)

const (
	eventsTopic = "arn:aws:sns:us-east-1:000000000000:mailstack"
	eventsPath  = "/internal/ses/events"
	// postedEvents are posted over most connections, after the first of them that are warm-up.
	postedEvents = 18_000
	warmUpEvents = 2_000
)

// postedEvents measures a server to which SNS posts events, signed beforehand, until they are stored.
func (w *world) postedEvents(ctx context.Context) (row eventRow, err error) {
	signer, err := harness.NewSigner(eventsTopic)
	if err != nil {
		return row, err
	}
	certificate, err := harness.Certify(signer.Key)
	if err != nil {
		return row, err
	}
	amazon := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) { _, _ = writer.Write(certificate) }))
	defer amazon.Close()
	signer.CertificateURL = amazon.URL + "/SimpleNotificationService-bench.pem"
	bodies, err := signed(signer, postedEvents)
	if err != nil {
		return row, err
	}
	database, err := w.harness.Database(ctx, "posted")
	if err != nil {
		return row, err
	}
	defer database.Close()
	at, err := w.serve(ctx, "posted", "posted",
		"MAILSTACK_EVENTS_TOPICS="+eventsTopic, "MAILSTACK_EVENTS_TRUSTED_HOST="+strings.TrimPrefix(amazon.URL, "http://"))
	if err != nil {
		return row, err
	}
	defer at.Kill()
	if _, err := w.post(ctx, at, bodies[:warmUpEvents]); err != nil {
		return row, err
	}
	spent, err := w.spending(at.PID, ownTime)
	if err != nil {
		return row, err
	}
	load, err := w.post(ctx, at, bodies[warmUpEvents:])
	if err != nil {
		return row, err
	}
	if row, err = spent(float64(load.Requests)); err != nil {
		return row, err
	}
	row.PerSecond = load.PerSecond()
	if stored := harness.Count(ctx, database, "SELECT count(*) FROM notifications"); stored != postedEvents {
		return row, fmt.Errorf("%d of %d events are stored", stored, postedEvents)
	}
	return row, at.Stop()
}

// signed makes posts of events, with all processors.
func signed(signer *harness.Signer, count int) ([][]byte, error) {
	bodies := make([][]byte, count)
	errs := make([]error, runtime.NumCPU())
	var all sync.WaitGroup
	for part := range errs {
		all.Go(func() {
			for i := part; i < count && errs[part] == nil; i += len(errs) {
				event := deliveryOf(uuid.NewString(), fmt.Sprintf("user%d@example.com", i))
				bodies[i], errs[part] = signer.Sign(uuid.NewString(), event, time.Now())
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return bodies, nil
}

// post posts each of the bodies once.
func (w *world) post(ctx context.Context, at api, bodies [][]byte) (harness.Load, error) {
	load, err := harness.Drive(ctx, at.address, most, eventsLimit, harness.Request{Path: eventsPath, Wanted: http.StatusOK},
		func(to []byte, number int) []byte {
			if number >= len(bodies) {
				return nil
			}
			return append(to, bodies[number]...)
		})
	if err == nil && (load.Refused > 0 || load.Requests != len(bodies)) {
		return load, fmt.Errorf("%d of %d posts were accepted, %d refused", load.Requests, len(bodies), load.Refused)
	}
	return load, err
}

// ownTime returns the processor time of this process.
func ownTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
