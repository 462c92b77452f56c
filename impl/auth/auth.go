// Package auth authenticates requests: it turns the credential of a request into its caller. It knows headers and
// problems, and no operation.
//
//   - auth.go: [Authenticator], [Caller], the order of the checks
//   - unknown_keys.go: bounds on look-ups of keys that this process has not seen valid
//   - key_cache.go: keys that are not looked up again
//   - rate_limit.go: requests per second of a key
//   - last_used.go: recording when keys were used, in batches
//   - keys.go: creating, listing and revoking keys, for the API and the command line
package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/store"
)

// Config holds the parts of an [Authenticator]. Store, Now and Log are required.
type Config struct {
	Store *store.Store
	Now   func() time.Time
	Log   *slog.Logger
	// RequestsPerSecond limits each key in this process, with bursts of twice as many. Zero means no limit.
	RequestsPerSecond float64
	// LookupTimeout bounds the lookup of a key.
	LookupTimeout time.Duration
}

// Authenticator authenticates requests. It is safe for concurrent use.
type Authenticator struct {
	config   Config
	limiter  *keyLimiter
	lastUsed lastUsed
	// keys caches API keys, so that requests to send need no lookup.
	keys    keyCache
	unknown *unknownKeys
}

// New returns an Authenticator.
func New(config Config) (*Authenticator, error) {
	keys, err := newKeyCache()
	if err != nil {
		return nil, fmt.Errorf("make the cache of keys: %w", err)
	}
	unknown, err := newUnknownKeys()
	if err != nil {
		return nil, fmt.Errorf("make the memory of known keys: %w", err)
	}
	return &Authenticator{unknown: unknown, config: config, limiter: newKeyLimiter(config.RequestsPerSecond), keys: keys}, nil
}

const (
	detailUnauthorized = `Send a valid API key as "Authorization: Bearer ms_live_…".`
	detailInactive     = "The organization of this API key is suspended."
)

// Caller is the key of a request, and through it the organization.
type Caller struct {
	KeyID          uuid.UUID
	OrganizationID uuid.UUID
	Scopes         []string
	ExpiresAt      *time.Time

	prefix string
	// fromCache reports that the key came from the cache, see key_cache.go.
	fromCache bool
}

type callerKey struct{}

// CallerFromContext returns the caller of a secured operation. There always is one: the tests fail for a secured
// operation without a guard.
func CallerFromContext(ctx context.Context) Caller {
	known, _ := ctx.Value(callerKey{}).(Caller)
	return known
}

// Authorize checks that the request has a valid key with one of scopes, in the contract's order: 401, 429, 403 for
// the scope, 403 for the organization. It returns a context that holds the caller. If cached is true, the key may
// come from the cache, because the transaction of the operation checks it again.
func (a *Authenticator) Authorize(
	ctx context.Context, request *http.Request, response http.Header, scopes []string, cached bool,
) (context.Context, error) {
	key, suspended, err := a.authenticate(ctx, request, cached)
	if err != nil {
		return ctx, err
	}
	if refusal := a.refusal(key, suspended, response, scopes); refusal != nil {
		return ctx, a.unauthorizedOr(ctx, key, refusal)
	}
	a.lastUsed.note(key.KeyID, a.config.Now())
	return context.WithValue(ctx, callerKey{}, key), nil
}

func (a *Authenticator) refusal(key Caller, suspended bool, response http.Header, scopes []string) error {
	if retryAfter, allowed := a.limiter.allow(key.KeyID, a.config.Now(), response); !allowed {
		return &problem.Problem{
			Code:       api.ProblemCodeRateLimited,
			Detail:     "This key sends requests faster than it may; try again after the given time.",
			RetryAfter: retryAfter,
		}
	}
	if !apikey.Covers(key.Scopes, scopes) {
		return &problem.Problem{
			Code:   api.ProblemCodeMissingScope,
			Detail: "This operation needs the scope " + strings.Join(scopes, " or ") + ".",
		}
	}
	if suspended {
		return Inactive()
	}
	return nil
}

// Unauthorized returns the problem of every request without a valid key. It does not say why the key is not valid.
func Unauthorized() *problem.Problem {
	return &problem.Problem{Code: api.ProblemCodeUnauthorized, Detail: detailUnauthorized}
}

// Inactive returns the problem of a request from a suspended organization.
func Inactive() *problem.Problem {
	return &problem.Problem{Code: api.ProblemCodeOrganizationInactive, Detail: detailInactive}
}

// authenticate returns the key of a request, and whether its organization is suspended. Every fault of a key gets
// the same response.
func (a *Authenticator) authenticate(ctx context.Context, request *http.Request, cached bool) (Caller, bool, error) {
	given, ok := bearer(request.Header)
	if !ok {
		return Caller{}, false, Unauthorized()
	}
	presented, err := apikey.Parse(given)
	if err != nil {
		return Caller{}, false, Unauthorized()
	}
	now := a.config.Now()
	if cached {
		if key, known := a.keys.get(presented, now); known {
			return key, false, nil
		}
	}
	row, err := a.unknown.lookUp(ctx, presented, request.RemoteAddr, now, a.lookUp)
	if err != nil {
		return Caller{}, false, err
	}
	if !presented.Matches(row.APIKey.SecretHash) || !Usable(row.APIKey, now) {
		return Caller{}, false, Unauthorized()
	}
	key := Caller{
		KeyID:          row.APIKey.ID,
		OrganizationID: row.APIKey.OrganizationID,
		Scopes:         row.APIKey.Scopes,
		ExpiresAt:      row.APIKey.ExpiresAt,
		prefix:         presented.Prefix,
	}
	if cached && row.OrganizationSuspendedAt == nil {
		a.keys.put(key, row.APIKey.SecretHash, now)
	}
	return key, row.OrganizationSuspendedAt != nil, nil
}

func (a *Authenticator) lookUp(ctx context.Context, prefix string) (db.APIKeyGetByPrefixRow, error) {
	ctx, cancel := context.WithTimeout(ctx, a.config.LookupTimeout)
	defer cancel()
	row, err := a.config.Store.Queries().APIKeyGetByPrefix(ctx, prefix)
	if store.IsNoRows(err) {
		return row, Unauthorized()
	}
	if err != nil {
		return row, fmt.Errorf("look up the API key: %w", err)
	}
	return row, nil
}

// bearer returns the credential of the only Authorization header (RFC 6750). The scheme's case does not matter.
func bearer(header http.Header) (string, bool) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, given, found := strings.Cut(values[0], " ")
	return given, found && strings.EqualFold(scheme, "Bearer")
}

// Usable reports whether a key is neither revoked nor expired.
func Usable(key db.APIKey, now time.Time) bool {
	return key.RevokedAt == nil && (key.ExpiresAt == nil || key.ExpiresAt.After(now))
}

// itemsPerRequest is how many items of a batch cost as much of a key's rate as one request.
const itemsPerRequest = 10

// Charge prices a request by the items that it turned out to hold: 1 for each 10 begun, of which Authorize took the first.
func (a *Authenticator) Charge(ctx context.Context, response http.Header, items int) {
	a.limiter.charge(CallerFromContext(ctx).KeyID, a.config.Now(), response, (items-1)/itemsPerRequest)
}
