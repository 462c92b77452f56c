package main

import (
	"context"
	"strings"
	"sync"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/devdb"
)

const (
	// largeBatches batches of largeBatchBytes (nearly 20 MiB) are sent at the same time, beside a few connections
	// with small sends.
	largeBatches     = 64
	largeBatchBytes  = 20<<20 - 64<<10
	besideLarge      = 4
	largeBatchEmails = 4
)

// memory measures a server's peak memory while large batches arrive, and whether small sends still pass beside
// them.
func (w *world) memory(ctx context.Context) error {
	at, err := w.serve(ctx, "large", devdb.Database)
	if err != nil {
		return err
	}
	defer at.Kill()
	html := strings.Repeat("Hello there. ", largeBatchBytes/largeBatchEmails/13)
	var batch []byte
	batch = append(batch, `{"emails":[`...)
	for i := range largeBatchEmails {
		if i > 0 {
			batch = append(batch, ',')
		}
		batch = append(batch, `{"from":"hello@`+w.tenant.Domain+`","to":"user@example.com","subject":"Large","html":"`+html+`"}`...)
	}
	batch = append(batch, "]}"...)
	var large, small harness.Load
	var failures [2]error
	var both sync.WaitGroup
	both.Go(func() {
		large, failures[0] = harness.Drive(ctx, at.address, largeBatches, 2*w.set.each, harness.Request{Path: batchPath, Key: w.tenant.Key},
			func(_ []byte, _ int) []byte { return batch })
	})
	both.Go(func() {
		small, failures[1] = harness.Drive(ctx, at.address, besideLarge, 2*w.set.each, harness.Request{Path: singlePath, Key: w.tenant.Key}, w.single)
	})
	both.Wait()
	for _, failure := range failures {
		if failure != nil {
			return failure
		}
	}
	peak, err := residentPeak(at.PID)
	if err != nil {
		return err
	}
	w.report.Large = largeFigures{
		ResidentMiB: mebibytes(peak), Accepted: large.Requests, Refused: large.Refused,
		Small: figures{small.PerSecond(), milliseconds(small.Percentile(50)), milliseconds(small.Percentile(99))},
	}
	return at.Stop()
}
