package impl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/token"
)

const (
	detailUnauthorized = `Send a valid API key as "Authorization: Bearer ms_live_…".`
	detailInactive     = "The organization of this API key is suspended."
)

// caller is the key that a request came with, and through it the organization.
type caller struct {
	keyID          uuid.UUID
	organizationID uuid.UUID
	scopes         []string
	expiresAt      *time.Time
}

type callerKey struct{}

// callerOf is the caller of a secured operation. It is always there: an operation that is secured and unguarded does
// not pass the tests.
func callerOf(ctx context.Context) caller {
	known, _ := ctx.Value(callerKey{}).(caller)
	return known
}

// admit lets the request of a known key with the scope pass, in the contract's order: 401, 429, 403 scope,
// 403 organization.
func (server *Server) admit(c echo.Context, op *operation) error {
	ctx := c.Request().Context()
	key, suspended, err := server.authenticate(ctx, c.Request().Header)
	if err != nil {
		return err
	}
	if retryAfter, allowed := server.rates.take(key.keyID, server.config.Now(), c.Response().Header()); !allowed {
		return &problem{
			code:       api.ProblemCodeRateLimited,
			detail:     "This key sends requests faster than it may; try again after the given time.",
			retryAfter: retryAfter,
		}
	}
	if !token.Covers(key.scopes, op.scopes) {
		return &problem{
			code:   api.ProblemCodeMissingScope,
			detail: "This operation needs the scope " + strings.Join(op.scopes, " or ") + ".",
		}
	}
	if suspended {
		return &problem{code: api.ProblemCodeOrganizationInactive, detail: detailInactive}
	}
	server.lastUsed.note(key.keyID, server.config.Now())
	c.SetRequest(c.Request().WithContext(context.WithValue(ctx, callerKey{}, key)))
	return nil
}

// authenticate finds the key. Whatever is wrong with it, the answer is the same.
func (server *Server) authenticate(ctx context.Context, header http.Header) (caller, bool, error) {
	unauthorized := &problem{code: api.ProblemCodeUnauthorized, detail: detailUnauthorized}
	given, ok := bearer(header)
	if !ok {
		return caller{}, false, unauthorized
	}
	presented, err := token.Parse(given)
	if err != nil {
		return caller{}, false, unauthorized
	}
	ctx, cancel := context.WithTimeout(ctx, server.config.Patience)
	defer cancel()
	row, err := server.config.Store.Queries().APIKeyGetByPrefix(ctx, presented.Prefix)
	if store.IsNoRows(err) {
		return caller{}, false, unauthorized
	}
	if err != nil {
		return caller{}, false, fmt.Errorf("look up the API key: %w", err)
	}
	if !presented.Matches(row.APIKey.SecretHash) || !usable(row.APIKey, server.config.Now()) {
		return caller{}, false, unauthorized
	}
	return caller{
		keyID:          row.APIKey.ID,
		organizationID: row.APIKey.OrganizationID,
		scopes:         row.APIKey.Scopes,
		expiresAt:      row.APIKey.ExpiresAt,
	}, row.OrganizationSuspendedAt != nil, nil
}

// bearer reads the one Authorization header (RFC 6750); the scheme's case does not matter.
func bearer(header http.Header) (string, bool) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, given, found := strings.Cut(values[0], " ")
	return given, found && strings.EqualFold(scheme, "Bearer")
}

// usable tells whether a key is neither revoked nor expired.
func usable(key db.APIKey, now time.Time) bool {
	return key.RevokedAt == nil && (key.ExpiresAt == nil || key.ExpiresAt.After(now))
}
