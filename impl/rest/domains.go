package rest

import (
	"context"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/httpserver"
)

// ListDomains lists the organization's domains.
func (server *Server) ListDomains(
	ctx context.Context, _ api.ListDomainsRequestObject,
) (api.ListDomainsResponseObject, error) {
	views, err := server.config.Domains.List(ctx, auth.CallerFromContext(ctx).OrganizationID)
	if err != nil {
		return nil, err
	}
	domains := make(api.DomainList, 0, len(views))
	for _, view := range views {
		domains = append(domains, domainOf(view))
	}
	return api.ListDomains200JSONResponse{Body: domains}, nil
}

// GetDomain reads one domain as it was last checked.
func (server *Server) GetDomain(
	ctx context.Context, request api.GetDomainRequestObject,
) (api.GetDomainResponseObject, error) {
	view, err := server.config.Domains.Get(ctx, auth.CallerFromContext(ctx).OrganizationID, request.ID)
	if err != nil {
		return nil, err
	}
	return api.GetDomain200JSONResponse{Body: domainOf(view)}, nil
}

// CreateDomain registers a domain.
func (server *Server) CreateDomain(
	ctx context.Context, request api.CreateDomainRequestObject,
) (api.CreateDomainResponseObject, error) {
	prepared, err := server.config.Domains.Prepare(
		ctx, auth.CallerFromContext(ctx).OrganizationID, request.Body.Domain, request.Body.MailFromSubdomain)
	if err != nil {
		return nil, err
	}
	var created api.CreateDomain201JSONResponse
	err = server.http.CreateIdempotently(ctx, func(tx *db.Queries) (httpserver.ResponseWriteFunc, error) {
		view, err := server.config.Domains.Register(ctx, tx, prepared)
		created.Body, created.Headers.Location = domainOf(view), "/v1/domains/"+view.ID.String()
		return created.VisitCreateDomainResponse, err
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// VerifyDomain looks the records up now.
func (server *Server) VerifyDomain(
	ctx context.Context, request api.VerifyDomainRequestObject,
) (api.VerifyDomainResponseObject, error) {
	view, err := server.config.Domains.Verify(ctx, auth.CallerFromContext(ctx).OrganizationID, request.ID)
	if err != nil {
		return nil, err
	}
	return api.VerifyDomain200JSONResponse{Body: domainOf(view)}, nil
}

// DeleteDomain removes a domain.
func (server *Server) DeleteDomain(
	ctx context.Context, request api.DeleteDomainRequestObject,
) (api.DeleteDomainResponseObject, error) {
	if err := server.config.Domains.Delete(ctx, auth.CallerFromContext(ctx).OrganizationID, request.ID); err != nil {
		return nil, err
	}
	return api.DeleteDomain204Response{}, nil
}

func domainOf(view domain.View) api.Domain {
	records := make([]api.DNSRecord, 0, len(view.Records))
	for _, record := range view.Records {
		records = append(records, api.DNSRecord{
			Type:     api.DNSRecordType(record.Type),
			Name:     record.Name,
			Value:    record.Value,
			TTL:      record.TTL,
			Purpose:  api.DNSRecordPurpose(record.Purpose),
			Required: record.Required,
			Status:   api.DNSRecordStatus(record.Status),
			Observed: append([]string{}, record.Observed...),
		})
	}
	return api.Domain{
		ID:                   view.ID,
		Domain:               view.Name,
		Status:               api.DomainStatus(view.Status),
		StatusReason:         view.StatusReason,
		CustomMailFromDomain: view.MailFromDomain,
		DNSRecords:           records,
		VerifiedAt:           utc(view.VerifiedAt),
		LastCheckedAt:        utc(view.CheckedAt),
		CreatedAt:            view.CreatedAt.UTC(),
	}
}
