// Package doctor checks an installation by following a message through it, step by step; it names the step that fails
// and what to do about it.
//
//   - doctor.go: [Flags], the steps in their order, settings and database
//   - aws.go: credentials, account, configuration set, topic, queue, subscription
//   - dead_letters.go: what happens to events that cannot be delivered, and how many lie in the dead-letter queue
//   - probe.go: sending a test message, and waiting for its event
package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

// Flags holds the settings of the installation to check, and of the test message.
type Flags struct {
	From string        `placeholder:"ADDRESS" help:"Sender of the test message. Default: doctor@ the domain that was verified first."`
	Wait time.Duration `default:"60s" placeholder:"TIME" help:"Maximum wait for the event of the test message. Default: 60s."`
	components.SecretKeyFlags
	components.DatabaseFlags
	components.SESFlags
	components.DNSFlags
	components.EventsFlags
}

// stepResult is the result of a step that succeeded. A warning does not stop the doctor.
type stepResult struct{ detail, warning string }

// step is one check of the installation.
type step struct {
	name string
	try  func(ctx context.Context) (stepResult, error)
}

// hintError is an error with advice on what to do about it.
type hintError struct {
	error
	advice string
}

func (e hintError) Unwrap() error { return e.error }

func withHint(err error, format string, values ...any) error {
	return hintError{err, fmt.Sprintf(format, values...)}
}

// doctor holds what each step found for the steps after it.
type doctor struct {
	*Flags
	process  *components.Process
	database *store.Store
	ses      *ses.Client
	aws      *awsevents.Client
	// destinations are the event destinations of the configuration set.
	destinations []ses.Destination
	topics       []string // topics of the enabled event destinations that EventsTopics allows
	queueARN     string
	endpoints    []awsevents.Subscription // confirmed subscriptions of web servers
	sentAt       time.Time
	probe        string
}

// Run runs the steps in order, and stops at the first that fails.
func (f *Flags) Run(ctx context.Context, process *components.Process) error {
	d := &doctor{Flags: f, process: process}
	defer func() {
		if d.database != nil {
			d.database.Close()
		}
	}()
	for _, next := range d.steps() {
		found, err := next.try(ctx)
		if err != nil {
			return d.stop(next.name, err)
		}
		if err := process.Printf("ok       %-18s %s\n", next.name, found.detail); err != nil {
			return err
		}
		if found.warning != "" {
			if err := process.Printf("         warning: %s\n", found.warning); err != nil {
				return err
			}
		}
	}
	return process.Printf("all is well\n")
}

func (d *doctor) steps() []step {
	steps := []step{
		{"configuration", d.tryConfiguration},
		{"database", d.tryDatabase},
		{"clock", d.tryClock},
		{"migrations", d.tryMigrations},
		{"reputation", d.tryReputation},
		{"set aside", d.trySetAside},
		{"credentials", d.tryCredentials},
		{"account", d.tryAccount},
		{"configuration set", d.tryConfigurationSet},
		{"tenants", d.tryTenants},
		{"event destination", d.tryDestination},
		{"resolver", d.tryResolver},
		{"topic", d.tryTopic},
	}
	if d.EventsQueue != "" {
		steps = append(steps, step{"queue", d.tryQueue})
	}
	return append(steps, step{"subscription", d.trySubscription}, step{"dead letters", d.tryDeadLetters},
		step{"message", d.tryMessage}, step{"event", d.tryEvent})
}

