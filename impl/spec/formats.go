package spec

import (
	"errors"
	"regexp"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/mail"
)

// formats returns the formats of the spec that carry a rule. A format that a generated type parses must be here,
// because a string that passes the schema is bound without another check.
func formats() map[string]openapi3.StringFormatValidator {
	check := openapi3.NewCallbackValidator[string]
	return map[string]openapi3.StringFormatValidator{
		"uuid": check(func(s string) error {
			if len(s) != 36 || uuid.Validate(s) != nil {
				return errors.New("is not a UUID")
			}
			return nil
		}),
		"date-time": check(checkTime()),
		"mailbox":   check(func(s string) error { return errOnly(mail.ParseAddress(s)) }),
		"mailbox-list": check(func(s string) error {
			if s == "" {
				return nil
			}
			return errOnly(mail.ParseList(s))
		}),
		"tag-list":       check(func(s string) error { return errOnly(mail.ParseTags(s)) }),
		"sending-domain": check(func(s string) error { return errOnly(mail.ParseDomain(s)) }),
		"dns-label":      check(func(s string) error { return errOnly(mail.ParseLabel(s)) }),
	}
}

// checkTime returns a check that is stricter than time.Parse, which takes commas, hours of one digit and zones of
// a day. It also refuses a time whose year in UTC does not have four digits: it could be stored and never be
// shown.
func checkTime() func(string) error {
	shape := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	return func(s string) error {
		at, err := time.Parse(time.RFC3339, s)
		if year := at.UTC().Year(); err != nil || !shape.MatchString(s) || year < 0 || year > 9999 {
			return errors.New("is not a date and time as RFC 3339 has them")
		}
		return nil
	}
}

func errOnly[T any](_ T, err error) error { return err }
