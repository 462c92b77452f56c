package rest

import (
	"context"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/store"
)

// health holds the operations of the tag health.
type health struct {
	store *store.Store
	http  *httpserver.Server
}

// GetHealth responds with 200 as long as the process serves requests.
func (h *health) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return api.GetHealth200JSONResponse{Body: api.Health{Status: api.HealthStatusOk}}, nil
}

// GetReadiness responds with 200 if the server can take work.
func (h *health) GetReadiness(
	ctx context.Context, _ api.GetReadinessRequestObject,
) (api.GetReadinessResponseObject, error) {
	if h.http.IsLameDuck() {
		return nil, &problem.Problem{
			Code: api.ProblemCodeDraining, Detail: "This server is about to shut down.", RetryAfter: 1,
		}
	}
	if err := h.ready(ctx); err != nil {
		return nil, err
	}
	return api.GetReadiness200JSONResponse{Body: api.Health{Status: api.HealthStatusOk}}, nil
}

// ready returns an error unless the database responds within two seconds and has the tables that this binary
// needs.
func (h *health) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	have, want, err := h.store.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if have < want {
		return problem.Unavailable("The database is not migrated; run the migrations.")
	}
	return h.store.ProbeWrite(ctx)
}
