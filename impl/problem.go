package impl

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

// kind is what all problems of a code have in common.
type kind struct {
	status int
	title  string
	// about is the text of the page that the problem's type points to.
	about string
}

// problem is an error that knows its answer. Everything that a client may be told about a failure is in it.
type problem struct {
	code   api.ProblemCode
	detail string
	errors []api.ProblemError
	// retryAfter is in seconds; answers of 429 and 503 carry it, and those of 409 where it is set.
	retryAfter int
	// unread tells that the body of the request is still to come.
	unread bool
}

func (p *problem) Error() string { return string(p.code) + ": " + p.detail }

func (p *problem) status() int { return kinds[p.code].status }

// invalid is the problem of a single member that is wrong.
func invalid(code api.ProblemCode, pointer, detail string) *problem {
	return &problem{code: code, detail: detail, errors: []api.ProblemError{{Pointer: pointer, Detail: detail}}}
}

func unavailable(detail string) *problem {
	return &problem{code: api.ProblemCodeDependencyUnavailable, detail: detail, retryAfter: 1}
}

func queueFull() *problem {
	return &problem{
		code: api.ProblemCodeOverloaded, detail: "More messages are waiting than this server takes on; try again.", retryAfter: 1,
	}
}

// notFound is the same for what is absent and for what belongs to somebody else.
func notFound() *problem {
	return &problem{code: api.ProblemCodeNotFound, detail: "There is no such resource in your organization."}
}

// problemOf is the one place where an error becomes an answer. What it does not know is a defect: nil.
func problemOf(err error) *problem {
	var known *problem
	if errors.As(err, &known) {
		return known
	}
	var refusal *intake.Refusal
	if errors.As(err, &refusal) {
		return refused(refusal)
	}
	var routing *echo.HTTPError
	if errors.As(err, &routing) {
		return routingProblem(routing)
	}
	var provider *ses.Error
	switch {
	case errors.Is(err, intake.ErrOverloaded):
		return queueFull()
	case errors.Is(err, idempotency.ErrInProgress):
		return &problem{
			code:       api.ProblemCodeIdempotencyInProgress,
			detail:     "A request with the same Idempotency-Key is at work; try again after the given time.",
			retryAfter: 1,
		}
	case errors.Is(err, idempotency.ErrReused):
		return &problem{
			code: api.ProblemCodeIdempotencyKeyReused, detail: "This Idempotency-Key came with another request within the last 24 hours.",
		}
	case errors.Is(err, domain.ErrNotFound):
		return notFound()
	case errors.Is(err, domain.ErrExists):
		return &problem{code: api.ProblemCodeDomainExists, detail: "Your organization has registered this domain already."}
	case errors.Is(err, domain.ErrLimit):
		return &problem{code: api.ProblemCodeDomainLimitReached, detail: "An organization may have at most 100 domains."}
	case errors.Is(err, domain.ErrInvalid):
		return invalid(api.ProblemCodeValidationFailed, "/domain", clip(err.Error()))
	case errors.As(err, &provider):
		return unavailable("Amazon SES is not available; try again after the given time.")
	case store.IsUnavailable(err):
		return unavailable("The database is not available; try again after the given time.")
	}
	return nil
}

func routingProblem(err *echo.HTTPError) *problem {
	switch err.Code {
	case http.StatusNotFound:
		return &problem{code: api.ProblemCodeRouteNotFound, detail: "There is no such route."}
	case http.StatusMethodNotAllowed:
		return &problem{code: api.ProblemCodeMethodNotAllowed, detail: "This route does not take this method."}
	default:
		return nil
	}
}

// refused tells why intake did not take a message.
func refused(refusal *intake.Refusal) *problem {
	code := api.ProblemCode(refusal.Reason)
	detail := map[intake.Reason]string{
		intake.KeyNotValid:          detailUnauthorized,
		intake.OrganizationInactive: detailInactive,
		intake.DomainNotVerified:    `The domain of "from" is not a verified domain of your organization.`,
		intake.RecipientSuppressed:  "Recipient is suppressed.",
		intake.FreeTierExhausted:    "The free allowance of this period is used up and there is no payment method.",
		intake.SpendCapReached:      "Accepting this would exceed the monthly spend cap.",
	}[refusal.Reason]
	if refusal.Field == "" {
		return &problem{code: code, detail: detail}
	}
	return invalid(code, "/"+refusal.Field, detail)
}

// handleError answers every failure, routing errors included, with a problem document.
func (server *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	answer := problemOf(err)
	if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		// Most likely nobody is there to be answered. But a client that has only closed its half of the connection looks the
		// same, and would take the silence of this server for a success: net/http ends it with an empty 200.
		c.Set(goneKey, true)
		server.write(c, unavailable("The connection was closed before the request was carried out."))
		return
	}
	if answer == nil {
		server.log(c).LogAttrs(c.Request().Context(), slog.LevelError, "request failed", slog.String("error", err.Error()))
		answer = &problem{
			code:   api.ProblemCodeInternalError,
			detail: "The server failed to answer; the request id names the incident.",
		}
	} else if answer.status() >= http.StatusInternalServerError {
		server.log(c).LogAttrs(c.Request().Context(), slog.LevelWarn, "request refused",
			slog.String("code", string(answer.code)), slog.String("error", err.Error()))
	}
	if server.config.Observer != nil {
		server.config.Observer.Problem(string(answer.code))
	}
	if answer.unread {
		defer letPass(c)()
	}
	server.write(c, answer)
}

// write notes what cannot be written, most likely because nobody is there to read it.
func (server *Server) write(c echo.Context, answer *problem) {
	if err := writeProblem(c, answer); err != nil {
		server.log(c).LogAttrs(c.Request().Context(), slog.LevelDebug, "answer not written", slog.String("error", err.Error()))
	}
}

func writeProblem(c echo.Context, answer *problem) error {
	header := c.Response().Header()
	switch status := answer.status(); status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", strconv.Itoa(max(1, answer.retryAfter)))
	case http.StatusConflict:
		if answer.retryAfter > 0 {
			header.Set("Retry-After", strconv.Itoa(answer.retryAfter))
		}
	case http.StatusMethodNotAllowed:
		header.Set("Allow", allowed(c))
	}
	body, err := json.Marshal(api.Problem{
		Type:      "/problems/" + string(answer.code),
		Title:     kinds[answer.code].title,
		Status:    answer.status(),
		Detail:    answer.detail,
		Code:      answer.code,
		RequestID: requestID(c),
		Errors:    answer.errors,
	})
	if err != nil {
		return err
	}
	return c.Blob(answer.status(), "application/problem+json", body)
}

// allowed lists the methods of a route. The router counts OPTIONS among them, which no route of ours takes.
func allowed(c echo.Context) string {
	listed, _ := c.Get(echo.ContextKeyHeaderAllow).(string)
	if listed == "" {
		listed = c.Response().Header().Get(echo.HeaderAllow)
	}
	var methods []string
	for _, method := range strings.Split(listed, ",") {
		if method = strings.TrimSpace(method); method != "" && method != http.MethodOptions {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}
