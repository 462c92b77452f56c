package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// runner holds the results that later steps need from earlier ones.
type runner struct {
	client *api.ClientWithResponses
	input  json.RawMessage

	domain, email, key uuid.UUID
}

func (r *runner) steps() map[string]func(context.Context) (observed, error) {
	return map[string]func(context.Context) (observed, error){
		"register a domain":                           r.registerDomain,
		"be refused the same domain again (409)":      r.refusedDomain,
		"list the domains":                            r.listDomains,
		"get the domain":                              r.getDomain,
		"verify the domain":                           r.verifyDomain,
		"send an email":                               r.send,
		"send a batch with one rejected item":         r.sendBatch,
		"read the email back until it is sent":        r.readBack,
		"create a key":                                r.createKey,
		"revoke the key":                              r.revokeKey,
		"list the keys":                               r.listKeys,
		"read the usage":                              r.usage,
		"be refused an address that is none (400)":    r.refusedAddress,
		"be refused without an allowance (402)":       r.refusedAllowance,
		"be refused an email that is not there (404)": r.refusedEmail,
		"delete the domain":                           r.deleteDomain,
		"decode an answer with members and values that are not in the document":   r.futureEmail,
		"decode a problem with a status and a code that are not in the document":  r.futureProblem,
		"decode an event about a message":                                         r.emailEvent,
		"decode an event about a domain":                                          r.domainEvent,
		"decode an event of a type and with members that are not in the document": r.futureEvent,
		"verify what was delivered":                                               r.verify,
		"refuse what was altered, is replayed or was signed by others":            r.verify,
		"verify the HMAC of the body alone":                                       r.verifyBody,
	}
}

func (r *runner) createDomain(ctx context.Context) (*api.CreateDomainResponse, error) {
	request, err := read[api.CreateDomainRequest](r.input)
	if err != nil {
		return nil, err
	}
	return r.client.CreateDomainWithResponse(ctx, nil, request)
}

func (r *runner) registerDomain(ctx context.Context) (observed, error) {
	answer, err := r.createDomain(ctx)
	if err != nil || answer.JSON201 == nil {
		return nil, errorOf(err)
	}
	domain := answer.JSON201
	r.domain = domain.ID
	return observed{
		"http": answer.StatusCode(), "id": domain.ID, "domain": domain.Domain, "status": domain.Status,
		"customMailFromDomain": domain.CustomMailFromDomain, "verifiedAt": domain.VerifiedAt, "createdAt": domain.CreatedAt,
		"recordTypes":    collect(domain.DNSRecords, func(record api.DNSRecord) any { return record.Type }),
		"recordPurposes": collect(domain.DNSRecords, func(record api.DNSRecord) any { return record.Purpose }),
		"recordTtls":     collect(domain.DNSRecords, func(record api.DNSRecord) any { return record.TTL }),
	}, nil
}

func (r *runner) refusedDomain(ctx context.Context) (observed, error) {
	answer, err := r.createDomain(ctx)
	if err != nil {
		return nil, err
	}
	return refused(answer.StatusCode(), answer.ApplicationProblemJSON409)
}

func (r *runner) listDomains(ctx context.Context) (observed, error) {
	answer, err := r.client.ListDomainsWithResponse(ctx)
	if err != nil || answer.JSON200 == nil {
		return nil, errorOf(err)
	}
	return observed{
		"http":    answer.StatusCode(),
		"domains": collect(*answer.JSON200, func(domain api.Domain) any { return domain.Domain }),
		"ids":     collect(*answer.JSON200, func(domain api.Domain) any { return domain.ID }),
	}, nil
}

func (r *runner) getDomain(ctx context.Context) (observed, error) {
	answer, err := r.client.GetDomainWithResponse(ctx, r.domain)
	if err != nil || answer.JSON200 == nil {
		return nil, errorOf(err)
	}
	domain := answer.JSON200
	return observed{"http": answer.StatusCode(), "id": domain.ID, "domain": domain.Domain, "status": domain.Status}, nil
}

