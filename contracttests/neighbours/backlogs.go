package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
)

// fill has a tenant send messages in full batches, before the attack begins.
func (a *attacker) fill(ctx context.Context, tenant harness.Tenant, messages int) error {
	return a.insist(ctx, batchPath, tenant, batch(tenant.Domain, fullBatch), messages/fullBatch)
}

// insist posts a body until it was accepted often enough.
func (a *attacker) insist(ctx context.Context, path string, tenant harness.Tenant, body []byte, times int) error {
	for accepted := 0; accepted < times; {
		err := a.ask(ctx, http.MethodPost, path, tenant.Key, body, nil)
		if err == nil {
			accepted++
			continue
		}
		if backoff.Sleep(ctx, pauseAfterRefusal) != nil {
			return fmt.Errorf("%d of %d requests were accepted: %w", accepted, times, err)
		}
	}
	return nil
}

// idle is a strike of an attack whose preparation did everything.
func idle(ctx context.Context) { <-ctx.Done() }

// backlog leaves thousands of messages to be sent.
func backlog(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	if err != nil {
		return nil, err
	}
	return idle, a.fill(ctx, tenant, 20_000)
}

// suspendedBacklog leaves thousands of messages of a suspended organization.
func suspendedBacklog(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.fill(ctx, tenant, 10_000); err != nil {
		return nil, err
	}
	_, err = a.store.Pool().Exec(ctx, "UPDATE organizations SET suspended_at = now() WHERE id = $1", tenant.ID)
	return idle, err
}

// refusedDomain leaves thousands of messages from a domain that SES no longer knows.
func refusedDomain(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := harness.NewTenant(ctx, a.store, plenty)
	if err != nil {
		return nil, err
	}
	return idle, a.fill(ctx, tenant, 5_000)
}

// largeMessages leaves 64 messages of nearly 10 MiB, and sends more.
func largeMessages(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	if err != nil {
		return nil, err
	}
	message := email(tenant.Domain, 1)
	message["text"] = strings.Repeat("Hello there. ", 99*mebibyte/10/13)
	body := encoded(message)
	return posting(a, sendPath, tenant, 8, body), a.insist(ctx, sendPath, tenant, body, 64)
}

// lockedUsage sends while the usage row of the organization is locked.
func lockedUsage(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	if err != nil {
		return nil, err
	}
	body := encoded(email(tenant.Domain, 1))
	if err := a.ask(ctx, http.MethodPost, sendPath, tenant.Key, body, nil); err != nil {
		return nil, err
	}
	// The transaction outlives the preparation.
	ctx = context.WithoutCancel(ctx)
	locking, err := a.store.Pool().Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin to lock a usage row: %w", err)
	}
	if _, err := locking.Exec(ctx, "SELECT 1 FROM usage_periods WHERE organization_id = $1 FOR UPDATE", tenant.ID); err != nil {
		return nil, fmt.Errorf("lock a usage row: %w", err)
	}
	return func(ctx context.Context) {
		defer func() { _ = locking.Rollback(context.WithoutCancel(ctx)) }()
		posting(a, sendPath, tenant, flood, body)(ctx)
	}, nil
}

// dearLists reads the pages of a long list with the dearest filters.
func dearLists(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.fill(ctx, tenant, 10_000); err != nil {
		return nil, err
	}
	filters := []string{
		"tag=tag1", "to=user1@example.com", "status=Queued", "status=Bounced", "from=hello@" + tenant.Domain,
		"tag=none", "to=none@example.com",
	}
	return func(ctx context.Context) {
		repeat(ctx, flood, func(ctx context.Context, number int) error {
			return a.ask(ctx, http.MethodGet, sendPath+"?limit=100&"+filters[number%len(filters)], tenant.Key, nil, nil)
		})
	}, nil
}
