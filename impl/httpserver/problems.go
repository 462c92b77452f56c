package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

// problemOf is the only place where an error becomes a response. It returns nil for an unknown error, which is a
// defect.
func problemOf(err error) *problem.Problem {
	var known *problem.Problem
	if errors.As(err, &known) {
		return known
	}
	var refusal *intake.Refusal
	if errors.As(err, &refusal) {
		return RefusalProblem(refusal)
	}
	var routing *echo.HTTPError
	if errors.As(err, &routing) {
		return routingProblem(routing)
	}
	var provider *ses.Error
	switch {
	case errors.Is(err, intake.ErrOverloaded):
		return acceptQueueFull()
	case errors.Is(err, idempotency.ErrInProgress):
		return &problem.Problem{
			Code:       api.ProblemCodeIdempotencyInProgress,
			Detail:     "A request with the same Idempotency-Key is at work; try again after the given time.",
			RetryAfter: 1,
		}
	case errors.Is(err, idempotency.ErrReused):
		return &problem.Problem{
			Code: api.ProblemCodeIdempotencyKeyReused, Detail: "This Idempotency-Key came with another request within the last 24 hours.",
		}
	case errors.Is(err, domain.ErrNotFound):
		return problem.NotFound()
	case errors.Is(err, domain.ErrExists):
		return &problem.Problem{Code: api.ProblemCodeDomainExists, Detail: "Your organization has registered this domain already."}
	case errors.Is(err, domain.ErrLimit):
		return &problem.Problem{Code: api.ProblemCodeDomainLimitReached, Detail: "An organization may have at most 100 domains."}
	case errors.Is(err, domain.ErrInvalid):
		return problem.Invalid(api.ProblemCodeValidationFailed, "/domain", problem.Truncate(err.Error()))
	case errors.Is(err, domain.ErrBusy):
		return problem.Unavailable("An earlier registration of the domain is being removed; try again after the given time.")
	case errors.As(err, &provider):
		return problem.Unavailable("Amazon SES is not available; try again after the given time.")
	case store.IsUnavailable(err):
		return problem.Unavailable("The database is not available; try again after the given time.")
	}
	return nil
}

func routingProblem(err *echo.HTTPError) *problem.Problem {
	switch err.Code {
	case http.StatusNotFound:
		return &problem.Problem{Code: api.ProblemCodeRouteNotFound, Detail: "There is no such route."}
	case http.StatusMethodNotAllowed:
		return &problem.Problem{Code: api.ProblemCodeMethodNotAllowed, Detail: "This route does not take this method."}
	default:
		return nil
	}
}

// RefusalProblem returns the problem of a message that intake refused.
func RefusalProblem(refusal *intake.Refusal) *problem.Problem {
	code := api.ProblemCode(refusal.Reason)
	switch refusal.Reason {
	case intake.SendingPaused:
		return sendingPaused(refusal)
	case intake.OrganizationLimit:
		return organizationLimit(refusal)
	}
	detail := map[intake.Reason]string{
		intake.KeyNotValid:          auth.Unauthorized().Detail,
		intake.OrganizationInactive: auth.Inactive().Detail,
		intake.DomainNotVerified:    `The domain of "from" is not a verified domain of your organization.`,
		intake.RecipientSuppressed:  "Recipient is suppressed.",
		intake.FreeTierExhausted:    "The free allowance of this period is used up and there is no payment method.",
		intake.SpendCapReached:      "Accepting this would exceed the monthly spend cap.",
	}[refusal.Reason]
	if refusal.Field == "" {
		return &problem.Problem{Code: code, Detail: detail}
	}
	return problem.Invalid(code, "/"+refusal.Field, detail)
}

// sendingPaused returns the problem of an organization, or of a domain, whose sending is paused.
func sendingPaused(refusal *intake.Refusal) *problem.Problem {
	paused := &problem.Problem{
		Code: api.ProblemCodeSendingPaused, Detail: "Sending is paused for too many bounces or complaints.",
	}
	if refusal.Field != "" {
		paused.Detail = `Sending from the domain of "` + refusal.Field + `" is paused for too many bounces or complaints.`
	}
	return paused
}

