package impl

import (
	"context"
	"errors"
	"fmt"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/store"
)

// SendEmail accepts one message.
func (server *Server) SendEmail(
	ctx context.Context, request api.SendEmailRequestObject,
) (api.SendEmailResponseObject, error) {
	message, err := server.compose(ctx, request.Body, templates{})
	if err != nil {
		return nil, err
	}
	results, err := server.config.Intake.Accept(ctx, []intake.Message{message})
	if err != nil {
		return nil, err
	}
	if refusal := results[0].Refusal; refusal != nil {
		return nil, refusal
	}
	return api.SendEmail202JSONResponse{
		Body: api.QueuedEmail{ID: results[0].ID, Status: api.SendStatusQueued},
	}, nil
}

// SendBatch accepts what can be accepted of up to a hundred messages.
func (server *Server) SendBatch(
	ctx context.Context, request api.SendBatchRequestObject,
) (api.SendBatchResponseObject, error) {
	results := make([]api.BatchItemResult, len(request.Body.Emails))
	broken := itemProblems(ctx)
	known := templates{}
	var messages []intake.Message
	var places []int
	for i := range request.Body.Emails {
		message, err := intake.Message{}, error(nil)
		if wrong := broken[i]; wrong != nil {
			err = wrong
		} else {
			message, err = server.compose(ctx, &request.Body.Emails[i], known)
		}
		var wrong *problem
		switch {
		case err == nil:
			messages, places = append(messages, message), append(places, i)
		case errors.As(err, &wrong):
			results[i] = rejected(i, wrong)
		default:
			return nil, err
		}
	}
	if err := server.acceptItems(ctx, messages, places, results); err != nil {
		return nil, err
	}
	return api.SendBatch202JSONResponse{Body: batchResultOf(results)}, nil
}

// acceptItems puts what became of each message in its place. A refusal that concerns the whole request is an error: the
// key or the organization, or the allowance when nothing else was wrong with any item and none fitted.
func (server *Server) acceptItems(
	ctx context.Context, messages []intake.Message, places []int, results []api.BatchItemResult,
) error {
	if len(messages) == 0 {
		return server.recheck(ctx, callerOf(ctx))
	}
	accepted, err := server.config.Intake.Accept(ctx, messages)
	if err != nil {
		return err
	}
	queued := 0
	var unpaid *intake.Refusal
	for i, result := range accepted {
		if result.Refusal == nil {
			queued++
			id := result.ID
			results[places[i]] = api.BatchItemResult{Index: places[i], Status: api.SendStatusQueued, ID: &id}
			continue
		}
		switch result.Refusal.Reason {
		case intake.KeyNotValid, intake.OrganizationInactive:
			return result.Refusal
		case intake.FreeTierExhausted, intake.SpendCapReached:
			unpaid = result.Refusal
		}
		results[places[i]] = rejected(places[i], refused(result.Refusal))
	}
	if queued == 0 && unpaid != nil {
		return unpaid
	}
	return nil
}

func rejected(index int, why *problem) api.BatchItemResult {
	return api.BatchItemResult{
		Index: index, Status: api.SendStatusRejected, Error: &why.detail, Code: &why.code, Errors: why.errors,
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
func (server *Server) GetEmail(
	ctx context.Context, request api.GetEmailRequestObject,
) (api.GetEmailResponseObject, error) {
	organizationID := callerOf(ctx).organizationID
	queries := server.config.Store.Queries()
	row, err := queries.EmailGet(ctx, db.EmailGetParams{OrganizationID: organizationID, ID: request.ID})
	if store.IsNoRows(err) {
		return nil, notFound()
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
	return api.GetEmail200JSONResponse{Body: emailOf(row, recipients)}, nil
}

func emailOf(row db.Email, rows []db.Recipient) api.Email {
	recipients := make([]api.EmailRecipient, 0, len(rows))
	for _, recipient := range rows {
		recipients = append(recipients, api.EmailRecipient{
			Email:  recipient.Address,
			Kind:   api.EmailRecipientKind(recipient.Kind),
			Status: api.EmailStatus(mail.Outcome(recipient.Outcome).Status()),
		})
	}
	summary := emailSummaryOf(row)
	return api.Email{
		ID:                summary.ID,
		FromEmail:         summary.FromEmail,
		FromName:          summary.FromName,
		ToEmail:           summary.ToEmail,
		Cc:                summary.Cc,
		Bcc:               summary.Bcc,
		ReplyTo:           summary.ReplyTo,
		Subject:           summary.Subject,
		Status:            summary.Status,
		ProviderMessageID: summary.ProviderMessageID,
		ErrorMessage:      summary.ErrorMessage,
		Tags:              summary.Tags,
		QueuedAt:          summary.QueuedAt,
		SentAt:            summary.SentAt,
		CreatedAt:         summary.CreatedAt,
		Recipients:        recipients,
	}
}

// orNull shows what is empty as null.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