// stop prints the failed step, its error and the advice.
func (d *doctor) stop(name string, err error) error {
	text := fmt.Sprintf("FAILED   %-18s %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
	var with hintError
	if errors.As(err, &with) {
		text += "         what to do: " + with.advice + "\n"
	}
	return errors.Join(d.process.Printf("%sstopped at: %s\n", text, name), fmt.Errorf("doctor: stopped at: %s", name))
}

func (d *doctor) tryConfiguration(context.Context) (stepResult, error) {
	for _, check := range []func() error{
		func() error { return d.SecretKeyFlags.Check(d.process.Random) }, d.DatabaseFlags.Check, d.EventsFlags.Check,
	} {
		if err := check(); err != nil {
			return stepResult{}, withHint(err, "set the variable as for `mailstack serve`")
		}
	}
	if !d.Expected() {
		return stepResult{}, withHint(errors.New("neither MAILSTACK_EVENTS_TOPICS nor MAILSTACK_EVENTS_QUEUE is set: every status would stay at Sent"),
			"run `mailstack ses setup` and export what it prints")
	}
	if d.ConfigurationSet == "" {
		return stepResult{}, withHint(errors.New("MAILSTACK_CONFIGURATION_SET is empty: events belong to a configuration set"), "leave it out, or name one")
	}
	return stepResult{detail: "complete"}, nil
}

func (d *doctor) tryDatabase(ctx context.Context) (stepResult, error) {
	advice := "check DATABASE_URL, and that Postgres runs and accepts connections from this machine"
	var err error
	d.database, err = store.Open(ctx, store.Config{URL: d.DatabaseURL, MaxConns: 2, Name: "mailstack doctor"})
	if err != nil {
		return stepResult{}, withHint(err, "%s", advice)
	}
	if err := d.database.Ping(ctx); err != nil {
		return stepResult{}, withHint(err, "%s", advice)
	}
	return stepResult{detail: "reachable"}, nil
}

func (d *doctor) tryClock(ctx context.Context) (stepResult, error) {
	clock := store.NewClock(d.process.Now, slog.New(slog.DiscardHandler))
	if err := clock.Measure(ctx, d.database); err != nil {
		return stepResult{}, withHint(err, "check that Postgres answers statements")
	}
	ahead := clock.Ahead()
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	found := stepResult{detail: fmt.Sprintf("this machine is %s %s Postgres", ahead.Abs().Round(time.Millisecond), direction)}
	if ahead.Abs() > store.ClockTolerance {
		found.warning = "processes read Postgres's clock for their work, but AWS refuses signatures of another time, and TLS needs the " +
			"right time: check the time synchronization of this machine and of Postgres's"
	}
	return found, nil
}

func (d *doctor) tryMigrations(ctx context.Context) (stepResult, error) {
	if err := components.CheckSchema(ctx, d.database); err != nil {
		return stepResult{}, withHint(err, "run `mailstack migrate`")
	}
	ahead, err := d.database.MonthsAhead(ctx, d.process.Now())
	if err != nil {
		return stepResult{}, withHint(err, "check that the user of DATABASE_URL can read the catalog")
	}
	oldest, err := d.database.OldestPartitions(ctx)
	if err != nil {
		return stepResult{}, withHint(err, "check that the user of DATABASE_URL can read the catalog")
	}
	found := stepResult{detail: fmt.Sprintf("up to date, partitions for %d months ahead; bodies are kept since %s, messages since %s",
		ahead, oldest["contents"].Format("2006-01"), oldest["emails"].Format("2006-01"))}
	if ahead == 0 {
		found.warning = "the next month has no partitions, so that no message could be accepted in it: start a worker, which makes " +
			"them, and see mailstack_job_failures_total{job=\"create partitions\"}"
	}
	return found, nil
}

func (d *doctor) tryReputation(ctx context.Context) (stepResult, error) {
	paused, err := d.database.Queries().ReputationPaused(ctx)
	if err != nil {
		return stepResult{}, withHint(err, "check that the user of DATABASE_URL can read the tables")
	}
	if paused.Organizations+paused.Domains == 0 {
		return stepResult{detail: "sending is paused for no organization"}, nil
	}
	return stepResult{
		detail: fmt.Sprintf("sending is paused for %d organizations and %d domains", paused.Organizations, paused.Domains),
		warning: "their mail bounces, or is complained about, more than the account can bear: see `mailstack org list` and `org show`, " +
			"and `org resume` once the cause is gone",
	}, nil
}

func (d *doctor) trySetAside(ctx context.Context) (stepResult, error) {
	counts, err := d.database.Queries().SetAsideCount(ctx)
	if err != nil {
		return stepResult{}, withHint(err, "check that the user of DATABASE_URL can read all tables")
	}
	if counts.Notifications+counts.Results == 0 {
		return stepResult{detail: "nothing"}, nil
	}
	return stepResult{
		detail: fmt.Sprintf("%d SES events and %d results of sending", counts.Notifications, counts.Results),
		warning: "Postgres refused to store them; its words are in the tables set_aside_notifications and set_aside_results. Events and " +
			"statuses that should follow from them are missing",
	}, nil
}

func (d *doctor) tryResolver(ctx context.Context) (stepResult, error) {
	resolver, err := dns.New(dns.Config{Server: d.DNSServer, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = resolver.Check(ctx)
	}
	if err != nil {
		return stepResult{}, withHint(err, "set MAILSTACK_DNS_SERVER to a resolver that answers; without one no domain is verified")
	}
	return stepResult{detail: "it answers"}, nil
}
