package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// eventBacklog is the number of events stored before the worker starts, one for each message.
	eventBacklog = 30_000
	eventsLimit  = 2 * time.Minute
	pollEvents   = 10 * time.Millisecond
)

// eventRow is what the events of one measurement took, in microseconds of processor time for each. Client is the program that
// posts them, or the queue that holds them: the machine has fast and slow phases, in which it changes with the others.
type eventRow struct {
	PerSecond float64 `json:"perSecond"`
	Server    float64 `json:"serverMicroseconds"`
	Postgres  float64 `json:"postgresMicroseconds"`
	Client    float64 `json:"clientMicroseconds,omitempty"`
	Resident  float64 `json:"residentMiB"`
}

// eventFigures are of events that are stored: from a backlog until they are facts, without and with a subscribed webhook;
// posted over HTTP until they are stored; out of a queue until they are facts.
type eventFigures struct {
	Backlog eventRow `json:"backlog"`
	Webhook eventRow `json:"webhook"`
	Posted  eventRow `json:"posted"`
	Queue   eventRow `json:"queue"`
}

// events measures what becomes of SES events.
func (w *world) events(ctx context.Context) (err error) {
	simulator, err := w.simulate(ctx)
	if err != nil {
		return err
	}
	defer simulator.Kill()
	figures := &eventFigures{}
	if figures.Backlog, err = w.storedEvents(ctx, simulator, "events", false); err != nil {
		return err
	}
	if figures.Webhook, err = w.storedEvents(ctx, simulator, "events_webhook", true); err != nil {
		return err
	}
	if figures.Posted, err = w.postedEvents(ctx); err != nil {
		return err
	}
	if figures.Queue, err = w.queuedEvents(ctx, simulator); err != nil {
		return err
	}
	w.report.Events = figures
	return simulator.Stop()
}

// storedEvents measures a worker that has a backlog of deliveries to record. The webhook is paused: what follows from its
// deliveries is measured elsewhere.
func (w *world) storedEvents(ctx context.Context, simulator simulator, name string, subscribed bool) (eventRow, error) {
	database, err := w.messagesOf(ctx, name, eventBacklog, subscribed)
	if err != nil {
		return eventRow{}, err
	}
	defer database.Close()
	_, err = database.Pool().Exec(ctx, `
INSERT INTO notifications (message_id, body, received_at, due_at)
SELECT gen_random_uuid()::text, replace(replace($1::text, 'EMAIL-ID', emails.id::text), 'ADDRESS', emails.to_email), at, at
FROM (SELECT id, to_email, now() - row_number() OVER (ORDER BY id DESC) * interval '1 microsecond' AS at FROM emails) AS emails`,
		deliveryOf("EMAIL-ID", "ADDRESS"))
	if err != nil {
		return eventRow{}, fmt.Errorf("store events: %w", err)
	}
	return w.recording(ctx, database, name, eventBacklog, nil, "AWS_ENDPOINT_URL_SESV2="+simulator.URL)
}

// messagesOf makes a database with messages that were sent.
func (w *world) messagesOf(ctx context.Context, name string, messages int, subscribed bool) (*store.Store, error) {
	database, err := w.harness.Database(ctx, name)
	if err != nil {
		return nil, err
	}
	tenant, err := harness.NewTenant(ctx, database, plenty)
	if err == nil {
		err = fill(ctx, database, tenant, messages, false)
	}
	if err == nil && subscribed {
		_, err = database.Pool().Exec(ctx, `
INSERT INTO webhooks (id, organization_id, url, events, enabled, sealed_secret, paused_until, created_at, updated_at)
VALUES (gen_random_uuid(), $1, 'https://hooks.test', '{email.delivered}', true, '', now() + interval '1 day', now(), now())`, tenant.ID)
	}
	if err != nil {
		database.Close()
		return nil, fmt.Errorf("prepare %s: %w", name, err)
	}
	return database, nil
}

// recording starts a worker, and measures it from its first event to the last of so many.
func (w *world) recording(
	ctx context.Context, database *store.Store, name string, events int, client func() time.Duration, environment ...string,
) (row eventRow, err error) {
	if _, err := database.Pool().Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return row, fmt.Errorf("analyze the tables: %w", err)
	}
	if _, err := database.Pool().Exec(ctx, "CHECKPOINT"); err != nil {
		return row, fmt.Errorf("write the tables: %w", err)
	}
	environment = append([]string{"MAILSTACK_LOG_LEVEL=warn", "MAILSTACK_ADMIN_ADDR=off"}, environment...)
	worker, err := w.harness.Start(ctx, name, name, environment, "worker")
	if err != nil {
		return row, err
	}
	defer worker.Kill()
	ctx, cancel := context.WithTimeout(ctx, eventsLimit)
	defer cancel()
	if err := until(ctx, database, "SELECT EXISTS (SELECT FROM events)"); err != nil {
		return row, err
	}
	spent, err := w.spending(worker.PID, client)
	if err != nil {
		return row, err
	}
	begun, known := time.Now(), harness.Count(ctx, database, "SELECT count(*) FROM events")
	// The last is recorded once so many notifications are settled: an event each.
	last := fmt.Sprintf("SELECT NOT EXISTS (SELECT FROM notifications WHERE due_at IS NOT NULL) AND (SELECT count(*) FROM events) >= %d", events)
	if err := until(ctx, database, last); err != nil {
		return row, fmt.Errorf("%d of %d events: %w", harness.Count(context.WithoutCancel(ctx), database, "SELECT count(*) FROM events"), events, err)
	}
	took := time.Since(begun)
	if row, err = spent(float64(int64(events) - known)); err != nil {
		return row, err
	}
	row.PerSecond = float64(int64(events)-known) / took.Seconds()
	return row, worker.Stop()
}

