package impl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/store"
)

const (
	maxKeys  = 100
	maxDraws = 5
	// revokedKept is how long a revoked key stays in the list.
	revokedKept = 90 * 24 * time.Hour
)

// ListAPIKeys lists the organization's keys.
func (server *Server) ListAPIKeys(
	ctx context.Context, _ api.ListAPIKeysRequestObject,
) (api.ListAPIKeysResponseObject, error) {
	now := server.config.Now()
	rows, err := server.config.Store.Queries().APIKeyList(ctx, db.APIKeyListParams{
		OrganizationID: callerOf(ctx).organizationID, RevokedAfter: now.Add(-revokedKept),
	})
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	keys := make(api.APIKeyList, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, apiKeyOf(row, now))
	}
	return api.ListAPIKeys200JSONResponse{Body: keys}, nil
}

// CreateAPIKey creates a key that is no more powerful than the one that asks for it.
func (server *Server) CreateAPIKey(
	ctx context.Context, request api.CreateAPIKeyRequestObject,
) (api.CreateAPIKeyResponseObject, error) {
	now := server.config.Now()
	if err := checkNewKey(callerOf(ctx), request.Body, now); err != nil {
		return nil, err
	}
	secret, row, err := server.drawKey(ctx, request.Body, now)
	if store.Constraint(err) == store.ConstraintAPIKeysName {
		return nil, &problem{
			code: api.ProblemCodeKeyNameExists, detail: "An unrevoked key of your organization has this name already.",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create an API key: %w", err)
	}
	return api.CreateAPIKey201JSONResponse{
		Body:    api.CreatedAPIKey{Key: apiKeyOf(row, now), FullKey: secret.Reveal()},
		Headers: api.CreateAPIKey201ResponseHeaders{Location: "/v1/api-keys/" + row.ID.String()},
	}, nil
}

// checkNewKey compares the key with its creator: 400 first, then 403.
func checkNewKey(creator caller, wanted *api.CreateAPIKeyRequest, now time.Time) error {
	if strings.TrimSpace(wanted.Name) == "" {
		return invalid(api.ProblemCodeValidationFailed, "/name", "is blank")
	}
	if wanted.ExpiresAt != nil && !wanted.ExpiresAt.After(now) {
		return invalid(api.ProblemCodeValidationFailed, "/expiresAt", "is not in the future")
	}
	if missing := apikey.Missing(creator.scopes, scopeNames(wanted.Scopes)); len(missing) > 0 {
		return &problem{
			code:   api.ProblemCodeKeyExceedsCreator,
			detail: "The creating key does not have the scope " + strings.Join(missing, ", ") + ".",
		}
	}
	if creator.expiresAt != nil && (wanted.ExpiresAt == nil || wanted.ExpiresAt.After(*creator.expiresAt)) {
		return &problem{
			code: api.ProblemCodeKeyExceedsCreator, detail: "The new key would outlive the key that creates it.",
		}
	}
	return nil
}

// drawKey makes a key and stores it. Of the 36^8 prefixes some are taken: another one is drawn then.
func (server *Server) drawKey(
	ctx context.Context, wanted *api.CreateAPIKeyRequest, now time.Time,
) (secret apikey.Key, row db.APIKey, err error) {
	for range maxDraws {
		if secret, err = apikey.New(server.config.Random); err != nil {
			return apikey.Key{}, db.APIKey{}, fmt.Errorf("make an API key: %w", err)
		}
		if row, err = server.insertKey(ctx, wanted, secret, now); store.Constraint(err) != store.ConstraintAPIKeysPrefix {
			break
		}
	}
	return secret, row, err
}

// insertKey holds the organization while it counts, so that concurrent creators cannot exceed the limit together.
func (server *Server) insertKey(
	ctx context.Context, wanted *api.CreateAPIKeyRequest, secret apikey.Key, now time.Time,
) (db.APIKey, error) {
	organizationID := callerOf(ctx).organizationID
	var row db.APIKey
	err := server.config.Store.Tx(ctx, func(tx *db.Queries) error {
		if err := tx.OrganizationLock(ctx, organizationID); err != nil {
			return err
		}
		count, err := tx.APIKeyCountUnrevoked(ctx, organizationID)
		if err != nil {
			return err
		}
		if count >= maxKeys {
			return &problem{
				code: api.ProblemCodeKeyLimitReached, detail: "An organization may have at most 100 unrevoked keys.",
			}
		}
		row, err = tx.APIKeyInsert(ctx, db.APIKeyInsertParams{
			ID:             server.config.NewID(),
			OrganizationID: organizationID,
			Name:           wanted.Name,
			Prefix:         secret.Prefix,
			SecretHash:     secret.Hash(),
			Scopes:         scopeNames(wanted.Scopes),
			ExpiresAt:      wanted.ExpiresAt,
			CreatedAt:      now,
		})
		return err
	})
	return row, err
}

// RevokeAPIKey revokes a key of the organization, at once and for good.
func (server *Server) RevokeAPIKey(
	ctx context.Context, request api.RevokeAPIKeyRequestObject,
) (api.RevokeAPIKeyResponseObject, error) {
	revoked, err := server.config.Store.Queries().APIKeyRevoke(ctx, db.APIKeyRevokeParams{
		OrganizationID: callerOf(ctx).organizationID, ID: request.ID, Now: server.config.Now(),
	})
	if err != nil {
		return nil, fmt.Errorf("revoke an API key: %w", err)
	}
	if revoked == 0 {
		return nil, notFound()
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

func apiKeyOf(row db.APIKey, now time.Time) api.APIKey {
	scopes := make([]api.Scope, len(row.Scopes))
	for i, scope := range row.Scopes {
		scopes[i] = api.Scope(scope)
	}
	return api.APIKey{
		ID:         row.ID,
		Name:       row.Name,
		KeyPrefix:  row.Prefix,
		MaskedKey:  apikey.Mask(row.Prefix),
		Scopes:     scopes,
		LastUsedAt: utc(row.LastUsedAt),
		ExpiresAt:  utc(row.ExpiresAt),
		RevokedAt:  utc(row.RevokedAt),
		IsActive:   usable(row, now),
		CreatedAt:  row.CreatedAt.UTC(),
	}
}

// utc is how every time is shown.
func utc(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	shown := at.UTC()
	return &shown
}
