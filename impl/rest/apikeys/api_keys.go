package apikeys

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/view"
)

// ListAPIKeys lists the organization's keys.
func (ops *Operations) ListAPIKeys(
	ctx context.Context, request api.ListAPIKeysRequestObject,
) (api.ListAPIKeysResponseObject, error) {
	maxRevoked := int32(auth.MaxRevokedListed)
	if revoked := request.Params.IncludeRevoked; revoked != nil && !*revoked {
		maxRevoked = 0
	}
	rows, err := ops.Keys.ListKeys(ctx, auth.CallerFromContext(ctx).OrganizationID, maxRevoked)
	if err != nil {
		return nil, err
	}
	keys := make(api.APIKeyList, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, view.APIKey(row, ops.Now()))
	}
	return api.ListAPIKeys200JSONResponse{Body: keys}, nil
}

// GetAPIKey reads what may be known of a key.
func (ops *Operations) GetAPIKey(
	ctx context.Context, request api.GetAPIKeyRequestObject,
) (api.GetAPIKeyResponseObject, error) {
	row, found, err := ops.Keys.GetKey(ctx, auth.CallerFromContext(ctx).OrganizationID, request.ID)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, problem.NotFound()
	}
	return api.GetAPIKey200JSONResponse{Body: view.APIKey(row, ops.Now())}, nil
}

// CreateAPIKey creates a key that is no more powerful than the key of the request.
func (ops *Operations) CreateAPIKey(
	ctx context.Context, request api.CreateAPIKeyRequestObject,
) (api.CreateAPIKeyResponseObject, error) {
	now, creator := ops.Now(), auth.CallerFromContext(ctx)
	if err := checkNewKey(creator, request.Body, now); err != nil {
		return nil, err
	}
	secret, row, err := ops.Keys.CreateKey(ctx, auth.NewKey{
		OrganizationID: creator.OrganizationID, Name: request.Body.Name, Scopes: scopeNames(request.Body.Scopes),
		ExpiresAt: request.Body.ExpiresAt,
	})
	switch {
	case errors.Is(err, auth.ErrKeyName):
		return nil, &problem.Problem{
			Code: api.ProblemCodeKeyNameExists, Detail: "An unrevoked key of your organization has this name already.",
		}
	case errors.Is(err, auth.ErrKeyLimit):
		return nil, &problem.Problem{
			Code: api.ProblemCodeKeyLimitReached, Detail: "An organization may have at most 100 unrevoked keys.",
		}
	case err != nil:
		return nil, err
	}
	return api.CreateAPIKey201JSONResponse{
		Body:    api.CreatedAPIKey{Key: view.APIKey(row, now), FullKey: secret.Reveal()},
		Headers: api.CreateAPIKey201ResponseHeaders{Location: "/v1/api-keys/" + row.ID.String()},
	}, nil
}

// checkNewKey checks the key by itself (400), then against its creator (403).
func checkNewKey(creator auth.Caller, wanted *api.CreateAPIKeyRequest, now time.Time) error {
	if strings.TrimSpace(wanted.Name) == "" {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/name", "is blank")
	}
	if wanted.ExpiresAt != nil && !wanted.ExpiresAt.After(now) {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/expiresAt", "is not in the future")
	}
	if missing := apikey.Missing(creator.Scopes, scopeNames(wanted.Scopes)); len(missing) > 0 {
		return &problem.Problem{
			Code:   api.ProblemCodeKeyExceedsCreator,
			Detail: "The creating key does not have the scope " + strings.Join(missing, ", ") + ".",
		}
	}
	if creator.ExpiresAt != nil && (wanted.ExpiresAt == nil || wanted.ExpiresAt.After(*creator.ExpiresAt)) {
		return &problem.Problem{
			Code: api.ProblemCodeKeyExceedsCreator, Detail: "The new key would outlive the key that creates it.",
		}
	}
	return nil
}

// RevokeAPIKey revokes a key of the organization, at once and for good.
func (ops *Operations) RevokeAPIKey(
	ctx context.Context, request api.RevokeAPIKeyRequestObject,
) (api.RevokeAPIKeyResponseObject, error) {
	revoked, err := ops.Keys.RevokeKey(ctx, auth.CallerFromContext(ctx).OrganizationID, request.ID)
	if err != nil {
		return nil, err
	}
	if !revoked {
		return nil, problem.NotFound()
	}
	return api.RevokeAPIKey204Response{}, nil
}

func scopeNames(scopes []api.Scope) []string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return names
}
