package emails

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/rest/lists"
	"github.com/voostack/mailstack/impl/view"
)

// ListEmails lists messages, newest first, by at most one filter besides the dates.
func (ops *Operations) ListEmails(
	ctx context.Context, request api.ListEmailsRequestObject,
) (api.ListEmailsResponseObject, error) {
	filter, err := emailFilterOf(request.Params)
	if err != nil {
		return nil, err
	}
	page, err := lists.PageOf(ctx, ops.Sealer, "emails", filter.key(), request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := ops.emailRows(ctx, filter, page)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	rows, next, err := lists.Trim(page, rows, func(row db.Email) uuid.UUID { return row.ID })
	if err != nil {
		return nil, err
	}
	emails := make([]api.EmailSummary, 0, len(rows))
	for _, row := range rows {
		emails = append(emails, view.EmailSummary(row))
	}
	return api.ListEmails200JSONResponse{Body: api.EmailList{Data: emails, NextCursor: next}}, nil
}

// emailFilter holds the filters of a list of messages.
type emailFilter struct {
	// by is "", "status", "to", "from" or "tag".
	by, value    string
	after, until time.Time
}

// key identifies the filters, so that a cursor fits only a list with the same ones.
func (filter emailFilter) key() []string {
	return []string{filter.by, filter.value, filter.after.Format(time.RFC3339Nano), filter.until.Format(time.RFC3339Nano)}
}

func emailFilterOf(params api.ListEmailsParams) (emailFilter, error) {
	// The latest time that an id can hold.
	filter := emailFilter{until: time.UnixMilli(1<<48 - 1).UTC()}
	given := 0
	for _, one := range []struct {
		by    string
		value *string
	}{
		{"status", (*string)(params.Status)},
		{"to", params.To},
		{"from", params.From},
		{"tag", params.Tag},
	} {
		if one.value != nil {
			given++
			filter.by, filter.value = one.by, *one.value
		}
	}
	if given > 1 {
		return filter, &problem.Problem{
			Code:   api.ProblemCodeValidationFailed,
			Detail: "At most one of status, to, from and tag may be given.",
		}
	}
	if filter.by == "to" || filter.by == "from" {
		address, err := mail.ParseAddress(filter.value)
		if err != nil {
			return filter, &problem.Problem{Code: api.ProblemCodeValidationFailed, Detail: problem.Truncate("The " + filter.by + " in the query " + err.Error() + ".")}
		}
		filter.value = address.Key()
	}
	if params.CreatedAfter != nil {
		filter.after = params.CreatedAfter.UTC()
	}
	if params.CreatedBefore != nil {
		filter.until = params.CreatedBefore.UTC()
	}
	return filter, nil
}

func (ops *Operations) emailRows(ctx context.Context, filter emailFilter, page lists.Page) ([]db.Email, error) {
	queries := ops.Store.Queries()
	organization := auth.CallerFromContext(ctx).OrganizationID
	floor, ceiling, total := lists.LowestIDAt(filter.after), lists.MinID(page.Before, lists.LowestIDAt(filter.until)), page.FetchLimit()
	switch filter.by {
	case "status":
		outcome, possible := outcomeOf(filter.value)
		if !possible {
			return nil, nil
		}
		if outcome == mail.OutcomeBounced {
			return queries.EmailListBounced(ctx, db.EmailListBouncedParams{
				OrganizationID: organization, FromID: floor, BeforeID: ceiling, MaxRows: total,
			})
		}
		return queries.EmailListByStatus(ctx, db.EmailListByStatusParams{
			OrganizationID: organization, Outcome: int16(outcome), FromID: floor, BeforeID: ceiling, MaxRows: total,
		})
	case "to":
		return queries.EmailListByTo(ctx, db.EmailListByToParams{
			OrganizationID: organization, AddressKey: filter.value, FromID: floor, BeforeID: ceiling, MaxRows: total,
		})
	case "from":
		return queries.EmailListByFrom(ctx, db.EmailListByFromParams{
			OrganizationID: organization, AddressKey: filter.value, FromID: floor, BeforeID: ceiling, MaxRows: total,
		})
	case "tag":
		return queries.EmailListByTag(ctx, db.EmailListByTagParams{
			OrganizationID: organization, Tag: filter.value, FromID: floor, BeforeID: ceiling, MaxRows: total,
		})
	default:
		return queries.EmailList(ctx, db.EmailListParams{
			OrganizationID: organization, FromID: floor, BeforeID: ceiling, MaxRows: total,
		})
	}
}

// outcomeOf returns the lowest outcome that shows as status, which stands for all that do. A planned status has no
// outcome yet.
func outcomeOf(status string) (mail.Outcome, bool) {
	for outcome := mail.OutcomeQueued; outcome <= mail.OutcomeComplained; outcome++ {
		if outcome.Status() == status {
			return outcome, true
		}
	}
	return 0, false
}