func (r *runner) verifyDomain(ctx context.Context) (observed, error) {
	answer, err := r.client.VerifyDomainWithResponse(ctx, r.domain)
	if err != nil || answer.JSON200 == nil {
		return nil, errorOf(err)
	}
	domain := answer.JSON200
	return observed{
		"http": answer.StatusCode(), "id": domain.ID, "status": domain.Status, "statusReason": domain.StatusReason,
		"verifiedAt":     domain.VerifiedAt,
		"recordStatuses": collect(domain.DNSRecords, func(record api.DNSRecord) any { return record.Status }),
	}, nil
}

func (r *runner) deleteDomain(ctx context.Context) (observed, error) {
	answer, err := r.client.DeleteDomainWithResponse(ctx, r.domain)
	if err != nil {
		return nil, err
	}
	return observed{"http": answer.StatusCode()}, nil
}

func (r *runner) sendEmail(ctx context.Context) (*api.SendEmailResponse, error) {
	request, err := read[api.SendEmailRequest](r.input)
	if err != nil {
		return nil, err
	}
	return r.client.SendEmailWithResponse(ctx, nil, request)
}

func (r *runner) send(ctx context.Context) (observed, error) {
	answer, err := r.sendEmail(ctx)
	if err != nil || answer.JSON202 == nil {
		return nil, errorOf(err)
	}
	r.email = answer.JSON202.ID
	return observed{"http": answer.StatusCode(), "id": answer.JSON202.ID, "status": answer.JSON202.Status}, nil
}

func (r *runner) refusedAddress(ctx context.Context) (observed, error) {
	answer, err := r.sendEmail(ctx)
	if err != nil {
		return nil, err
	}
	return refused(answer.StatusCode(), answer.ApplicationProblemJSON400)
}

func (r *runner) refusedAllowance(ctx context.Context) (observed, error) {
	answer, err := r.sendEmail(ctx)
	if err != nil {
		return nil, err
	}
	return refused(answer.StatusCode(), answer.ApplicationProblemJSON402)
}

func (r *runner) sendBatch(ctx context.Context) (observed, error) {
	request, err := read[api.SendBatchRequest](r.input)
	if err != nil {
		return nil, err
	}
	answer, err := r.client.SendBatchWithResponse(ctx, nil, request)
	if err != nil || answer.JSON202 == nil {
		return nil, errorOf(err)
	}
	result := answer.JSON202
	return observed{
		"http": answer.StatusCode(), "accepted": result.Accepted, "rejected": result.Rejected,
		"indexes":  collect(result.Results, func(item api.BatchItemResult) any { return item.Index }),
		"statuses": collect(result.Results, func(item api.BatchItemResult) any { return item.Status }),
		"ids":      collect(result.Results, func(item api.BatchItemResult) any { return item.ID }),
		"codes":    collect(result.Results, func(item api.BatchItemResult) any { return item.Code }),
		"errors":   collect(result.Results, func(item api.BatchItemResult) any { return item.Error }),
		"pointers": collect(result.Results, func(item api.BatchItemResult) any {
			return collect(item.Errors, func(one api.ProblemError) any { return one.Pointer })
		}),
	}, nil
}

