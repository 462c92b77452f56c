// Package maintenance runs the periodic jobs of a worker: partitions, retention, and the jobs of other packages. Any
// process may run any job at any time, also while another process does.
//
//   - maintenance.go: [Job], and running jobs until a context ends
//   - retention.go: partitions and idempotency keys
package maintenance

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	// jobTimeout bounds one run of a job.
	jobTimeout = 5 * time.Minute
	// jobRetry is the first wait after a run that failed.
	jobRetry = 30 * time.Second
)

// Job is work that is repeated at an interval.
type Job struct {
	// Name identifies the job in the log.
	Name     string
	Interval time.Duration
	Run      func(ctx context.Context) error
}

// Observer receives what metrics need.
type Observer interface {
	// JobDone is called after each run of a job; err is nil for a success.
	JobDone(name string, err error)
}

// Runner runs jobs, each in a goroutine of its own.
type Runner struct {
	Jobs []Job
	// Random returns a number in [0, 1), concurrently.
	Random func() float64
	// Observer receives what metrics need. Nil means none.
	Observer Observer
	Log      *slog.Logger
}

// Run runs the jobs until ctx ends.
func (r *Runner) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, job := range r.Jobs {
		running.Go(func() { r.runPeriodically(ctx, job) })
	}
	running.Wait()
}

// runPeriodically runs one job again and again until ctx ends. After a failure it tries again sooner, from
// jobRetry up to the interval.
func (r *Runner) runPeriodically(ctx context.Context, job Job) {
	failures := int32(0)
	for ctx.Err() == nil {
		wait := backoff.Jitter(job.Interval, r.Random())
		err := runJob(ctx, job)
		if r.Observer != nil && (err == nil || ctx.Err() == nil) {
			r.Observer.JobDone(job.Name, err)
		}
		if err == nil {
			failures = 0
		} else if ctx.Err() == nil {
			failures++
			wait = backoff.Exponential(jobRetry, job.Interval, failures, r.Random())
			r.Log.ErrorContext(ctx, "a periodic job failed", "job", job.Name, "error", err, "retry_in", wait.String())
		}
		_ = backoff.Sleep(ctx, wait) // the loop checks ctx
	}
}

func runJob(ctx context.Context, job Job) (err error) {
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s panicked: %s\n%s", job.Name, workqueue.PanicText(v), debug.Stack())
		}
	}()
	return job.Run(ctx)
}
