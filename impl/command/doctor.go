package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

type doctorCommand struct {
	From string        `placeholder:"ADDRESS" help:"Sender of the message that is sent. Default: doctor@ the domain that was verified first."`
	Wait time.Duration `default:"60s" placeholder:"TIME" help:"How long to wait for its event. Default: 60s."`
	secretKeyFlags
	databaseFlags
	sesFlags
	dnsFlags
	eventsFlags
}

// Help is shown by --help.
func (*doctorCommand) Help() string {
	return `Goes the way of a message, hop by hop, in the environment of "mailstack serve", and stops where it ends: the last line names the hop. The message goes to success@simulator.amazonses.com, where Amazon takes it; it is nobody's message, is counted for nobody, and leaves nothing behind.

Its event is stored by a running "mailstack serve". Where a queue is configured and nobody has stored it after a third of the wait, the doctor collects from the queue too, as a worker does: what it takes is stored before it is deleted.`
}

// finding is what a hop has to say. A warning does not stop the doctor.
type finding struct{ detail, warning string }

// hop is one of the things that have to work.
type hop struct {
	name string
	try  func(ctx context.Context) (finding, error)
}

// advised is an error with what to do about it.
type advised struct {
	error
	advice string
}

func (e advised) Unwrap() error { return e.error }

func advise(err error, format string, values ...any) error {
	return advised{err, fmt.Sprintf(format, values...)}
}

// doctor is what the hops learn for those after them.
type doctor struct {
	*doctorCommand
	process  *Process
	database *store.Store
	ses      *ses.Client
	aws      *awsevents.Client
	// destinations are those of the configuration set.
	destinations []ses.Destination
	topics       []string // those of the enabled event destinations that we listen to
	queueARN     string
	sentAt       time.Time
	probe        string
}

// Run tries one hop after the other.
func (c *doctorCommand) Run(ctx context.Context, process *Process) error {
	d := &doctor{doctorCommand: c, process: process}
	defer func() {
		if d.database != nil {
			d.database.Close()
		}
	}()
	for _, next := range d.hops() {
		found, err := next.try(ctx)
		if err != nil {
			return d.stop(next.name, err)
		}
		if err := process.printf("ok       %-18s %s\n", next.name, found.detail); err != nil {
			return err
		}
		if found.warning != "" {
			if err := process.printf("         warning: %s\n", found.warning); err != nil {
				return err
			}
		}
	}
	return process.printf("all is well\n")
}

func (d *doctor) hops() []hop {
	hops := []hop{
		{"configuration", d.tryConfiguration},
		{"database", d.tryDatabase},
		{"migrations", d.tryMigrations},
		{"credentials", d.tryCredentials},
		{"account", d.tryAccount},
		{"configuration set", d.tryConfigurationSet},
		{"event destination", d.tryDestination},
		{"resolver", d.tryResolver},
		{"topic", d.tryTopic},
	}
	if d.EventsQueue != "" {
		hops = append(hops, hop{"queue", d.tryQueue})
	}
	return append(hops, hop{"subscription", d.trySubscription}, hop{"message", d.tryMessage}, hop{"event", d.tryEvent})
}

// stop says where and why, and what to do.
func (d *doctor) stop(name string, err error) error {
	text := fmt.Sprintf("FAILED   %-18s %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
	var with advised
	if errors.As(err, &with) {
		text += "         what to do: " + with.advice + "\n"
	}
	return errors.Join(d.process.printf("%sstopped at: %s\n", text, name), fmt.Errorf("doctor: stopped at: %s", name))
}

func (d *doctor) tryConfiguration(context.Context) (finding, error) {
	for _, check := range []func() error{
		func() error { return d.secretKeyFlags.check(d.process.Random) }, d.databaseFlags.check, d.eventsFlags.check,
	} {
		if err := check(); err != nil {
			return finding{}, advise(err, "set the variable as for `mailstack serve`")
		}
	}
	if !d.expected() {
		return finding{}, advise(errors.New("neither MAILSTACK_EVENTS_TOPICS nor MAILSTACK_EVENTS_QUEUE is set: every status would stay at Sent"),
			"run `mailstack ses setup` and export what it prints")
	}
	if d.ConfigurationSet == "" {
		return finding{}, advise(errors.New("MAILSTACK_CONFIGURATION_SET is empty: events belong to a configuration set"), "leave it out, or name one")
	}
	return finding{detail: "complete"}, nil
}

func (d *doctor) tryDatabase(ctx context.Context) (finding, error) {
	advice := "check DATABASE_URL, and that Postgres runs and lets this machine in"
	var err error
	d.database, err = store.Open(ctx, store.Config{URL: d.DatabaseURL, MaxConns: 2, Name: "mailstack doctor"})
	if err != nil {
		return finding{}, advise(err, "%s", advice)
	}
	if err := d.database.Ping(ctx); err != nil {
		return finding{}, advise(err, "%s", advice)
	}
	return finding{detail: "it answers"}, nil
}

func (d *doctor) tryMigrations(ctx context.Context) (finding, error) {
	if err := checkSchema(ctx, d.database); err != nil {
		return finding{}, advise(err, "run `mailstack migrate`")
	}
	return finding{detail: "up to date"}, nil
}

func (d *doctor) tryResolver(ctx context.Context) (finding, error) {
	resolver, err := dns.New(dns.Config{Server: d.DNSServer, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = resolver.Check(ctx)
	}
	if err != nil {
		return finding{}, advise(err, "set MAILSTACK_DNS_SERVER to a resolver that answers; without one no domain is verified")
	}
	return finding{detail: "it answers"}, nil
}
