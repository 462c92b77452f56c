package httpserver

import (
	"context"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/intake"
)

// Accept accepts messages. Under an idempotency key it saves the response to the results with the messages, if it
// is a success.
func (server *Server) Accept(
	ctx context.Context, messages []intake.Message, respond func(results []intake.Result) (ResponseWriteFunc, error),
) ([]intake.Result, error) {
	endTurn(ctx)
	claim := idempotencyFromContext(ctx)
	switch {
	case claim == nil && len(messages) == 0:
		return nil, server.config.Authorizer.Revalidate(ctx)
	case claim == nil:
		return server.config.Intake.AcceptOnce(ctx, messages, nil)
	case len(messages) == 0:
		if err := server.config.Authorizer.Revalidate(ctx); err != nil {
			return nil, err
		}
		return nil, server.CreateIdempotently(ctx, func(*db.Queries) (ResponseWriteFunc, error) { return respond(nil) })
	}
	return server.config.Intake.AcceptOnce(ctx, messages, &intake.Idempotency{
		Claim: claim.Claim,
		Respond: func(results []intake.Result) (*idempotency.Response, error) {
			success, refusal := respond(results)
			if refusal != nil {
				return nil, nil //nolint:nilerr // a refusal is not saved
			}
			answer, err := server.recordResponse(claim, success)
			return &answer, err
		},
	})
}
