package emails

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/rest/lists"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/view"
)

// ListEmailEvents lists the email events of a message, the most recently learned first.
func (ops *Operations) ListEmailEvents(
	ctx context.Context, request api.ListEmailEventsRequestObject,
) (api.ListEmailEventsResponseObject, error) {
	organizationID := auth.CallerFromContext(ctx).OrganizationID
	queries := ops.Store.Queries()
	_, err := queries.EmailGet(ctx, db.EmailGetParams{OrganizationID: organizationID, ID: request.ID})
	if store.IsNoRows(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	page, err := lists.PageOf(ctx, ops.Sealer, "email-events", []string{request.ID.String()}, request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := queries.EventList(ctx, db.EventListParams{
		OrganizationID: organizationID, EmailID: request.ID, BeforeID: page.Before, MaxRows: page.FetchLimit(),
	})
	if err != nil {
		return nil, fmt.Errorf("list the events of a message: %w", err)
	}
	rows, next, err := lists.Trim(page, rows, func(row db.Event) uuid.UUID { return row.ID })
	if err != nil {
		return nil, err
	}
	events := make([]api.EmailEvent, 0, len(rows))
	for _, row := range rows {
		event, err := view.EmailEvent(row)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return api.ListEmailEvents200JSONResponse{Body: api.EmailEventList{Data: events, NextCursor: next}}, nil
}