// organizationLimit returns the problem of an organization that has reached its limit of emails.
func organizationLimit(refusal *intake.Refusal) *problem.Problem {
	return &problem.Problem{
		Code:       api.ProblemCodeOrganizationLimit,
		Detail:     "Your organization has reached the emails that it may send in a day or in a second; try again after the given time.",
		RetryAfter: int(math.Ceil(refusal.RetryAfter.Seconds())),
	}
}

// handleError responds to every failure, routing errors included, with a problem document.
func (server *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	response := problemOf(err)
	if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		// Most likely the client has gone. But a client that has only closed its half of the connection looks the same.
		// Without a response net/http would send it an empty 200, which it would take for a success.
		c.Set(clientClosedKey, true)
		server.write(c, problem.Unavailable("The connection was closed before the request was carried out."))
		return
	}
	if response == nil {
		server.log(c).LogAttrs(c.Request().Context(), slog.LevelError, "request failed", slog.String("error", err.Error()))
		response = &problem.Problem{
			Code:   api.ProblemCodeInternalError,
			Detail: "The server failed to answer; the request id names the incident.",
		}
	} else if response.Status() >= http.StatusInternalServerError && server.refusals.Allow(string(response.Code), time.Now()) {
		server.log(c).LogAttrs(c.Request().Context(), slog.LevelWarn, "request refused",
			slog.String("code", string(response.Code)), slog.String("error", err.Error()))
	}
	if server.config.Observer != nil {
		server.config.Observer.Problem(string(response.Code))
	}
	if response.BodyUnread {
		defer lingeringClose(c)()
	}
	server.write(c, response)
}

// write writes a problem and logs a failure to do so, most likely because the client has gone.
func (server *Server) write(c echo.Context, response *problem.Problem) {
	if err := writeProblem(c, response); err != nil {
		server.log(c).LogAttrs(c.Request().Context(), slog.LevelDebug, "response not written", slog.String("error", err.Error()))
	}
}

func writeProblem(c echo.Context, response *problem.Problem) error {
	header := c.Response().Header()
	header.Set("Cache-Control", "no-store")
	switch status := response.Status(); status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", challenge(c.Request().Header))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", strconv.Itoa(max(1, response.RetryAfter)))
	case http.StatusConflict:
		if response.RetryAfter > 0 {
			header.Set("Retry-After", strconv.Itoa(response.RetryAfter))
		}
	case http.StatusRequestTimeout:
		header.Set("Connection", "close")
	case http.StatusMethodNotAllowed:
		header.Set("Allow", allowed(c))
	case http.StatusUnsupportedMediaType:
		if response.AcceptPatch != "" {
			header.Set("Accept-Patch", response.AcceptPatch)
		}
	}
	kind, _ := problem.KindOf(response.Code)
	body, err := json.Marshal(api.Problem{
		Type:      "/problems/" + string(response.Code),
		Title:     kind.Title,
		Status:    response.Status(),
		Detail:    response.Detail,
		Code:      response.Code,
		RequestID: requestID(c),
		Errors:    response.Errors,
	})
	if err != nil {
		return err
	}
	return c.Blob(response.Status(), "application/problem+json", body)
}

// challenge tells a client whose key is not valid from one that sent none, or authenticates in another way (RFC 6750,
// section 3.1). It does not say what is wrong with the key.
func challenge(header http.Header) string {
	for _, given := range header.Values("Authorization") {
		scheme, _, hasToken := strings.Cut(given, " ")
		if hasToken && strings.EqualFold(scheme, "Bearer") {
			return `Bearer error="invalid_token"`
		}
	}
	return "Bearer"
}

// allowed returns the methods of a route. The router adds OPTIONS, which no route of ours has, and does not know HEAD,
// which each route with GET has.
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
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return strings.Join(methods, ", ")
}

func acceptQueueFull() *problem.Problem {
	return &problem.Problem{
		Code: api.ProblemCodeOverloaded, Detail: "More messages are waiting than this server takes on; try again.", RetryAfter: 1,
	}
}
