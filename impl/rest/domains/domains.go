package domains

import (
	"context"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/view"
)

// ListDomains lists the organization's domains.
func (ops *Operations) ListDomains(
	ctx context.Context, _ api.ListDomainsRequestObject,
) (api.ListDomainsResponseObject, error) {
	views, err := ops.Domains.List(ctx, auth.CallerFromContext(ctx).OrganizationID)
	if err != nil {
		return nil, err
	}
	domains := make(api.DomainList, 0, len(views))
	for _, found := range views {
		domains = append(domains, view.Domain(found))
	}
	return api.ListDomains200JSONResponse{Body: domains}, nil
}

// GetDomain reads one domain as it was last checked.
func (ops *Operations) GetDomain(
	ctx context.Context, request api.GetDomainRequestObject,
) (api.GetDomainResponseObject, error) {
	found, err := ops.Domains.Get(ctx, auth.CallerFromContext(ctx).OrganizationID, request.ID)
	if err != nil {
		return nil, err
	}
	return api.GetDomain200JSONResponse{Body: view.Domain(found)}, nil
}

// CreateDomain registers a domain.
func (ops *Operations) CreateDomain(
	ctx context.Context, request api.CreateDomainRequestObject,
) (api.CreateDomainResponseObject, error) {
	prepared, err := ops.Domains.Prepare(
		ctx, auth.CallerFromContext(ctx).OrganizationID, request.Body.Domain, request.Body.MailFromSubdomain)
	if err != nil {
		return nil, err
	}
	var created api.CreateDomain201JSONResponse
	err = ops.HTTP.CreateIdempotently(ctx, func(tx *db.Queries) (httpserver.ResponseWriteFunc, error) {
		found, err := ops.Domains.Register(ctx, tx, prepared)
		created.Body, created.Headers.Location = view.Domain(found), "/v1/domains/"+found.ID.String()
		return created.VisitCreateDomainResponse, err
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// VerifyDomain checks the DNS records now.
func (ops *Operations) VerifyDomain(
	ctx context.Context, request api.VerifyDomainRequestObject,
) (api.VerifyDomainResponseObject, error) {
	found, err := ops.Domains.Verify(ctx, auth.CallerFromContext(ctx).OrganizationID, request.ID)
	if err != nil {
		return nil, err
	}
	return api.VerifyDomain200JSONResponse{Body: view.Domain(found)}, nil
}

// DeleteDomain removes a domain.
func (ops *Operations) DeleteDomain(
	ctx context.Context, request api.DeleteDomainRequestObject,
) (api.DeleteDomainResponseObject, error) {
	if err := ops.Domains.Delete(ctx, auth.CallerFromContext(ctx).OrganizationID, request.ID); err != nil {
		return nil, err
	}
	return api.DeleteDomain204Response{}, nil
}
