package compose

import (
	"errors"
	"os"
	"testing"

	"github.com/oapi-codegen/runtime"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/spec"
)

// FuzzSendEmailBody checks that the generated type holds what the spec accepts, and that its addresses can be
// parsed.
func FuzzSendEmailBody(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", "[]", `"\ud83d"`, "\"\xff\"",
		`{"from":"a@b.test","to":"Sam <c@d.test>, \"x;y\" <e@f.test>","subject":"s","text":"t","variables":{"a":[1,{"b":null}]}}`,
		`{"from":"a@bücher.test","to":"c@d.test","subject":"s","html":"h","tags":"a, b","templateId":"0197b2c4-8d43-7f7c-a051-4c3d2e1f0a91"}`,
		`{"from":"a@b.test","to":"c@d.test","subject":"s","text":"t","fromName":null,"cc":"","bcc":null,"replyTo":"x@y.test"}`,
	} {
		f.Add([]byte(seed))
	}
	source, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		f.Fatal(err)
	}
	prepared, err := spec.Prepare(source)
	if err != nil {
		f.Fatal(err)
	}
	var rules *spec.Body
	for _, op := range prepared.Operations {
		if op.ID == "sendEmail" {
			rules = op.Body
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		value, err := spec.Decode(raw)
		if err == nil {
			_, err = rules.Validate(value, raw)
		}
		var refused *problem.Problem
		if err != nil {
			if !errors.As(err, &refused) || refused.Status() != 400 {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		var request api.SendEmailRequest
		if err := runtime.BindJSONValue(value, &request); err != nil {
			t.Fatalf("%q was let through and cannot be bound: %v", raw, err)
		}
		var message intake.Message
		if err := parseAddresses(&message, &request); err != nil && !errors.As(err, &refused) {
			t.Fatalf("%q: %v", raw, err)
		}
	})
}
