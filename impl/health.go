package impl

import (
	"context"

	"github.com/voostack/mailstack/gen/api"
)

// GetHealth answers as long as the process serves requests.
func (server *Server) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return api.GetHealth200JSONResponse{Body: api.Health{Status: api.HealthStatusOk}}, nil
}

// GetReadiness answers 200 when the server can take work.
func (server *Server) GetReadiness(
	ctx context.Context, _ api.GetReadinessRequestObject,
) (api.GetReadinessResponseObject, error) {
	if err := server.ready(ctx); err != nil {
		return nil, err
	}
	return api.GetReadiness200JSONResponse{Body: api.Health{Status: api.HealthStatusOk}}, nil
}
