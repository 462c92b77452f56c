package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/store"
)

// deliveryWorld is a database with webhooks, a worker, and their endpoints.
type deliveryWorld struct {
	*world
	database *store.Store
	at       api
	worker   *harness.Process
	// subscribed is the number of webhooks.
	subscribed int
	endpoints
}

func (w *world) newDeliveryWorld(ctx context.Context, name string) (_ *deliveryWorld, err error) {
	d := &deliveryWorld{world: w}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.database, err = w.harness.Database(ctx, name); err != nil {
		return nil, err
	}
	if d.at, err = w.serve(ctx, name, name, "MAILSTACK_WEBHOOK_PREFIXES=127.0.0.0/8"); err != nil {
		return nil, err
	}
	d.endpoints, err = w.startReceivers(ctx, name)
	return d, err
}

func (d *deliveryWorld) startWorker(ctx context.Context) error {
	var err error
	// It has no mail to send, so that nothing need be at this address.
	d.worker, err = d.harness.Start(ctx, "deliverer", d.database.Pool().Config().ConnConfig.Database, []string{
		"SSL_CERT_FILE=" + d.trusted, "MAILSTACK_WEBHOOK_PREFIXES=127.0.0.0/8", "AWS_ENDPOINT_URL_SESV2=http://127.0.0.1:1",
		"MAILSTACK_LOG_LEVEL=error",
	}, "worker")
	return err
}

// close ends the processes without waiting for what is under way.
func (d *deliveryWorld) close() error {
	if d.worker != nil {
		d.worker.Kill()
	}
	if d.at.Process != nil {
		d.at.Kill()
	}
	if d.database != nil {
		d.database.Close()
	}
	if d.stop != nil {
		return d.stop()
	}
	return nil
}

// subscribe makes an organization with webhooks for events, that mail was sent if none are given.
func (d *deliveryWorld) subscribe(ctx context.Context, path string, webhooks int, events ...string) (harness.Tenant, error) {
	if len(events) == 0 {
		events = []string{"email.sent"}
	}
	tenant, err := harness.NewTenant(ctx, d.database, plenty)
	if err != nil {
		return tenant, err
	}
	for range webhooks {
		body, err := json.Marshal(map[string]any{"url": d.url(path, d.subscribed), "events": events})
		if err != nil {
			return tenant, err
		}
		d.subscribed++
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.at.address+"/v1/webhooks", bytes.NewReader(body))
		if err != nil {
			return tenant, err
		}
		request.Header.Set("Authorization", "Bearer "+tenant.Key)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return tenant, fmt.Errorf("subscribe: %w", err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusCreated {
			return tenant, fmt.Errorf("a webhook got %s: %w", response.Status, err)
		}
	}
	return tenant, nil
}

// backlog stores n events for every webhook of an organization, as the transactions do that have events to tell.
func (d *deliveryWorld) backlog(ctx context.Context, tenant harness.Tenant, n int) error {
	_, err := d.database.Pool().Exec(ctx, `INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
SELECT uuid_beside($3), organization_id, id, uuid_beside($3), 'email.sent',
    '{"at":' || to_json(clock_timestamp()) || ',"data":"' || repeat('x', 400) || '"}', now(), now()
FROM webhooks, generate_series(1, $2) WHERE organization_id = $1`, tenant.ID, n, uuid.Must(uuid.NewV7()))
	if err != nil {
		return fmt.Errorf("store events: %w", err)
	}
	d.database.NotifySoon("deliveries")
	return nil
}
