package httpserver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/spec"
)

type idempotencyKey struct{}

// idempotentRequest is the idempotency key of a request, with what is needed to save its response.
type idempotentRequest struct {
	*idempotency.Claim
	// hasSecret reports that the response shows a secret, so it is encrypted before it is saved.
	hasSecret bool
}

// idempotencyFromContext returns the idempotency key of a request, or nil if it has none.
func idempotencyFromContext(ctx context.Context) *idempotentRequest {
	found, _ := ctx.Value(idempotencyKey{}).(*idempotentRequest)
	return found
}

// attachIdempotencyKey puts the idempotency key of a validated request into its context. The spec bounds the key.
func attachIdempotencyKey(op *spec.Operation, c echo.Context, body []byte) {
	request := c.Request()
	if !op.Idempotent || request.Header.Get(spec.IdempotencyHeader) == "" {
		return
	}
	ctx := request.Context()
	claim := idempotency.NewClaim(
		auth.CallerFromContext(ctx).OrganizationID, request.Header.Get(spec.IdempotencyHeader), op.ID+" "+request.URL.EscapedPath(), body)
	c.SetRequest(request.WithContext(context.WithValue(ctx, idempotencyKey{}, &idempotentRequest{claim, op.HasSecret})))
}

// idempotent ends a request whose idempotency key has a saved response, before the operation runs. If the
// operation fails, it looks up the key again: the failure may be a conflict with the first request, such as a
// domain that exists, because the first request has committed meanwhile. Then that request's saved response is the
// result.
func (server *Server) idempotent(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		claim := idempotencyFromContext(ctx)
		if claim == nil {
			return next(c)
		}
		if prior, err := server.lookup(ctx, claim); prior != nil || err != nil {
			return cmp.Or(err, prior)
		}
		err := next(c)
		if err == nil || isReplay(err) {
			return err
		}
		if prior, failed := server.lookup(ctx, claim); failed == nil && prior != nil {
			return prior
		}
		return err
	}
}

func isReplay(err error) bool {
	_, found := errors.AsType[*idempotency.Replay](err)
	return found
}

// replay writes the saved response to a repeated request. It runs outside the guard, which checks the API key
// again when a request ends with an error.
func (server *Server) replay(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if repeated, found := errors.AsType[*idempotency.Replay](err); found {
			return server.writeReplay(c, idempotencyFromContext(c.Request().Context()), repeated.Response)
		}
		return err
	}
}

// lookup returns the result for the key as prior, such as an [idempotency.Replay], or the error of the lookup
// itself. It is a read like others, and takes turns with them.
func (server *Server) lookup(ctx context.Context, claim *idempotentRequest) (prior, err error) {
	release, err := server.reads.take(ctx, auth.CallerFromContext(ctx).OrganizationID)
	if err != nil {
		return nil, err
	}
	defer release()
	found, err := idempotency.Lookup(ctx, server.config.Store.Queries(), server.config.Now(), claim.Claim)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (server *Server) writeReplay(c echo.Context, claim *idempotentRequest, answer idempotency.Response) error {
	body := answer.Body
	if answer.Sealed {
		var err error
		if body, err = server.config.Sealer.Open(body, claim.Key().AAD()); err != nil {
			return fmt.Errorf("open the answer of an idempotency key: %w", err)
		}
	}
	header := c.Response().Header()
	header.Set("Idempotent-Replayed", "true")
	if answer.Location != "" {
		header.Set("Location", answer.Location)
	}
	return c.Blob(answer.Status, "application/json", body)
}

// ResponseWriteFunc writes a success response, as the generated code does.
type ResponseWriteFunc func(w http.ResponseWriter) error

// CreateIdempotently runs the transaction of an operation that creates something. Under an idempotency key the
// transaction claims the key first and saves the response last.
func (server *Server) CreateIdempotently(ctx context.Context, work func(tx *db.Queries) (ResponseWriteFunc, error)) error {
	claim, now := idempotencyFromContext(ctx), server.config.Now()
	return server.config.Store.Tx(ctx, func(tx *db.Queries) error {
		if claim == nil {
			_, err := work(tx)
			return err
		}
		prior, err := idempotency.Acquire(ctx, tx, now, claim.Claim)
		if err != nil {
			return err
		}
		if prior[0] != nil {
			return prior[0]
		}
		success, err := work(tx)
		if err != nil {
			return err
		}
		answer, err := server.recordResponse(claim, success)
		if err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, now, idempotency.SavedResponse{Claim: claim.Claim, Response: answer})
	})
}

// recordResponse returns a success response in the form that is saved.
func (server *Server) recordResponse(claim *idempotentRequest, success ResponseWriteFunc) (idempotency.Response, error) {
	written := &responseRecorder{header: http.Header{}}
	if err := success(written); err != nil {
		return idempotency.Response{}, fmt.Errorf("write the answer to keep: %w", err)
	}
	answer := idempotency.Response{
		Status: written.status, Location: written.header.Get("Location"), Body: written.body.Bytes(), Sealed: claim.hasSecret,
	}
	if !answer.Sealed {
		return answer, nil
	}
	sealed, err := server.config.Sealer.Seal(answer.Body, claim.Key().AAD())
	if err != nil {
		return answer, fmt.Errorf("encrypt the answer to keep: %w", err)
	}
	answer.Body = sealed
	return answer, nil
}

// responseRecorder is an [http.ResponseWriter] that keeps the response.
type responseRecorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *responseRecorder) Header() http.Header { return w.header }

func (w *responseRecorder) WriteHeader(status int) { w.status = status }

func (w *responseRecorder) Write(p []byte) (int, error) { return w.body.Write(p) }
