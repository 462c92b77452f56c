package suppressions

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/rest/lists"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/view"
)

// AccountSuppressions is the suppression list of the SES account, which all organizations share.
type AccountSuppressions interface {
	// DeleteSuppressed removes an address from the list. It is no error if the address is not on the list.
	DeleteSuppressed(ctx context.Context, address string) error
}

const suppressionsPath = "/v1/suppressions"

// ListSuppressions lists the addresses that the organization does not send to, newest first.
func (ops *Operations) ListSuppressions(
	ctx context.Context, request api.ListSuppressionsRequestObject,
) (api.ListSuppressionsResponseObject, error) {
	filter, err := suppressionFilterOf(request.Params)
	if err != nil {
		return nil, err
	}
	page, err := lists.PageOf(ctx, ops.Sealer, "suppressions", filter.key(), request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := ops.suppressionRows(ctx, filter, page)
	if err != nil {
		return nil, fmt.Errorf("list suppressions: %w", err)
	}
	rows, next, err := lists.Trim(page, rows, func(row db.Suppression) uuid.UUID { return row.ID })
	if err != nil {
		return nil, err
	}
	return api.ListSuppressions200JSONResponse{
		Body: api.SuppressionList{Data: view.Suppressions(rows), NextCursor: next},
	}, nil
}

// suppressionFilter holds the filters of a list of suppressions. Nil means no filter.
type suppressionFilter struct{ addressKey, reason *string }

// key identifies the filters, so that a cursor fits only a list with the same ones.
func (filter suppressionFilter) key() []string {
	var parts []string
	for _, value := range []*string{filter.addressKey, filter.reason} {
		if value == nil {
			parts = append(parts, "")
		} else {
			parts = append(parts, *value)
		}
	}
	return parts
}

func suppressionFilterOf(params api.ListSuppressionsParams) (suppressionFilter, error) {
	filter := suppressionFilter{reason: (*string)(params.Reason)}
	if params.Address == nil {
		return filter, nil
	}
	address, err := mail.ParseAddress(*params.Address)
	if err != nil {
		return filter, &problem.Problem{
			Code: api.ProblemCodeValidationFailed, Detail: problem.Truncate("The address in the query " + err.Error() + "."),
		}
	}
	key := address.Key()
	filter.addressKey = &key
	return filter, nil
}

func (ops *Operations) suppressionRows(
	ctx context.Context, filter suppressionFilter, page lists.Page,
) ([]db.Suppression, error) {
	queries := ops.Store.Queries()
	organization := auth.CallerFromContext(ctx).OrganizationID
	switch {
	case filter.addressKey != nil:
		return queries.SuppressionListByAddress(ctx, db.SuppressionListByAddressParams{
			OrganizationID: organization, AddressKey: *filter.addressKey, Reason: filter.reason, BeforeID: page.Before,
		})
	case filter.reason != nil:
		return queries.SuppressionListByReason(ctx, db.SuppressionListByReasonParams{
			OrganizationID: organization, Reason: *filter.reason, BeforeID: page.Before, MaxRows: page.FetchLimit(),
		})
	default:
		return queries.SuppressionList(ctx, db.SuppressionListParams{
			OrganizationID: organization, BeforeID: page.Before, MaxRows: page.FetchLimit(),
		})
	}
}

// CreateSuppressions suppresses addresses by hand. The response has each address once, in the order of the
// request.
func (ops *Operations) CreateSuppressions(
	ctx context.Context, request api.CreateSuppressionsRequestObject,
) (api.CreateSuppressionsResponseObject, error) {
	keys, err := addressKeys(request.Body.Addresses)
	if err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, len(keys))
	for i := range ids {
		ids[i] = ops.NewID()
	}
	var created api.CreateSuppressions201JSONResponse
	err = ops.HTTP.CreateIdempotently(ctx, func(tx *db.Queries) (httpserver.ResponseWriteFunc, error) {
		rows, err := tx.SuppressionAdd(ctx, db.SuppressionAddParams{
			OrganizationID: auth.CallerFromContext(ctx).OrganizationID, Now: ops.Now(), Ids: ids, AddressKeys: keys,
		})
		created = createdSuppressions(keys, rows)
		return created.VisitCreateSuppressionsResponse, err
	})
	if err != nil {
		return nil, fmt.Errorf("suppress addresses: %w", err)
	}
	return created, nil
}

