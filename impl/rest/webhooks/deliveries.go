package webhooks

import (
	"context"
	"fmt"

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

// maxAttempts is how many attempts of a delivery are shown.
const maxAttempts = 20

// ListWebhookDeliveries lists the deliveries of a webhook, newest first, with their attempts.
func (ops *Operations) ListWebhookDeliveries(
	ctx context.Context, request api.ListWebhookDeliveriesRequestObject,
) (api.ListWebhookDeliveriesResponseObject, error) {
	if _, err := ops.webhook(ctx, request.ID); err != nil {
		return nil, err
	}
	page, err := lists.PageOf(
		ctx, ops.Sealer, "deliveries", []string{request.ID.String()}, request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := ops.Store.Queries().DeliveryList(ctx, db.DeliveryListParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, WebhookID: request.ID, BeforeID: page.Before, MaxRows: page.FetchLimit(),
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	rows, next, err := lists.Trim(page, rows, func(row db.Delivery) uuid.UUID { return row.ID })
	if err != nil {
		return nil, err
	}
	deliveries, err := deliveriesOf(ctx, ops.Store.Queries(), rows)
	if err != nil {
		return nil, err
	}
	return api.ListWebhookDeliveries200JSONResponse{
		Body: api.WebhookDeliveryList{Data: deliveries, NextCursor: next},
	}, nil
}

// ReplayWebhookDelivery makes a delivery due again.
func (ops *Operations) ReplayWebhookDelivery(
	ctx context.Context, request api.ReplayWebhookDeliveryRequestObject,
) (api.ReplayWebhookDeliveryResponseObject, error) {
	if err := ops.queueing.take(auth.CallerFromContext(ctx).OrganizationID, ops.Now(), replayPrice); err != nil {
		return nil, err
	}
	var queued api.ReplayWebhookDelivery202JSONResponse
	now := ops.Now()
	err := ops.Store.Tx(ctx, func(tx *db.Queries) (err error) {
		queued.Body, err = queue(ctx, tx, request.ID, func() (db.Delivery, error) {
			return tx.DeliveryReplay(ctx, db.DeliveryReplayParams{
				OrganizationID: auth.CallerFromContext(ctx).OrganizationID, WebhookID: request.ID, ID: request.DeliveryID, Now: now,
			})
		})
		return err
	})
	if err != nil {
		return nil, queueProblem(err)
	}
	ops.Store.NotifyLanes(store.DeliveriesChannel, now, request.ID)
	return queued, nil
}

// TestWebhook queues a test event for one webhook, whatever the webhook subscribes to.
func (ops *Operations) TestWebhook(
	ctx context.Context, request api.TestWebhookRequestObject,
) (api.TestWebhookResponseObject, error) {
	now, eventID := ops.Now(), ops.NewID()
	if err := ops.queueing.take(auth.CallerFromContext(ctx).OrganizationID, now, testPrice); err != nil {
		return nil, err
	}
	payload, err := webhook.TestEvent(eventID, request.ID, now)
	if err != nil {
		return nil, err
	}
	var queued api.TestWebhook202JSONResponse
	err = ops.HTTP.CreateIdempotently(ctx, func(tx *db.Queries) (httpserver.ResponseWriteFunc, error) {
		var err error
		queued.Body, err = queue(ctx, tx, request.ID, func() (db.Delivery, error) {
			return tx.DeliveryInsert(ctx, db.DeliveryInsertParams{
				ID: ops.NewID(), OrganizationID: auth.CallerFromContext(ctx).OrganizationID, WebhookID: request.ID,
				EventID: eventID, EventType: string(api.WebhookTestEventTypeWebhookTest), Payload: payload, Now: now,
			})
		})
		return queued.VisitTestWebhookResponse, err
	})
	if err != nil {
		return nil, queueProblem(err)
	}
	ops.Store.NotifyLanes(store.DeliveriesChannel, now, request.ID)
	return queued, nil
}

// queue calls enqueue, which makes a delivery due. It returns a problem if the webhook is not enabled.
func queue(
	ctx context.Context, tx *db.Queries, webhookID uuid.UUID, enqueue func() (db.Delivery, error),
) (api.WebhookDelivery, error) {
	target, err := tx.WebhookGet(ctx, db.WebhookGetParams{OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: webhookID})
	if err != nil {
		return api.WebhookDelivery{}, err
	}
	row, err := enqueue()
	if err != nil {
		return api.WebhookDelivery{}, err
	}
	if !target.Enabled {
		return api.WebhookDelivery{}, &problem.Problem{
			Code: api.ProblemCodeWebhookDisabled, Detail: "The webhook is not enabled; enable it first.",
		}
	}
	shown, err := deliveriesOf(ctx, tx, []db.Delivery{row})
	if err != nil {
		return api.WebhookDelivery{}, err
	}
	return shown[0], nil
}

// queueProblem returns 404 if the webhook or the delivery does not exist, and wraps every other error.
func queueProblem(err error) error {
	if store.IsNoRows(err) {
		return problem.NotFound()
	}
	return fmt.Errorf("queue a delivery: %w", err)
}

func deliveriesOf(ctx context.Context, queries *db.Queries, rows []db.Delivery) ([]api.WebhookDelivery, error) {
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	found, err := queries.DeliveryAttempts(ctx, db.DeliveryAttemptsParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, Ids: ids, PerDelivery: maxAttempts,
	})
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	attempts := map[uuid.UUID][]api.WebhookAttempt{}
	for _, row := range found {
		attempts[row.DeliveryID] = append(attempts[row.DeliveryID], view.WebhookAttempt(row))
	}
	deliveries := make([]api.WebhookDelivery, 0, len(rows))
	for _, row := range rows {
		deliveries = append(deliveries, view.WebhookDelivery(row, attempts[row.ID]))
	}
	return deliveries, nil
}
