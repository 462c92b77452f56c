package webhooks

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/rest/lists"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/view"
	"github.com/voostack/mailstack/impl/webhook"
)

const (
	maxWebhooks = 20
	// previousSecretKept is how long a replaced secret still signs beside the new one.
	previousSecretKept = 24 * time.Hour
)

// ListWebhooks lists the organization's webhooks, newest first.
func (ops *Operations) ListWebhooks(
	ctx context.Context, request api.ListWebhooksRequestObject,
) (api.ListWebhooksResponseObject, error) {
	page, err := lists.PageOf(ctx, ops.Sealer, "webhooks", nil, request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := ops.Store.Queries().WebhookList(ctx, db.WebhookListParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, BeforeID: page.Before, MaxRows: page.FetchLimit(),
	})
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	webhooks, next, err := lists.Show(page, rows, func(row db.Webhook) uuid.UUID { return row.ID },
		func(row db.Webhook) api.Webhook { return view.Webhook(row, ops.Now()) })
	if err != nil {
		return nil, err
	}
	return api.ListWebhooks200JSONResponse{Body: api.WebhookList{Data: webhooks, NextCursor: next}}, nil
}

// CreateWebhook creates a webhook. Only this response shows its secret.
func (ops *Operations) CreateWebhook(
	ctx context.Context, request api.CreateWebhookRequestObject,
) (api.CreateWebhookResponseObject, error) {
	if err := ops.checkWebhookURL(&request.Body.URL); err != nil {
		return nil, err
	}
	id := ops.NewID()
	key, sealed, err := ops.newSigningKey(id)
	if err != nil {
		return nil, err
	}
	var created api.CreateWebhook201JSONResponse
	err = ops.HTTP.CreateIdempotently(ctx, func(tx *db.Queries) (httpserver.ResponseWriteFunc, error) {
		row, err := insertWebhook(ctx, tx, db.WebhookInsertParams{
			ID: id, OrganizationID: auth.CallerFromContext(ctx).OrganizationID, URL: request.Body.URL, Events: eventTypes(request.Body.Events),
			SealedSecret: sealed, Now: ops.Now(),
		})
		created.Body, created.Headers.Location = view.WebhookWithSecret(view.Webhook(row, ops.Now()), key), "/v1/webhooks/"+row.ID.String()
		return created.VisitCreateWebhookResponse, err
	})
	if err != nil {
		return nil, fmt.Errorf("create a webhook: %w", err)
	}
	return created, nil
}

// insertWebhook locks the organization while it counts, so that concurrent creators cannot exceed the limit
// together.
func insertWebhook(ctx context.Context, tx *db.Queries, wanted db.WebhookInsertParams) (db.Webhook, error) {
	if err := tx.OrganizationLock(ctx, wanted.OrganizationID); err != nil {
		return db.Webhook{}, err
	}
	count, err := tx.WebhookCount(ctx, wanted.OrganizationID)
	if err != nil {
		return db.Webhook{}, err
	}
	if count >= maxWebhooks {
		return db.Webhook{}, &problem.Problem{
			Code: api.ProblemCodeWebhookLimitReached, Detail: "An organization may have at most 20 webhooks.",
		}
	}
	return tx.WebhookInsert(ctx, wanted)
}

// GetWebhook reads a webhook.
func (ops *Operations) GetWebhook(
	ctx context.Context, request api.GetWebhookRequestObject,
) (api.GetWebhookResponseObject, error) {
	row, err := ops.webhook(ctx, request.ID)
	if err != nil {
		return nil, err
	}
	return api.GetWebhook200JSONResponse{Body: view.Webhook(row, ops.Now())}, nil
}

func (ops *Operations) webhook(ctx context.Context, id uuid.UUID) (db.Webhook, error) {
	row, err := ops.Store.Queries().WebhookGet(ctx, db.WebhookGetParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: id,
	})
	if store.IsNoRows(err) {
		return row, problem.NotFound()
	}
	if err != nil {
		return row, fmt.Errorf("read the webhook: %w", err)
	}
	return row, nil
}

// UpdateWebhook changes the given members.
func (ops *Operations) UpdateWebhook(
	ctx context.Context, request api.UpdateWebhookRequestObject,
) (api.UpdateWebhookResponseObject, error) {
	if err := ops.checkWebhookURL(request.JSONBody.URL); err != nil {
		return nil, err
	}
	row, err := ops.Store.Queries().WebhookUpdate(ctx, db.WebhookUpdateParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: request.ID, URL: request.JSONBody.URL,
		Events: eventTypes(request.JSONBody.Events), Enabled: request.JSONBody.Enabled, Now: ops.Now(),
	})
	if store.IsNoRows(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("change the webhook: %w", err)
	}
	// Deliveries that waited for the webhook to be enabled, or for a better URL, may be sent now.
	ops.Store.NotifyLanes(store.DeliveriesChannel, ops.Now(), row.ID)
	return api.UpdateWebhook200JSONResponse{Body: view.Webhook(row, ops.Now())}, nil
}

// DeleteWebhook deletes a webhook. Its deliveries are deleted in the background.
func (ops *Operations) DeleteWebhook(
	ctx context.Context, request api.DeleteWebhookRequestObject,
) (api.DeleteWebhookResponseObject, error) {
	deleted, err := ops.Store.Queries().WebhookDelete(ctx, db.WebhookDeleteParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: request.ID,
	})
	if err := problem.OfDelete("the webhook", deleted, err); err != nil {
		return nil, err
	}
	return api.DeleteWebhook204Response{}, nil
}

// RotateWebhookSecret makes a new secret, which only this response shows. The old secret signs beside it for a
// day.
func (ops *Operations) RotateWebhookSecret(
	ctx context.Context, request api.RotateWebhookSecretRequestObject,
) (api.RotateWebhookSecretResponseObject, error) {
	key, sealed, err := ops.newSigningKey(request.ID)
	if err != nil {
		return nil, err
	}
	now := ops.Now()
	row, err := ops.Store.Queries().WebhookRotate(ctx, db.WebhookRotateParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: request.ID, SealedSecret: sealed,
		PreviousExpiresAt: now.Add(previousSecretKept), Now: now,
	})
	if store.IsNoRows(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("rotate the secret: %w", err)
	}
	return api.RotateWebhookSecret200JSONResponse{Body: view.WebhookWithSecret(view.Webhook(row, ops.Now()), key)}, nil
}

func (ops *Operations) newSigningKey(webhookID uuid.UUID) (key webhook.SigningKey, sealed []byte, err error) {
	if key, err = webhook.NewSigningKey(ops.Random); err != nil {
		return nil, nil, err
	}
	if sealed, err = ops.Sealer.Seal(key, webhook.SecretAAD(webhookID)); err != nil {
		return nil, nil, fmt.Errorf("encrypt a signing key: %w", err)
	}
	return key, sealed, nil
}

func (ops *Operations) checkWebhookURL(url *string) error {
	if url == nil {
		return nil
	}
	if err := ops.WebhookPolicy.CheckURL(*url); err != nil {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/url", err.Error())
	}
	return nil
}

func eventTypes(events []api.WebhookEventType) []string {
	if events == nil {
		return nil
	}
	names := make([]string, len(events))
	for i, event := range events {
		names[i] = string(event)
	}
	return names
}