// createdSuppressions returns the response, with the rows in the order of the request.
func createdSuppressions(keys []string, rows []db.Suppression) api.CreateSuppressions201JSONResponse {
	places := make(map[string]int, len(keys))
	for i, key := range keys {
		places[key] = i
	}
	slices.SortFunc(rows, func(a, b db.Suppression) int { return places[a.AddressKey] - places[b.AddressKey] })
	location := suppressionsPath
	if len(keys) == 1 {
		location += "/" + url.PathEscape(keys[0])
	}
	return api.CreateSuppressions201JSONResponse{
		Body:    api.CreatedSuppressions{Data: view.Suppressions(rows)},
		Headers: api.CreateSuppressions201ResponseHeaders{Location: location},
	}
}

// addressKeys returns the forms in which addresses are compared, each once.
func addressKeys(addresses []string) ([]string, error) {
	keys := make([]string, 0, len(addresses))
	seen := make(map[string]bool, len(addresses))
	for i, given := range addresses {
		address, err := mail.ParseAddress(given)
		if err != nil {
			return nil, problem.Invalid(api.ProblemCodeValidationFailed, "/addresses/"+strconv.Itoa(i), problem.Truncate(err.Error()))
		}
		if key := address.Key(); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// GetSuppression reads whether and why the organization does not send to an address.
func (ops *Operations) GetSuppression(
	ctx context.Context, request api.GetSuppressionRequestObject,
) (api.GetSuppressionResponseObject, error) {
	_, row, err := ops.find(ctx, request.Address)
	if err != nil {
		return nil, err
	}
	return api.GetSuppression200JSONResponse{Body: view.Suppression(row)}, nil
}

// find reads the suppression of an address as it is written in a path.
func (ops *Operations) find(ctx context.Context, written string) (mail.Address, db.Suppression, error) {
	address, err := mail.ParseAddress(written)
	if err != nil {
		return address, db.Suppression{}, &problem.Problem{
			Code: api.ProblemCodeValidationFailed, Detail: problem.Truncate("The address in the path " + err.Error() + "."),
		}
	}
	row, err := ops.Store.Queries().SuppressionGet(ctx, db.SuppressionGetParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, AddressKey: address.Key(),
	})
	if store.IsNoRows(err) {
		return address, row, problem.NotFound()
	}
	if err != nil {
		return address, row, fmt.Errorf("read a suppression: %w", err)
	}
	return address, row, nil
}

// DeleteSuppression lets the organization send to an address again. It removes the address from the list of the
// SES account first: if SES fails, nothing has changed and the request can be repeated. In the other order a
// repeated request would find no suppression, and the address would stay on the account's list for ever. If the
// database fails in between, the address is still suppressed here, as the response says, and repeating the request
// is harmless.
func (ops *Operations) DeleteSuppression(
	ctx context.Context, request api.DeleteSuppressionRequestObject,
) (api.DeleteSuppressionResponseObject, error) {
	address, row, err := ops.find(ctx, request.Address)
	if err != nil {
		return nil, err
	}
	organization, queries := auth.CallerFromContext(ctx).OrganizationID, ops.Store.Queries()
	forms, err := ops.formsOf(ctx, row, address)
	if err != nil {
		return nil, err
	}
	for _, form := range forms {
		if err := ops.AccountSuppressions.DeleteSuppressed(ctx, form); err != nil {
			return nil, fmt.Errorf("take an address off the account's suppression list: %w", err)
		}
	}
	deleted, err := queries.SuppressionDelete(ctx, db.SuppressionDeleteParams{
		OrganizationID: organization, AddressKey: row.AddressKey,
	})
	if err := problem.OfDelete("a suppression", deleted, err); err != nil {
		return nil, err
	}
	return api.DeleteSuppression204Response{}, nil
}

// formsOf returns the forms in which SES may hold an address, each a different address to SES: the requested form,
// the compared form, and the form in the message that bounced or was complained about.
func (ops *Operations) formsOf(ctx context.Context, row db.Suppression, asked mail.Address) ([]string, error) {
	forms := []string{row.AddressKey, asked.Bare()}
	if row.EmailID != nil {
		sent, err := ops.Store.Queries().SuppressionSentTo(ctx, db.SuppressionSentToParams{
			OrganizationID: row.OrganizationID, EmailID: *row.EmailID, AddressKey: row.AddressKey,
		})
		if err != nil {
			return nil, fmt.Errorf("read how an address was written: %w", err)
		}
		forms = append(forms, sent...)
	}
	slices.Sort(forms)
	return slices.Compact(forms), nil
}