func (r *runner) readBack(ctx context.Context) (observed, error) {
	ctx, cancel := context.WithTimeout(ctx, sentLimit)
	defer cancel()
	for {
		answer, err := r.client.GetEmailWithResponse(ctx, r.email)
		if err != nil || answer.JSON200 == nil {
			return nil, errorOf(err)
		}
		email := answer.JSON200
		if email.Status == api.EmailStatusQueued {
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("the message is still queued: %w", ctx.Err())
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		found := recipientsOf(email)
		for name, value := range (observed{
			"http": answer.StatusCode(), "id": email.ID, "fromEmail": email.FromEmail, "fromName": email.FromName, "cc": email.Cc,
			"replyTo": email.ReplyTo, "subject": email.Subject, "status": email.Status, "tags": email.Tags,
			"providerMessageId": email.ProviderMessageID, "errorMessage": email.ErrorMessage, "sentAt": email.SentAt,
		}) {
			found[name] = value
		}
		return found, nil
	}
}

func recipientsOf(email *api.Email) observed {
	return observed{
		"recipientEmails":   collect(email.Recipients, func(one api.EmailRecipient) any { return one.Email }),
		"recipientKinds":    collect(email.Recipients, func(one api.EmailRecipient) any { return one.Kind }),
		"recipientStatuses": collect(email.Recipients, func(one api.EmailRecipient) any { return one.Status }),
	}
}

// getGiven reads the message that the input names.
func (r *runner) getGiven(ctx context.Context) (*api.GetEmailResponse, error) {
	given, err := read[struct{ ID uuid.UUID }](r.input)
	if err != nil {
		return nil, err
	}
	return r.client.GetEmailWithResponse(ctx, given.ID)
}

func (r *runner) refusedEmail(ctx context.Context) (observed, error) {
	answer, err := r.getGiven(ctx)
	if err != nil {
		return nil, err
	}
	return refused(answer.StatusCode(), answer.ApplicationProblemJSON404)
}

func (r *runner) futureEmail(ctx context.Context) (observed, error) {
	answer, err := r.getGiven(ctx)
	if err != nil || answer.JSON200 == nil {
		return nil, errorOf(err)
	}
	found := recipientsOf(answer.JSON200)
	found["http"], found["id"] = answer.StatusCode(), answer.JSON200.ID
	found["subject"], found["status"] = answer.JSON200.Subject, answer.JSON200.Status
	return found, nil
}

// futureProblem decodes the body itself: the client has no member for a status that the spec does not list.
func (r *runner) futureProblem(ctx context.Context) (observed, error) {
	answer, err := r.getGiven(ctx)
	if err != nil {
		return nil, err
	}
	var problem api.Problem
	if err := json.Unmarshal(answer.Body, &problem); err != nil {
		return nil, fmt.Errorf("decode the problem: %w", err)
	}
	return refused(answer.StatusCode(), &problem)
}

func (r *runner) createKey(ctx context.Context) (observed, error) {
	request, err := read[api.CreateAPIKeyRequest](r.input)
	if err != nil {
		return nil, err
	}
	answer, err := r.client.CreateAPIKeyWithResponse(ctx, request)
	if err != nil || answer.JSON201 == nil {
		return nil, errorOf(err)
	}
	key := answer.JSON201.Key
	r.key = key.ID
	return observed{
		"http": answer.StatusCode(), "id": key.ID, "name": key.Name, "scopes": key.Scopes, "expiresAt": key.ExpiresAt,
		"lastUsedAt": key.LastUsedAt, "isActive": key.IsActive, "maskedKey": key.MaskedKey, "fullKey": answer.JSON201.FullKey,
	}, nil
}

func (r *runner) revokeKey(ctx context.Context) (observed, error) {
	answer, err := r.client.RevokeAPIKeyWithResponse(ctx, r.key)
	if err != nil {
		return nil, err
	}
	return observed{"http": answer.StatusCode()}, nil
}

func (r *runner) listKeys(ctx context.Context) (observed, error) {
	answer, err := r.client.ListAPIKeysWithResponse(ctx, nil)
	if err != nil || answer.JSON200 == nil {
		return nil, errorOf(err)
	}
	return observed{
		"http":      answer.StatusCode(),
		"names":     collect(*answer.JSON200, func(key api.APIKey) any { return key.Name }),
		"active":    collect(*answer.JSON200, func(key api.APIKey) any { return key.IsActive }),
		"revokedAt": collect(*answer.JSON200, func(key api.APIKey) any { return key.RevokedAt }),
		"expiresAt": collect(*answer.JSON200, func(key api.APIKey) any { return key.ExpiresAt }),
	}, nil
}

func (r *runner) usage(ctx context.Context) (observed, error) {
	answer, err := r.client.GetUsageWithResponse(ctx)
	if err != nil || answer.JSON200 == nil {
		return nil, errorOf(err)
	}
	usage := answer.JSON200
	return observed{
		"http": answer.StatusCode(), "periodKey": usage.PeriodKey, "periodStart": usage.PeriodStart, "emailsSent": usage.EmailsSent,
		"freeMonthlyAllowance": usage.FreeMonthlyAllowance, "freeRemaining": usage.FreeRemaining,
		"billableEmails": usage.BillableEmails, "pricePer1kCents": usage.PricePer1KCents,
		"hasPaymentMethod": usage.HasPaymentMethod, "monthlySpendCapCents": usage.MonthlySpendCapCents,
	}, nil
}

// errorOf returns the error of a response without the expected body.
func errorOf(err error) error {
	if err != nil {
		return err
	}
	return errUndecoded
}
