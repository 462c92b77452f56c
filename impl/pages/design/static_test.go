package design_test

import (
	"net/http"
	"testing"

	"github.com/voostack/mailstack/impl/pages/design"
)

func TestTakesGzip(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": false, "identity": false, "br": false, "gzip": true, "GZIP": true, "br, gzip": true, "gzip;q=0.5": true, "*": true,
		"gzip;q=0": false, "gzip; q=0.000": false, "*;q=0": false, "gzip;q=0, *": false, "*;q=0, gzip": true, "xgzip": false,
	} {
		if got := design.TakesGzip(http.Header{"Accept-Encoding": {value}}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if design.TakesGzip(http.Header{}) {
		t.Error("a client that names no coding takes gzip")
	}
}
