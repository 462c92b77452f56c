package main

import "testing"

func TestSection(t *testing.T) {
	t.Parallel()
	got := section([]change{
		{"endpoint-added", "endpoint added", "POST", "/v1/webhooks"},
		{"api-version-not-bumped", "not bumped", "", ""},
		{"response-property-enum-value-added", "added the new `b` enum value to the `code` response property for the response status `500`", "GET", "/readyz"},
		{"response-property-enum-value-added", "added the new `a` enum value to the `code` response property for the response status `400`", "GET", "/healthz"},
		{"response-property-max-set", "the `n` response property's max was set to `100.00` for the response status `200`", "GET", "/readyz"},
		{"response-non-success-status-added", "added the non-success response with the status `400`", "GET", "/readyz"},
	})
	want := "### New operations\n\n- `POST /v1/webhooks`\n\n### Changed operations\n\n" +
		"- added enum values to the `code` response property: `a`, `b` (`GET /healthz`, `GET /readyz`)\n" +
		"- added the non-success response with the status `400` (`GET /readyz`)\n" +
		"- the `n` response property's max was set to `100` (`GET /readyz`)\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := section(nil); got != "Nothing.\n" {
		t.Errorf("no change is %q", got)
	}
}

func TestOnlyWhatIsUnreleasedIsReplaced(t *testing.T) {
	t.Parallel()
	got, err := replace("# Changes\n\n## Unreleased\n\n- old\n\n## 1.0.0\n\n- first\n", "- new\n")
	if want := "# Changes\n\n## Unreleased\n\n- new\n\n## 1.0.0\n\n- first\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := replace("# Changes\n", "- new\n"); err == nil {
		t.Error("a file without the heading passes")
	}
}
