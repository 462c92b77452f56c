package pages

import (
	"time"

	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/spec"
)

// versioning returns what the guide to versions shows: the header of an answer to a request that uses something deprecated.
func versioning() map[string]any {
	since := time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC)
	var fields []string
	for _, field := range httpserver.DeprecationFields(spec.Deprecation{Since: since, Sunset: since.AddDate(0, spec.DeprecationMonths, 0)}) {
		fields = append(fields, field[0]+": "+field[1])
	}
	return map[string]any{"Months": spec.DeprecationMonths, "Fields": fields}
}
