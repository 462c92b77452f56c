package view

import (
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
)

// APIKey returns a key as of now.
func APIKey(row db.APIKey, now time.Time) api.APIKey {
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
		LastUsedAt: TimeOrNull(row.LastUsedAt),
		ExpiresAt:  TimeOrNull(row.ExpiresAt),
		RevokedAt:  TimeOrNull(row.RevokedAt),
		IsActive:   row.RevokedAt == nil && (row.ExpiresAt == nil || row.ExpiresAt.After(now)),
		CreatedAt:  Time(row.CreatedAt),
	}
}
