package sessim_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/voostack/mailstack/impl/sessim"
)

func TestConfigurationSets(t *testing.T) {
	t.Parallel()
	r := start(t, sessim.Config{})
	const path = "/v2/email/configuration-sets"
	for range 2 {
		if err := r.client.EnsureConfigurationSet(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	status, _, got := r.call(t, http.MethodGet, path+"/"+set, "")
	reasons, ok := got["SuppressionOptions"].(map[string]any)["SuppressedReasons"].([]any)
	if status != 200 || !ok || len(reasons) != 0 {
		t.Error("the account's suppression is not off:", status, got)
	}
	status, header, _ := r.call(t, http.MethodPost, path, `{"ConfigurationSetName":"`+set+`"}`)
	if status != 400 || header.Get("X-Amzn-ErrorType") != "AlreadyExistsException" {
		t.Error(status, header)
	}
	if status, _, _ := r.call(t, http.MethodPost, path, `{"ConfigurationSetName":"a b"}`); status != 400 {
		t.Error(status)
	}
	if status, _, _ := r.call(t, http.MethodPut, path+"/"+set+"/suppression-options", `{"SuppressedReasons":["BOUNCE"]}`); status != 200 {
		t.Error(status)
	}
	if err := r.client.EnsureConfigurationSet(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, got = r.call(t, http.MethodGet, path+"/"+set, "")
	if reasons := got["SuppressionOptions"].(map[string]any)["SuppressedReasons"].([]any); len(reasons) != 0 {
		t.Error("an existing set keeps its suppression:", got)
	}
	if _, _, got := r.call(t, http.MethodPost, "/v2/email/list-configuration-sets", "{}"); len(got["ConfigurationSets"].([]any)) != 1 {
		t.Error(got)
	}
	if status, _, _ := r.call(t, http.MethodDelete, path+"/"+set, ""); status != 200 {
		t.Error(status)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if status, header, _ := r.call(t, method, path+"/"+set, ""); status != 404 || header.Get("X-Amzn-ErrorType") != "NotFoundException" {
			t.Error(method, status, header)
		}
	}
}

func TestSuppressionList(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	const path = "/v2/email/suppression/addresses"
	for address, reason := range map[string]string{"Ada@example.com": "BOUNCE", "bob@example.com": "COMPLAINT"} {
		if status, _, _ := r.call(t, http.MethodPut, path, `{"EmailAddress":"`+address+`","Reason":"`+reason+`"}`); status != 200 {
			t.Error(status)
		}
	}
	if status, _, _ := r.call(t, http.MethodPut, path, `{"EmailAddress":"x@example.com","Reason":"MOOD"}`); status != 400 {
		t.Error(status)
	}
	// The list is case-sensitive.
	if status, _, _ := r.call(t, http.MethodGet, path+"/ada%40example.com", ""); status != 404 {
		t.Error(status)
	}
	_, _, got := r.call(t, http.MethodGet, path+"/Ada%40example.com", "")
	d := got["SuppressedDestination"].(map[string]any)
	if d["EmailAddress"] != "Ada@example.com" || d["Reason"] != "BOUNCE" || d["LastUpdateTime"].(float64) < 1e9 {
		t.Error(got)
	}
	if _, _, got := r.call(t, http.MethodGet, path+"?Reason=COMPLAINT", ""); len(got["SuppressedDestinationSummaries"].([]any)) != 1 {
		t.Error(got)
	}

	m := message()
	m.Cc = []string{"Bob <BOB@example.com>", "carl@example.com"}
	if _, err := r.client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := r.Messages()[0].Suppressed; len(got) != 0 {
		t.Error("our configuration set leaves the account's list out:", got)
	}
	if status, _, _ := r.call(t, http.MethodPut, "/v2/email/configuration-sets/"+set+"/suppression-options", `{"SuppressedReasons":["COMPLAINT"]}`); status != 200 {
		t.Error(status)
	}
	if _, err := r.client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := r.Messages()[0].Suppressed; !slices.Equal(got, []string{"BOB@example.com"}) {
		t.Error(got)
	}

	if status, _, _ := r.call(t, http.MethodDelete, path+"/Ada@example.com", ""); status != 200 {
		t.Error(status)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if status, _, _ := r.call(t, method, path+"/Ada@example.com", ""); status != 404 {
			t.Error(method, status)
		}
	}
}
