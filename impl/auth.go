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
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/store"
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
	prefix         string
	// remembered tells that the database was not asked: see remembered.go.
	remembered bool
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
func (server *Server) admit(c echo.Context, op *operation) (caller, error) {
	ctx := c.Request().Context()
	key, suspended, err := server.authenticate(ctx, c.Request().Header, op)
	if err != nil {
		return key, err
	}
	if retryAfter, allowed := server.rates.take(key.keyID, server.config.Now(), c.Response().Header()); !allowed {
		return key, &problem{
			code:       api.ProblemCodeRateLimited,
			detail:     "This key sends requests faster than it may; try again after the given time.",
			retryAfter: retryAfter,
		}
	}
	if !apikey.Covers(key.scopes, op.scopes) {
		return key, &problem{
			code:   api.ProblemCodeMissingScope,
			detail: "This operation needs the scope " + strings.Join(op.scopes, " or ") + ".",
		}
	}
	if suspended {
		return key, inactive()
	}
	server.lastUsed.note(key.keyID, server.config.Now())
	c.SetRequest(c.Request().WithContext(context.WithValue(ctx, callerKey{}, key)))
	return key, nil
}

func unauthorized() *problem {
	return &problem{code: api.ProblemCodeUnauthorized, detail: detailUnauthorized}
}

func inactive() *problem {
	return &problem{code: api.ProblemCodeOrganizationInactive, detail: detailInactive}
}

// authenticate finds the key. Whatever is wrong with it, the answer is the same.
func (server *Server) authenticate(ctx context.Context, header http.Header, op *operation) (caller, bool, error) {
	given, ok := bearer(header)
	if !ok {
		return caller{}, false, unauthorized()
	}
	presented, err := apikey.Parse(given)
	if err != nil {
		return caller{}, false, unauthorized()
	}
	now := server.config.Now()
	if op.accepts {
		if key, known := server.remembered.recall(presented, now); known {
			return key, false, nil
		}
	}
	row, err := server.lookUp(ctx, presented.Prefix)
	if err != nil {
		return caller{}, false, err
	}
	if !presented.Matches(row.APIKey.SecretHash) || !usable(row.APIKey, now) {
		return caller{}, false, unauthorized()
	}
	key := caller{
		keyID:          row.APIKey.ID,
		organizationID: row.APIKey.OrganizationID,
		scopes:         row.APIKey.Scopes,
		expiresAt:      row.APIKey.ExpiresAt,
		prefix:         presented.Prefix,
	}
	if op.accepts && row.OrganizationSuspendedAt == nil {
		server.remembered.keep(key, row.APIKey.SecretHash, now)
	}
	return key, row.OrganizationSuspendedAt != nil, nil
}

func (server *Server) lookUp(ctx context.Context, prefix string) (db.APIKeyGetByPrefixRow, error) {
	ctx, cancel := context.WithTimeout(ctx, server.config.Patience)
	defer cancel()
	row, err := server.config.Store.Queries().APIKeyGetByPrefix(ctx, prefix)
	if store.IsNoRows(err) {
		return row, unauthorized()
	}
	if err != nil {
		return row, fmt.Errorf("look up the API key: %w", err)
	}
	return row, nil
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
