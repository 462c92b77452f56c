package emails

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/compose"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/view"
)

// maxBatchBytes limits the total size of the rendered bodies of a batch. The request has the same limit.
const maxBatchBytes = 20 << 20

// SendEmail accepts one message.
func (ops *Operations) SendEmail(
	ctx context.Context, request api.SendEmailRequestObject,
) (api.SendEmailResponseObject, error) {
	message, err := ops.Composer.Compose(ctx, senderOf(ctx), request.Body, compose.NewRendering())
	if err != nil {
		return nil, err
	}
	results, err := ops.HTTP.Accept(ctx, []intake.Message{message}, func(results []intake.Result) (httpserver.ResponseWriteFunc, error) {
		answer, err := queuedOf(results)
		return answer.VisitSendEmailResponse, err
	})
	if err != nil {
		return nil, err
	}
	return queuedOf(results)
}

func senderOf(ctx context.Context) compose.Sender {
	caller := auth.CallerFromContext(ctx)
	return compose.Sender{OrganizationID: caller.OrganizationID, APIKeyID: caller.KeyID}
}

func queuedOf(results []intake.Result) (api.SendEmail202JSONResponse, error) {
	if refusal := results[0].Refusal; refusal != nil {
		return api.SendEmail202JSONResponse{}, refusal
	}
	return api.SendEmail202JSONResponse{
		Body:    api.QueuedEmail{ID: results[0].ID, Status: api.SendStatusQueued},
		Headers: api.SendEmail202ResponseHeaders{Location: "/v1/emails/" + results[0].ID.String()},
	}, nil
}

// SendBatch checks up to a hundred messages one by one, and accepts or rejects each.
func (ops *Operations) SendBatch(
	ctx context.Context, request api.SendBatchRequestObject,
) (api.SendBatchResponseObject, error) {
	composed, err := ops.composeBatch(ctx, request.Body.Emails)
	if err != nil {
		return nil, err
	}
	accepted, err := ops.HTTP.Accept(ctx, composed.messages, func(accepted []intake.Result) (httpserver.ResponseWriteFunc, error) {
		answer, err := composed.answer(accepted)
		return answer.VisitSendBatchResponse, err
	})
	if err != nil {
		return nil, err
	}
	return composed.answer(accepted)
}

// batch holds the items of a batch, checked one by one: the messages with their places in the request, and the
// results of the rejected items.
type batch struct {
	messages []intake.Message
	places   []int
	results  []api.BatchItemResult
	// bytes is the total size of the messages' bodies.
	bytes int
}

// fits adds the size of a message's bodies, which can be much larger than their source. It returns a problem
// beyond maxBatchBytes.
func (composed *batch) fits(message intake.Message) error {
	bytes := composed.bytes + len(message.HTML) + len(message.Text)
	if bytes > maxBatchBytes {
		return problem.Invalid(api.ProblemCodeTemplateInvalid, "", "the rendered bodies of a batch are limited to 20 MiB")
	}
	composed.bytes = bytes
	return nil
}

func (ops *Operations) composeBatch(ctx context.Context, emails []api.SendEmailRequest) (batch, error) {
	composed := batch{results: make([]api.BatchItemResult, len(emails))}
	broken := httpserver.ItemProblemsFromContext(ctx)
	rendering := compose.NewRendering()
	for i := range emails {
		message, err := intake.Message{}, error(nil)
		if wrong := broken[i]; wrong != nil {
			err = wrong
		} else {
			message, err = ops.Composer.Compose(ctx, senderOf(ctx), &emails[i], rendering)
		}
		if err == nil {
			err = composed.fits(message)
		}
		var wrong *problem.Problem
		switch {
		case err == nil:
			composed.messages, composed.places = append(composed.messages, message), append(composed.places, i)
		case errors.As(err, &wrong):
			composed.results[i] = rejected(i, wrong)
		default:
			return batch{}, err
		}
	}
	return composed, nil
}

// answer puts the result of each message in its place. A refusal of the whole request is returned as an error: the
// key or the organization is refused, or no item was queued and at least one passed every other check but did not fit the
// allowance, spend cap or limit, or is from a domain whose sending is paused.
func (composed batch) answer(accepted []intake.Result) (api.SendBatch202JSONResponse, error) {
	results := slices.Clone(composed.results)
	queued := 0
	var whole *intake.Refusal
	for i, result := range accepted {
		place := composed.places[i]
		if result.Refusal == nil {
			queued++
			results[place] = api.BatchItemResult{Index: place, Status: api.SendStatusQueued, ID: &result.ID}
			continue
		}
		switch refusal := result.Refusal; {
		case refusal.OfOrganization():
			return api.SendBatch202JSONResponse{}, refusal
		case refusal.Reason != intake.DomainNotVerified && refusal.Reason != intake.RecipientSuppressed:
			whole = refusal
		}
		results[place] = rejected(place, httpserver.RefusalProblem(result.Refusal))
	}
	if queued == 0 && whole != nil {
		return api.SendBatch202JSONResponse{}, whole
	}
	return api.SendBatch202JSONResponse{Body: batchResultOf(results)}, nil
}

func rejected(index int, why *problem.Problem) api.BatchItemResult {
	return api.BatchItemResult{
		Index: index, Status: api.SendStatusRejected, Error: &why.Detail, Code: &why.Code, Errors: why.Errors,
	}
}

func batchResultOf(results []api.BatchItemResult) api.BatchResult {
	answer := api.BatchResult{Results: results}
	for _, result := range results {
		if result.Status == api.SendStatusQueued {
			answer.Accepted++
		} else {
			answer.Rejected++
		}
	}
	return answer
}

// GetEmail reads a message and its status.
func (ops *Operations) GetEmail(
	ctx context.Context, request api.GetEmailRequestObject,
) (api.GetEmailResponseObject, error) {
	organizationID := auth.CallerFromContext(ctx).OrganizationID
	queries := ops.Store.Queries()
	row, err := queries.EmailGet(ctx, db.EmailGetParams{OrganizationID: organizationID, ID: request.ID})
	if store.IsNoRows(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	recipients, err := queries.RecipientList(ctx, db.RecipientListParams{
		OrganizationID: organizationID, EmailID: request.ID,
	})
	if err != nil {
		return nil, fmt.Errorf("read the recipients: %w", err)
	}
	return api.GetEmail200JSONResponse{Body: view.Email(row, recipients)}, nil
}
