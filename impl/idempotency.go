package impl

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/intake"
)

const idempotencyHeader = "Idempotency-Key"

type claimKey struct{}

// claimed is the request's idempotency key, with what is needed to keep its answer.
type claimed struct {
	*idempotency.Claim
	// seals says that the answer shows a secret.
	seals bool
}

// claimOf is nil for a request without an idempotency key.
func claimOf(ctx context.Context) *claimed {
	found, _ := ctx.Value(claimKey{}).(*claimed)
	return found
}

// claim notes the idempotency key of a request that has been understood. The document has bounded it.
func (op *operation) claim(c echo.Context, body []byte) {
	request := c.Request()
	if !op.idempotent || request.Header.Get(idempotencyHeader) == "" {
		return
	}
	ctx := request.Context()
	claim := idempotency.NewClaim(
		callerOf(ctx).organizationID, request.Header.Get(idempotencyHeader), op.id+" "+request.URL.EscapedPath(), body)
	c.SetRequest(request.WithContext(context.WithValue(ctx, claimKey{}, &claimed{claim, op.secretAnswer})))
}

// once ends a request whose idempotency key has an answer already, before anything else is looked at. Where the work
// fails, what it met may be what the first request did in this very moment, such as a domain that exists: then that is how
// the request ends.
func (server *Server) once(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		claim := claimOf(ctx)
		if claim == nil {
			return next(c)
		}
		if met, err := server.lookup(ctx, claim); met != nil || err != nil {
			return cmp.Or(err, met)
		}
		err := next(c)
		if err == nil || isReplay(err) {
			return err
		}
		if met, failed := server.lookup(ctx, claim); failed == nil && met != nil {
			return met
		}
		return err
	}
}

func isReplay(err error) bool {
	_, found := errors.AsType[*idempotency.Replay](err)
	return found
}

// replay answers a request that repeats one which was answered. It stands before the guard, which has a last look at the
// key of a request that ended with an error.
func (server *Server) replay(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if repeated, found := errors.AsType[*idempotency.Replay](err); found {
			return server.writeReplay(c, claimOf(c.Request().Context()), repeated.Answer)
		}
		return err
	}
}

// lookup returns what is met under the key, and the failure to find out.
func (server *Server) lookup(ctx context.Context, claim *claimed) (met, err error) {
	found, err := idempotency.Lookup(ctx, server.config.Store.Queries(), server.config.Now(), claim.Claim)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (server *Server) writeReplay(c echo.Context, claim *claimed, answer idempotency.Answer) error {
	body := answer.Body
	if answer.Sealed {
		var err error
		if body, err = server.config.Sealer.Open(body, claim.purpose()); err != nil {
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

// purpose binds a sealed answer to its key.
func (claim *claimed) purpose() []byte {
	key := claim.Key()
	return append([]byte("idempotency "), key[:]...)
}

// visit writes a success, as the generated code does.
type visit func(w http.ResponseWriter) error

// create runs the transaction of an operation that creates something. Under an idempotency key it claims the key first,
// and stores the answer last.
func (server *Server) create(ctx context.Context, work func(tx *db.Queries) (visit, error)) error {
	claim, now := claimOf(ctx), server.config.Now()
	return server.config.Store.Tx(ctx, func(tx *db.Queries) error {
		if claim == nil {
			_, err := work(tx)
			return err
		}
		met, err := idempotency.Take(ctx, tx, now, claim.Claim)
		if err != nil {
			return err
		}
		if met[0] != nil {
			return met[0]
		}
		success, err := work(tx)
		if err != nil {
			return err
		}
		answer, err := server.answer(claim, success)
		if err != nil {
			return err
		}
		return idempotency.Keep(ctx, tx, now, idempotency.Answered{Claim: claim.Claim, Answer: answer})
	})
}

// accept has messages accepted. Under an idempotency key the response to the results is kept with them, where it is a
// success.
func (server *Server) accept(
	ctx context.Context, messages []intake.Message, respond func(results []intake.Result) (visit, error),
) ([]intake.Result, error) {
	claim := claimOf(ctx)
	switch {
	case claim == nil && len(messages) == 0:
		return nil, server.recheck(ctx, callerOf(ctx))
	case claim == nil:
		return server.config.Intake.AcceptOnce(ctx, messages, nil)
	case len(messages) == 0:
		if err := server.recheck(ctx, callerOf(ctx)); err != nil {
			return nil, err
		}
		return nil, server.create(ctx, func(*db.Queries) (visit, error) { return respond(nil) })
	}
	return server.config.Intake.AcceptOnce(ctx, messages, &intake.Claim{
		Claim: claim.Claim,
		Answer: func(results []intake.Result) (*idempotency.Answer, error) {
			success, refusal := respond(results)
			if refusal != nil {
				return nil, nil //nolint:nilerr // a refusal is not kept
			}
			answer, err := server.answer(claim, success)
			return &answer, err
		},
	})
}

// answer is a success as it is kept.
func (server *Server) answer(claim *claimed, success visit) (idempotency.Answer, error) {
	written := &writing{header: http.Header{}}
	if err := success(written); err != nil {
		return idempotency.Answer{}, fmt.Errorf("write the answer to keep: %w", err)
	}
	answer := idempotency.Answer{
		Status: written.status, Location: written.header.Get("Location"), Body: written.body.Bytes(), Sealed: claim.seals,
	}
	if !answer.Sealed {
		return answer, nil
	}
	sealed, err := server.config.Sealer.Seal(answer.Body, claim.purpose())
	if err != nil {
		return answer, fmt.Errorf("encrypt the answer to keep: %w", err)
	}
	answer.Body = sealed
	return answer, nil
}

// writing takes an answer as a client would.
type writing struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *writing) Header() http.Header { return w.header }

func (w *writing) WriteHeader(status int) { w.status = status }

func (w *writing) Write(p []byte) (int, error) { return w.body.Write(p) }
