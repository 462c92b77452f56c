package main

import (
	"context"
	"net/http"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

const (
	// hanging organizations have as many webhooks each as one may have: 100 endpoints together.
	hanging         = 5
	webhooksOfEach  = 20
	sendConnections = 4
)

// hangingWebhooks has a hundred endpoints answer late, or not at all, to every event of the organizations that own them.
func hangingWebhooks(delay time.Duration) func(context.Context, *attacker) (strike, error) {
	return func(ctx context.Context, a *attacker) (strike, error) {
		receiver := serveTLS(answersAfter(delay))
		var tenants []harness.Tenant
		for range hanging {
			tenant, err := a.tenant(ctx)
			if err != nil {
				return nil, err
			}
			for range webhooksOfEach {
				if _, err := a.subscribe(ctx, tenant, receiver.URL); err != nil {
					return nil, err
				}
			}
			tenants = append(tenants, tenant)
			if err := a.fill(ctx, tenant, fullBatch); err != nil {
				return nil, err
			}
		}
		return func(ctx context.Context) {
			defer receiver.CloseClientConnections()
			repeat(ctx, sendConnections, func(ctx context.Context, number int) error {
				tenant := tenants[number%len(tenants)]
				err := a.ask(ctx, http.MethodPost, sendPath, tenant.Key, encoded(email(tenant.Domain, number)), nil)
				pause(ctx)
				return err
			})
		}, nil
	}
}

// pause keeps the messages whose events hang from becoming a flood of sends, which is another attack.
func pause(ctx context.Context) {
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// subscribe registers a webhook for sent messages and returns its id.
func (a *attacker) subscribe(ctx context.Context, tenant harness.Tenant, url string) (string, error) {
	var made struct{ ID string }
	err := a.ask(ctx, http.MethodPost, "/v1/webhooks", tenant.Key, encoded(object{"url": url, "events": []string{"email.sent"}}), &made)
	return made.ID, err
}

// replayedDeliveries replays one delivery, and asks for test events, again and again.
func replayedDeliveries(ctx context.Context, a *attacker) (strike, error) {
	receiver := serveTLS(answersAfter(0))
	tenant, err := a.tenant(ctx)
	if err != nil {
		return nil, err
	}
	webhook, err := a.subscribe(ctx, tenant, receiver.URL)
	if err != nil {
		return nil, err
	}
	var delivery struct{ ID string }
	path := "/v1/webhooks/" + webhook
	if err := a.ask(ctx, http.MethodPost, path+"/test", tenant.Key, nil, &delivery); err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		defer receiver.CloseClientConnections()
		repeat(ctx, flood, func(ctx context.Context, number int) error {
			if number%2 == 0 {
				return a.ask(ctx, http.MethodPost, path+"/test", tenant.Key, nil, nil)
			}
			return a.ask(ctx, http.MethodPost, path+"/deliveries/"+delivery.ID+"/replay", tenant.Key, nil, nil)
		})
	}, nil
}
