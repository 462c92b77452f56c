package httpserver

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/impl/spec"
)

// deprecationLink is where the policy of deprecations can be read.
const deprecationLink = `</docs/versioning>; rel="deprecation"; type="text/html"`

const deprecationsKey = "mailstack.deprecations"

// announceDeprecation has every answer to a request that uses something deprecated say so.
func announceDeprecation(op *spec.Operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			deprecate(c, op.DeprecationsOf(c.Request()))
			return next(c)
		}
	}
}

// deprecate sets the fields Deprecation (RFC 9745) and Sunset (RFC 8594) to the earliest dates of what a request uses.
func deprecate(c echo.Context, used []spec.Deprecation) {
	if len(used) == 0 {
		return
	}
	before, _ := c.Get(deprecationsKey).([]spec.Deprecation)
	used = slices.Concat(before, used)
	c.Set(deprecationsKey, used)
	since, sunset := used[0].Since, used[0].Sunset
	for _, one := range used[1:] {
		if one.Since.Before(since) {
			since = one.Since
		}
		if one.Sunset.Before(sunset) {
			sunset = one.Sunset
		}
	}
	for _, field := range DeprecationFields(spec.Deprecation{Since: since, Sunset: sunset}) {
		c.Response().Header().Set(field[0], field[1])
	}
}

// DeprecationFields returns the header fields that announce a deprecation, as names and values.
func DeprecationFields(of spec.Deprecation) [][2]string {
	return [][2]string{
		{"Deprecation", "@" + strconv.FormatInt(of.Since.Unix(), 10)},
		{"Sunset", of.Sunset.UTC().Format(http.TimeFormat)},
		{"Link", deprecationLink},
	}
}
