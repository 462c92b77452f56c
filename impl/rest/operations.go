package rest

import (
	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/compose"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/rest/apikeys"
	"github.com/voostack/mailstack/impl/rest/domains"
	"github.com/voostack/mailstack/impl/rest/emails"
	"github.com/voostack/mailstack/impl/rest/suppressions"
	"github.com/voostack/mailstack/impl/rest/templates"
	"github.com/voostack/mailstack/impl/rest/usage"
	"github.com/voostack/mailstack/impl/rest/webhooks"
)

// The fields of operations need different names.
type (
	keyOperations         = apikeys.Operations
	domainOperations      = domains.Operations
	emailOperations       = emails.Operations
	suppressionOperations = suppressions.Operations
	templateOperations    = templates.Operations
	usageOperations       = usage.Operations
	webhookOperations     = webhooks.Operations
)

// operations are all operations of openapi.yaml.
type operations struct {
	health
	keyOperations
	domainOperations
	emailOperations
	suppressionOperations
	templateOperations
	usageOperations
	webhookOperations
}

var _ api.StrictServerInterface = (*operations)(nil)

// register adds the routes of all operations.
func (all *operations) register(router *echo.Echo, middleware map[string][]echo.MiddlewareFunc) {
	api.RegisterHandlersWithOptions(router, api.NewStrictHandler(all, nil),
		api.RegisterHandlersOptions{OperationMiddlewares: middleware})
}

// fill gives each group what it needs, before the first request.
func (all *operations) fill(config Config, http *httpserver.Server) {
	all.health = health{store: config.Store, http: http}
	all.keyOperations = apikeys.Operations{
		Keys: auth.Keys{Store: config.Store, Now: config.Now, NewID: config.NewID, Random: config.Random}, Now: config.Now,
	}
	all.domainOperations = domains.Operations{Domains: config.Domains, HTTP: http}
	all.emailOperations = emails.Operations{
		Store: config.Store, HTTP: http, Composer: &compose.Composer{Store: config.Store, Reserve: httpserver.GrowReservation, TakeTurn: httpserver.TakeTurn},
		Sealer: config.Sealer,
	}
	all.suppressionOperations = suppressions.Operations{
		Store: config.Store, HTTP: http, AccountSuppressions: config.AccountSuppressions, Now: config.Now,
		NewID: config.NewID, Sealer: config.Sealer,
	}
	all.templateOperations = templates.Operations{
		Store: config.Store, HTTP: http, Now: config.Now, NewID: config.NewID, Sealer: config.Sealer,
	}
	all.usageOperations = usage.Operations{Store: config.Store, Now: config.Now}
	all.webhookOperations = webhooks.Operations{
		Store: config.Store, HTTP: http, Now: config.Now, NewID: config.NewID, Random: config.Random,
		Sealer: config.Sealer, WebhookPolicy: config.WebhookPolicy,
	}
}