// until waits until a query says yes.
func until(ctx context.Context, database *store.Store, query string) error {
	ticker := time.NewTicker(pollEvents)
	defer ticker.Stop()
	for {
		var yes bool
		if err := database.Pool().QueryRow(ctx, query).Scan(&yes); err != nil {
			return fmt.Errorf("wait for events: %w", err)
		}
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for events: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// spending begins to measure processor time. What it returns ends that, for so many events.
func (w *world) spending(pid int, client func() time.Duration) (func(events float64) (eventRow, error), error) {
	postmaster, err := w.postmaster()
	if err != nil {
		return nil, err
	}
	now := func() (spent, time.Duration, error) {
		server, err := processorTime(pid)
		if err != nil {
			return spent{}, 0, err
		}
		postgres, err := processorTime(postmaster)
		own := time.Duration(0)
		if client != nil {
			own = client()
		}
		return spent{server: server, postgres: postgres}, own, err
	}
	before, clientBefore, err := now()
	if err != nil {
		return nil, err
	}
	return func(events float64) (eventRow, error) {
		after, clientAfter, err := now()
		if err != nil {
			return eventRow{}, err
		}
		peak, err := residentPeak(pid)
		each := func(d time.Duration) float64 { return float64(d.Microseconds()) / events }
		return eventRow{
			Server: each(after.server - before.server), Postgres: each(after.postgres - before.postgres),
			Client: each(clientAfter - clientBefore), Resident: mebibytes(peak),
		}, err
	}, nil
}

// deliveryOf returns the event of a delivery, as SES publishes it.
func deliveryOf(id, address string) string {
	return strings.NewReplacer("EMAIL-ID", id, "ADDRESS", address).Replace(`{"eventType":"Delivery","mail":{` +
		`"timestamp":"2026-01-01T12:00:00.000Z","source":"hello@example.com","sourceArn":"arn:aws:ses:us-east-1:000000000000:identity/example.com",` +
		`"sendingAccountId":"000000000000","messageId":"0100-EMAIL-ID","destination":["ADDRESS"],"headersTruncated":false,` +
		`"headers":[{"name":"From","value":"hello@example.com"},{"name":"To","value":"ADDRESS"},{"name":"Subject","value":"Welcome"},` +
		`{"name":"MIME-Version","value":"1.0"},{"name":"Content-Type","value":"text/html; charset=UTF-8"}],` +
		`"commonHeaders":{"from":["hello@example.com"],"to":["ADDRESS"],"messageId":"0100-EMAIL-ID","subject":"Welcome"},` +
		`"tags":{"mailstack-message-id":["EMAIL-ID"],"ses:configuration-set":["mailstack"],"ses:source-ip":["192.0.2.1"],` +
		`"ses:from-domain":["example.com"],"ses:caller-identity":["mailstack"],"ses:outgoing-ip":["192.0.2.2"]}},` +
		`"delivery":{"timestamp":"2026-01-01T12:00:01.000Z","processingTimeMillis":1000,"recipients":["ADDRESS"],` +
		`"smtpResponse":"250 2.6.0 Message received","reportingMTA":"a8-1.smtp-out.amazonses.com"}}`)
}

func (f *eventFigures) aims() []aim {
	return []aim{
		{name: "events from a backlog", value: f.Backlog.PerSecond, least: 12_000},
		{name: "events from a backlog, one webhook", value: f.Webhook.PerSecond, least: 10_000},
		{name: "server us per event", value: f.Backlog.Server, least: 30, atMost: true},
		{name: "Postgres us per event", value: f.Backlog.Postgres, least: 80, atMost: true},
		{name: "events posted over HTTP", value: f.Posted.PerSecond, least: 12_000},
	}
}

func (f *eventFigures) write(line func(string, ...any)) {
	line("\nSES events\tper second\tserver us\tPostgres us\tclient us\tresident MiB")
	for _, one := range []struct {
		name string
		row  eventRow
	}{
		{"from a backlog", f.Backlog},
		{"from a backlog, one webhook", f.Webhook},
		{"posted, 64 connections, until stored", f.Posted},
		{"out of a queue", f.Queue},
	} {
		line("%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f", one.name, one.row.PerSecond, one.row.Server, one.row.Postgres, one.row.Client, one.row.Resident)
	}
}
